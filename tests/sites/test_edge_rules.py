"""What the edge answers to visitors. Names begin with the trap of the specification."""

import json
import threading
from typing import Any

import pytest

from pixel.site_codes import is_long_code
from tests.pixel.edge_server import DRAIN_KEY
from tests.sites.website import BASE, Website
from tracker.models import Notification, SiteBlock, SiteRule, Visit

pytestmark = pytest.mark.parametrize("context", ["sqlite"], indirect=True)
"""The edge knows no database: one is enough."""


def lines(*pairs: tuple[str | None, str], block: SiteBlock) -> list[dict[str, Any]]:
    return [
        {"blocks": [block.public_id], "address": address, "source": source, "default_source": source or "std:direct"}
        for source, address in pairs
    ]


def test_the_form_of_an_answer(website: Website) -> None:
    website.dynamic()
    answer = website.visitor().sees()
    (rule,) = answer["rules"]
    assert rule["find"] == BASE
    assert is_long_code(rule["show"].partition("+")[2].partition("@")[0])
    assert answer["ttl"] > 0
    assert len(answer["visitor"]) >= 16
    assert answer["session"]


def test_j28_j29_the_closest_line_of_a_static_rule(website: Website) -> None:
    block = website.block()
    ads: dict[str, Any] = {"conditions": {"all": [{"field": "utm_source", "operator": "equals", "value": "a1"}]}}
    a1 = website.source("A1", group="A", **ads)
    website.static(*lines(("group:ads/A", "a@site.example"), (a1.public_id, "a1@site.example"), block=block))
    assert website.visitor().address(page="https://site.example/?utm_source=a1") == "a1@site.example"
    assert website.visitor().address() is None, "no other traffic: the page keeps its own"


def test_a_source_without_conditions_stands_for_its_group(website: Website) -> None:
    block = website.block()
    fits: dict[str, Any] = {"conditions": {"all": [{"field": "utm_source", "operator": "equals", "value": "a2"}]}}
    website.source("A2", group="A", **fits)
    group, channel = website.source("Whole group", group="A"), website.source("Whole channel")
    website.static(*lines((channel.public_id, "ch@site.example"), (group.public_id, "g@site.example"), block=block))
    assert website.visitor().address(page="https://site.example/?utm_source=a2") == "g@site.example"
    assert website.visitor().address(page="https://site.example/?gclid=1") == "ch@site.example"


def test_j30_j31_only_the_higher_active_rule_fires(website: Website) -> None:
    block = website.block()
    first = website.static(*lines((None, "one@site.example"), block=block))
    second = website.static(*lines((None, "two@site.example"), block=block))
    assert website.visitor().address() == "one@site.example"
    website.change(first, state="draft")
    assert website.visitor().address() == "two@site.example"
    website.change(second, state="draft")
    assert website.visitor().address() is None


def test_j32_a_session_keeps_its_rule_and_the_next_one_chooses_anew(website: Website) -> None:
    from tracker.sites.sites import move

    block = website.block()
    website.static(*lines((None, "one@site.example"), block=block))
    second = website.static(*lines((None, "two@site.example"), block=block))
    visitor = website.visitor()
    assert visitor.address() == "one@site.example"
    with website.context.database.session_scope() as session:
        move(session, website.context, website.user, session.get_one(SiteRule, second.id), "top")
    assert visitor.address() == "one@site.example"
    assert visitor.address(page="https://site.example/?utm_campaign=new") == "two@site.example"
    assert website.visitor().address() == "two@site.example"


def test_j18_another_campaign_same_code_new_session(website: Website) -> None:
    website.dynamic()
    visitor = website.visitor()
    first = visitor.address(page="https://site.example/?utm_source=a")
    session = visitor.answer["session"]
    assert visitor.address(page="https://site.example/?utm_source=b") == first
    assert visitor.answer["session"] != session
    website.drained()
    assert [visit.source["name"] for visit in website.rows(Visit)] == ["a", "b"]


@pytest.mark.parametrize(
    ("steps", "sessions"),
    [
        ([("?utm_source=a", ""), ("?utm_source=a", "")], 1),  # J65
        ([("?utm_source=a", "https://google.com/"), ("", ""), ("?utm_source=a", "https://google.com/")], 1),
        ([("", "https://google.com/"), ("b", "https://site.example/")], 1),
        ([("", ""), ("?utm_source=x", "https://site.example/")], 1),  # J66
        ([("?utm_source=mail", ""), ("", "https://paypal.com/done")], 1),  # J67
        ([("", ""), ("", "https://friend.example/")], 2),
        ([("", "https://google.com/"), ("", "https://yandex.ru/")], 2),
        ([("?utm_source=a", ""), ("?utm_source=b", "")], 2),
        ([("?gclid=1", ""), ("?gclid=2", "")], 2),
    ],
)
def test_when_a_session_begins(website: Website, steps: list[tuple[str, str]], sessions: int) -> None:
    visitor = website.visitor()
    seen = {visitor.sees(f"https://site.example/{page}", referrer)["session"] for page, referrer in steps}
    assert len(seen) == sessions


