"""Where a visit comes from. Names of cases begin with the trap of the specification."""

from collections.abc import Mapping

import pytest

from pixel.site_rules import custom_source
from pixel.source_conditions import source_of
from pixel.visit_sources import Arrival, Source, marks_of
from tracker.sites.preview import compile_pattern

HOSTS = frozenset({"site.example"})
PAYMENT = frozenset({"pay.example"})


def source(page: str, referrer: str = "", *custom: Mapping[str, object]) -> Source | None:
    arrival = Arrival(page=f"https://site.example/{page}", referrer=referrer, hosts=HOSTS, ignored=PAYMENT)
    own = [
        custom_source({"id": f"own{n}", "name": f"Own {n}", "channel": "x", **item}, compile_pattern)
        for n, item in enumerate(custom)
    ]
    return source_of(arrival, marks_of(arrival.page), own)


@pytest.mark.parametrize(
    ("page", "referrer", "expected"),
    [
        ("", "", ("direct", "Direct")),
        ("?utm_source=yandex&utm_medium=cpc", "https://ya.ru/", ("ads", "yandex")),
        ("?utm_source=news&utm_medium=email", "", ("email", "news")),
        ("?utm_source=vk&utm_medium=social", "", ("social", "vk")),
        ("?gclid=1", "https://www.google.de/", ("ads", "Google Ads")),
        ("?gbraid=1", "", ("ads", "Google Ads")),
        ("?wbraid=1", "", ("ads", "Google Ads")),
        ("?yclid=1", "", ("ads", "Yandex Direct")),
        ("?ymclid=1", "", ("ads", "Yandex Market")),
        ("?msclkid=1", "", ("ads", "Microsoft Advertising")),
        ("?fbclid=1", "", ("social", "Facebook")),
        ("?fbclid=1", "https://l.facebook.com/", ("social", "Facebook")),
        ("?ysclid=1", "", ("search", "Yandex")),
        ("?xyzclid=1", "", ("direct", "Direct")),
        ("?_openstat=ZGlyZWN0;Y2FtcA;1;2", "", ("ads", "ZGlyZWN0")),
        ("", "https://www.google.co.uk/search?q=a", ("search", "Google")),
        ("", "https://yandex.ru/", ("search", "Yandex")),
        ("", "https://ya.ru/search?text=x", ("search", "Yandex")),
        ("", "https://www.bing.com/", ("search", "Bing")),
        ("", "https://go.mail.ru/search", ("search", "Mail.ru")),
        ("", "https://e.mail.ru/inbox", ("email", "Mail.ru")),
        ("", "https://mail.google.com/", ("email", "Gmail")),
        ("", "https://m.vk.com/", ("social", "VK")),
        ("", "https://t.me/", ("messenger", "Telegram")),
        ("", "android-app://com.google.android.googlequicksearchbox/", ("search", "Google")),
        ("", "android-app://com.google.android.gm/", ("email", "Gmail")),
        ("", "https://blog.other.example/post", ("referral", "blog.other.example")),
        ("", "https://mygoogle.example/", ("referral", "mygoogle.example")),
        ("", "https://notvk.com/", ("referral", "notvk.com")),
    ],
)
def test_j68_j70_standard_sources(page: str, referrer: str, expected: tuple[str, str]) -> None:
    made = source(page, referrer)
    assert made is not None
    assert (made.channel, made.name) == expected


@pytest.mark.parametrize(
    ("page", "referrer"),
    [
        ("?utm_source=x", "https://site.example/a"),  # J66
        ("", "https://www.site.example/"),
        ("", "https://shop.site.example/"),
        ("", "https://pay.example/done"),  # J67
        ("?gclid=1", "https://secure.pay.example/done"),
        ("", "https://site-example.cdn.ampproject.org/c/s/site.example/"),  # J70
    ],
)
def test_within_the_site_and_back_from_paying_nothing_begins(page: str, referrer: str) -> None:
    assert source(page, referrer) is None


@pytest.mark.parametrize(
    ("conditions", "page", "referrer", "fits"),
    [
        (
            {"all": [{"field": "utm_campaign", "operator": "equals", "value": "Spring"}]},
            "?utm_campaign=spring",
            "",
            True,
        ),
        (
            {"all": [{"field": "utm_campaign", "operator": "not_equals", "value": "spring"}]},
            "?utm_campaign=spring",
            "",
            False,
        ),
        (
            {"any": [{"field": "referrer_domain", "operator": "contains", "value": "friend"}]},
            "",
            "https://friend.example/",
            True,
        ),
        (
            {"any": [{"field": "utm_term", "operator": "empty"}, {"field": "gclid", "operator": "not_empty"}]},
            "?utm_term=a",
            "",
            False,
        ),
        ({"all": [{"any": [{"field": "channel", "operator": "equals", "value": "ads"}]}]}, "?gclid=1", "", True),
        ({"all": [{"field": "entrance_page", "operator": "regex", "value": r"/sale/\d+"}]}, "sale/12", "", True),
        ({"all": [{"field": "entrance_page", "operator": "regex", "value": r"/SALE/\D+$"}]}, "sale/x", "", True),
        (
            {"all": [{"field": "search_phrase", "operator": "contains", "value": "chair"}]},
            "",
            "https://yandex.ru/search?text=Chairs",
            True,
        ),
        ({"all": [{"field": "utm_source", "operator": "not_contains", "value": "x"}]}, "", "", True),
    ],
)
def test_conditions_of_a_source_of_ones_own(
    conditions: dict[str, object], page: str, referrer: str, fits: bool
) -> None:
    made = source(page, referrer, {"conditions": conditions})
    assert made is not None
    assert (made.id == "own0") is fits


def test_the_first_source_that_fits_wins() -> None:
    first = {"conditions": {"all": [{"field": "gclid", "operator": "not_empty"}]}}
    made = source("?gclid=1", "", first, first)
    assert made is not None
    assert made.id == "own0"


def test_j41_a_slow_expression_takes_no_time() -> None:
    slow = {"conditions": {"all": [{"field": "entrance_page", "operator": "regex", "value": "(a+)+$"}]}}
    assert source("a" * 5000 + "b", "", slow) is not None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("utm_source=" + "x" * 5000, {"utm_source": "x" * 300}),
        ("utm_source=<script>alert(1)</script>", {"utm_source": "<script>alert(1)</script>"}),
        ("utm_source=%zz%", {"utm_source": "%zz%"}),
        ("utm_source=%ff%fe", {"utm_source": "\ufffd\ufffd"}),
        ("utm_source=a%00b", {"utm_source": "a\ufffdb"}),
        ("UTM_Source=Mail&utm_source=second", {"utm_source": "Mail"}),
        ("token=secret&email=a@b.c", {}),
        ("&".join(f"utm_source={n}" for n in range(1000)), {}),
    ],
)
def test_j40_marks_of_any_kind(query: str, expected: dict[str, str]) -> None:
    assert marks_of(f"https://site.example/?{query}") == expected
