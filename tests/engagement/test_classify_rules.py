"""Edges of the rules for one hit: the second before and after each window, confidences, vendors, order."""

from datetime import date

import pytest

from tests.engagement.hit_makers import CHROME, GMAIL_PROXY, OUTLOOK, click, opened
from tracker.engagement.judge.browsers import RELEASES, Releases
from tracker.engagement.judge.classify import RULE_SET, classify
from tracker.engagement.judge.client_names import client_name
from tracker.engagement.judge.evidence import HitState, Net
from tracker.engagement.judge.ip_ranges import newest_date
from tracker.engagement.judge.verdict import Judgement, Reason, alertable
from tracker.engagement.judge.windows import Windows

AT_GOOGLE = Net(15169, "Google LLC")
AT_MICROSOFT = Net(8075, "Microsoft Corporation")
AT_HOSTER = Net(16509, "Amazon.com, Inc.", None, frozenset({"hosting"}))


@pytest.mark.parametrize(
    ("seconds", "confidence", "alert"), [(0, 0.5, False), (59.9, 0.5, False), (60, 0.85, True), (9e6, 0.85, True)]
)
def test_mail_proxy_alerts_from_sixty_seconds_on(seconds: float, confidence: float, alert: bool) -> None:
    verdict = classify(opened(agent=GMAIL_PROXY, seconds=seconds, net=AT_GOOGLE))
    assert (verdict.klass, verdict.confidence, verdict.vendor) == ("mail_proxy", confidence, "google")
    assert alertable(verdict) is alert


def test_unconfirmed_gmail_proxy_is_less_certain() -> None:
    assert classify(opened(agent=GMAIL_PROXY)).confidence == 0.70


@pytest.mark.parametrize(("seconds", "klass"), [(59, "security_scanner"), (60, "unknown"), (599, "unknown")])
def test_microsoft_pixel_before_ten_minutes(seconds: float, klass: str) -> None:
    assert classify(opened(seconds=seconds, net=AT_MICROSOFT)).klass == klass


def test_microsoft_pixel_from_ten_minutes_on_is_outlook_on_the_web() -> None:
    verdict = classify(opened(seconds=600, net=AT_MICROSOFT))
    assert (verdict.klass, verdict.confidence) == ("mail_proxy", 0.55)


@pytest.mark.parametrize(("seconds", "klass"), [(899, "security_scanner"), (900, "human")])
def test_probable_gateway_changes_at_fifteen_minutes(seconds: float, klass: str) -> None:
    assert classify(click(seconds=seconds, net=Net(22843))).klass == klass


@pytest.mark.parametrize(("seconds", "klass"), [(2.9, "unknown"), (3, "human")])
def test_mail_client_is_believed_from_three_seconds_on(seconds: float, klass: str) -> None:
    assert classify(opened(agent=OUTLOOK, seconds=seconds)).klass == klass


@pytest.mark.parametrize(("seconds", "klass"), [(3599, "security_scanner"), (3600, "crawler")])
def test_script_is_a_check_within_the_hour(seconds: float, klass: str) -> None:
    assert classify(click(agent="python-requests/2.32", seconds=seconds)).klass == klass


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ({}, -5),
        ({"accept-language": None}, 25),
        ({"referer": "https://mail.example.com"}, -15),
        ({"sec-fetch-user": None}, 0),
    ],
)
def test_confidence_of_a_person_is_ninety_minus_score(changes: dict[str, str | None], points: int) -> None:
    verdict = classify(click(headers=changes))
    assert verdict.klass == "human"
    assert verdict.confidence == min(90 - points, 95) / 100


@pytest.mark.parametrize(("seconds", "klass"), [(299, "unknown"), (300, "human")])
def test_hoster_alone_never_makes_a_machine(seconds: float, klass: str) -> None:
    assert classify(click(seconds=seconds, net=AT_HOSTER, headers={"sec-fetch-user": None})).klass == klass


def test_hoster_and_one_more_mark_is_a_machine() -> None:
    poor = {"accept-language": None, "sec-fetch-user": None}
    assert classify(click(net=AT_HOSTER, headers=poor)).klass == "security_scanner"