def test_j61_without_a_session_of_its_own_a_tab_gets_the_visitors(website: Website) -> None:
    visitor = website.visitor()
    session = visitor.sees()["session"]
    visitor.facts["session"] = "another-old-one"
    assert visitor.sees()["session"] == session


def test_a_direct_visit_keeps_the_source_before_it(website: Website) -> None:
    visitor = website.visitor()
    visitor.sees("https://site.example/?utm_source=a&utm_medium=cpc")
    website.set(website.site, session_minutes=1)
    website.drained()
    (visit,) = website.rows(Visit)
    assert visit.attributed["name"] == "a"


@pytest.mark.parametrize(
    "agent",
    ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "", "curl/8.0", "python-requests/2.31",
     "Mozilla/5.0 (compatible; YandexBot/3.0)", "Mozilla/5.0 HeadlessChrome/140"],
)  # fmt: skip
def test_j16_robots_get_nothing(website: Website, agent: str) -> None:
    website.dynamic()
    assert website.visitor(agent=agent).sees()["rules"] == []
    assert website.hits() == []


def test_a_phone_called_cubot_is_a_person(website: Website) -> None:
    website.dynamic()
    agent = "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36"
    assert website.visitor(agent=agent).address() is not None


def test_a_program_that_drives_a_browser_says_so(website: Website) -> None:
    website.dynamic()
    assert website.visitor().sees(webdriver=True)["rules"] == []


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://site.example", 200), ("https://www.site.example", 200), ("http://shop.site.example:8080", 200),
        ("https://evil.example", 403), ("https://site.example.evil.example", 403), ("null", 403), ("https://notsite.example", 403),
    ],
)  # fmt: skip
def test_only_the_sites_own_hosts_are_answered(website: Website, origin: str, status: int) -> None:
    reply = website.visitor(origin=origin).post("resolve", {"key": website.site.key, "page": "https://site.example/"})
    assert reply.status_code == status
    assert reply.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
    assert reply.headers["cache-control"] == "no-store"
    assert "set-cookie" not in reply.headers


def test_j36_a_sub_domain_that_is_listed_apart_is_another_site(website: Website) -> None:
    website.add_site(name="Shop", hosts=["HTTPS://www.Shop.Site.Example:443/x"])
    body = {"key": website.site.key, "page": "https://shop.site.example/"}
    assert website.visitor(origin="https://shop.site.example").post("resolve", body).status_code == 403
    assert website.visitor(origin="https://other.site.example").post("resolve", body).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b'{"key": 5}', 400), (b'{"key": "x"}', 400),
        (b'{"key": "' + b"z" * 32 + b'"}', 404), (b" " * 9000, 413), (b'{"key":' + b"[" * 3000, 400), (b"\xff\xfe", 400),
    ],
)  # fmt: skip
def test_what_is_no_question(website: Website, body: bytes, status: int) -> None:
    assert website.visitor().post("resolve", body).status_code == status
    assert website.visitor().post("beacon", body).status_code == status or status == 404


@pytest.mark.parametrize(
    "facts",
    [
        {"visitor": "../../etc"}, {"visitor": 7}, {"session": []}, {"page": None}, {"page": "\ud800"}, {"page": "x" * 4000},
        {"referrer": "http://["}, {"selectors": "x"}, {"selectors": [1, None, {}]}, {"screen": "<b>"}, {"held": "x.y"}, {"held": 5},
        {"addresses": ["a@b", 3, None]}, {"page": "https://site.example/?utm_source=%zz%ff%00"}, {"language": {"a": 1}},
    ],
)  # fmt: skip
def test_odd_fields_are_left_out_and_stored(website: Website, facts: dict[str, Any]) -> None:
    website.dynamic()
    body = json.dumps({"key": website.site.key, "page": "https://site.example/", **facts}).encode(
        "utf-8", "surrogatepass"
    )
    reply = website.visitor().post("resolve", body)
    assert reply.status_code == 200
    assert reply.json()["rules"]
    website.drained()
    assert len(website.rows(Visit)) == 1


def test_j71_ten_questions_of_one_visitor_give_one_lease(website: Website) -> None:
    pool = [f"p{n}@site.example" for n in range(5)]
    website.dynamic(substitution_type="manual_pool", addresses=pool)
    shown: list[Any] = []

    def ask() -> None:
        shown.append(website.visitor(facts={"visitor": "v" * 22}).address())

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(shown)) == 1
    assert shown[0] in pool