@pytest.mark.parametrize(("chrome", "stale"), [(120, False), (119, True)])
def test_browser_is_stale_more_than_thirty_six_majors_behind(chrome: int, stale: bool) -> None:
    verdict = classify(click(agent=CHROME.replace("156", str(chrome)), headers={"sec-ch-ua": None}))
    assert verdict.has("stale_browser") is stale


def test_stale_browser_counts_on_links_only() -> None:
    assert not classify(opened(agent=CHROME.replace("156", "55"))).has("stale_browser")


def test_releases_go_on_by_four_weeks_and_never_back() -> None:
    anchor = Releases("2026-11-01", 156)
    assert anchor.on(date(2027, 11, 1)).chrome_major == 169
    assert anchor.on(date(2020, 1, 1)).chrome_major == 156
    old = click(agent=CHROME.replace("156", "125"))
    assert not classify(old, releases=RELEASES).has("stale_browser")
    assert classify(old, releases=RELEASES.on(date(2027, 11, 1))).has("stale_browser")


def test_windows_scale_all_together() -> None:
    small = Windows().scaled(0.1)
    assert (small.proxy_early, small.settle_click, small.spread) == (6, 1.5, 90)
    assert alertable(classify(opened(agent=GMAIL_PROXY, seconds=7, net=AT_GOOGLE), small))


@pytest.mark.parametrize("factor", [0, -1, float("nan")])
def test_windows_refuse_a_scale_that_stops_time(factor: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Windows().scaled(factor)


@pytest.mark.parametrize("age", [-11.0, 11.0, 600.0])
def test_heads_up_counts_for_ten_seconds(age: float) -> None:
    assert classify(opened(state=HitState(self_heads_up_s=age))).klass == "human"
    assert classify(opened(state=HitState(self_heads_up_s=10.0))).klass == "sender_self"


def test_no_time_is_neither_early_nor_negative() -> None:
    for seconds in (None, float("nan"), float("inf")):
        verdict = classify(click(seconds=seconds))
        assert (verdict.klass, verdict.has("very_early")) == ("human", False)


@pytest.mark.parametrize("klass", ["human", "mail_proxy"])
def test_alert_needs_half_confidence(klass: str) -> None:
    assert alertable(Judgement(klass, 0.5))  # type: ignore[arg-type]
    assert not alertable(Judgement(klass, 0.49))  # type: ignore[arg-type]


def test_vendor_of_the_machine_is_named() -> None:
    assert classify(click(ip="209.222.82.7")).vendor == "barracuda"
    assert classify(click(ip="40.107.1.1")).vendor == "microsoft"
    assert classify(opened(agent="Mozilla/5.0")).vendor == "apple"


def test_sentences_can_be_translated_and_survive_old_codes() -> None:
    reason = Reason("burst", {"links": 9, "seconds": 0.6})
    assert reason.sentence() == "9 links were requested in 0.6 s"
    assert reason.sentence(lambda text: text.replace("links were requested in", "ссылок за")) == "9 ссылок за 0.6 s"
    assert Reason("rule_of_2025").sentence() == "rule of 2025"
    assert Reason("burst").sentence() == "? links were requested in ? s"


def test_rule_set_names_the_date_of_the_ranges() -> None:
    assert RULE_SET.endswith(newest_date())


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (GMAIL_PROXY, "Gmail"),
        ("YahooMailProxy; https://help.yahoo.com", "Yahoo Mail"),
        ("Mozilla/5.0", "Apple Mail"),
        (OUTLOOK, "Outlook"),
        (CHROME + " Edg/156.0.0.0 OneOutlook/1.2026", "Outlook"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.2.0", "Thunderbird"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", "Apple Mail"),
        (CHROME, "Chrome on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:147.0) Gecko/20100101 Firefox/147.0", "Firefox on Windows"),
        ("Slackbot-LinkExpanding 1.0", "Slack"),
        ("", ""),
    ],
)
def test_client_name_is_what_people_call_it(agent: str, name: str) -> None:
    assert client_name({"User-Agent": agent}) == name