def test_j27_an_exhausted_pool_shows_the_page_as_it_is_or_the_reserve(website: Website) -> None:
    block = website.block()
    rule = website.dynamic(block, substitution_type="manual_pool", addresses=["p1@site.example", "p2@site.example"])
    seen = [website.visitor().address() for _ in range(3)]
    assert sorted(map(str, seen)) == ["None", "p1@site.example", "p2@site.example"]
    website.drained()
    covered = [visit.covered for visit in website.rows(Visit)]
    assert sorted(covered) == [False, True, True]
    assert "run out" in str(website.rows(Notification)[0].detail)
    reserve = [
        {
            "blocks": [block.public_id],
            "address": "reserve@site.example",
            "source": None,
            "email_account": website.inbox.mailbox.public_id,
        }
    ]
    website.change(rule, static_settings=reserve)
    assert website.visitor().address() == "reserve@site.example"


def test_four_digits(website: Website) -> None:
    website.dynamic(substitution_type="auto_short")
    visitor, other = website.visitor(), website.visitor()
    first = visitor.address()
    assert first is not None
    assert first.partition("+")[2].partition("@")[0].isdigit()
    assert visitor.address() == first
    assert other.address() != first


def test_a_pool_is_leased_again_only_after_its_rest(website: Website) -> None:
    website.dynamic(substitution_type="manual_pool", addresses=["p1@site.example"], lease_minutes=5, rest_days=0)
    visitor, other = website.visitor(), website.visitor()
    assert visitor.address() == "p1@site.example"
    assert other.address() is None
    assert visitor.post("beacon", {"key": website.site.key, "kind": "withdrawal", **visitor.facts}).status_code == 204
    assert other.address() == "p1@site.example"


def test_another_edge_goes_on_where_this_one_stopped(
    website: Website, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.pixel.edge_server import running_edge

    website.dynamic()
    visitor = website.visitor()
    address, session = visitor.address(), visitor.answer["session"]
    folder = tmp_path_factory.mktemp("second")
    with running_edge(folder, drain_key=DRAIN_KEY) as second:
        made = json.loads((website.context.settings.data_dir / "sites.json").read_bytes())
        made["edge"] = "b"
        put = {"Authorization": f"Bearer {DRAIN_KEY}"}
        url = f"http://127.0.0.1:{second.port}"
        assert website.line.put(f"{url}/snapshot", json=made).status_code == 401
        assert website.line.put(f"{url}/snapshot", content=b"{}", headers=put).status_code == 400
        assert website.line.put(f"{url}/snapshot", json=made, headers=put).status_code == 204
        old, website.line.base_url = website.line.base_url, url
        assert visitor.address() == address
        assert visitor.answer["session"] == session
        fresh = website.visitor().address()
        assert fresh is not None
        assert fresh.partition("+")[2].startswith("b")
        website.line.base_url = old


def test_the_edge_answers_when_its_store_cannot_be_written(website: Website) -> None:
    website.dynamic()
    visitor = website.visitor()
    address = visitor.address()
    store = website.context.settings.data_dir / "visitors.sqlite3"
    import sqlite3

    with sqlite3.connect(store) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        assert visitor.address() == address, "what the visitor carries is enough"
        assert website.visitor().address() is not None
        lock.rollback()


def test_a_spoiled_snapshot_leaves_the_last_one_in_force(website: Website) -> None:
    website.dynamic()
    visitor = website.visitor()
    address = visitor.address()
    (website.context.settings.data_dir / "sites.json").write_bytes(b"{")
    assert visitor.address() == address


def test_the_snippet_carries_what_its_site_needs(website: Website) -> None:
    website.block()
    reply = website.line.get(f"/s/{website.site.key}.js", headers={"Accept-Encoding": "gzip"})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
    assert reply.headers["content-encoding"] == "gzip"
    assert website.site.key in reply.text
    assert BASE in reply.text
    for path in ("/s/unknown.js", "/s/", "/s/x", f"/s/{website.site.key}"):
        assert website.line.get(path).status_code == 404
    for method in ("GET", "DELETE", "PUT"):
        assert website.line.request(method, "/et/v1/resolve").status_code == 405


def test_j58_many_behind_one_address_and_who_lies_about_it(website: Website) -> None:
    website.dynamic()
    seen = [website.visitor().post("resolve", {"key": website.site.key, "page": "https://site.example/"},
                                   **{"X-Forwarded-For": "203.0.113.9"}).json()["rules"] for _ in range(300)]  # fmt: skip
    assert all(seen)
    assert {hit.client for hit in website.hits()} == {"127.0.0.1"}
