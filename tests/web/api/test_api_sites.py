"""Websites by API: what is set up, every refusal at its field, order, preview, reports, letters from elsewhere."""

from typing import Any

import pytest

from tests.web.api.conftest import Caller, World
from tracker.models import Mailbox

RULE = {"name": "Rule", "rule_type": "site_emails", "tracking_type": "static"}


@pytest.fixture
def alice(world: World) -> Caller:
    return world.alice


@pytest.fixture
def mailbox(world: World, alice: Caller) -> str:
    with world.context.database.session_scope() as session:
        row = Mailbox(
            user_id=alice.user.id or 0, address="info@site.example", canonical="info@site.example", state="active"
        )
        session.add(row)
    return row.public_id


@pytest.fixture
def site(alice: Caller) -> dict[str, Any]:
    return dict(
        alice.post(
            "/sites", {"name": "Shop", "hosts": ["https://WWW.Site.Example:8080/x", "site.example", "пример.рф"]}
        ).json()
    )


@pytest.fixture
def block(alice: Caller, site: dict[str, Any]) -> str:
    body = {
        "name": "Contact",
        "sites": [site["id"]],
        "selectors": [{"attribute": "email", "value": "Info@Site.Example"}],
    }
    return str(alice.post("/blocks", body).json()["id"])


def test_a_site_with_its_script_tag(alice: Caller, site: dict[str, Any]) -> None:
    assert site["hosts"] == ["site.example", "xn--e1afmkfd.xn--p1ai"]
    assert site["snippet"].startswith("<script")
    assert f"/s/{site['key']}.js" in site["snippet"]
    changed = alice.call("PATCH", f"/sites/{site['id']}", {"session_minutes": 5}).json()
    assert (changed["session_minutes"], changed["name"]) == (5, "Shop")
    assert alice.call("DELETE", f"/sites/{site['id']}").status_code == 204
    assert alice.get(f"/sites/{site['id']}").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/sites", {"hosts": ["a.example"]}, "name"),
        ("/sites", {"name": "x", "hosts": []}, "hosts"),
        ("/sites", {"name": "x", "hosts": ["not a host"]}, "hosts"),
        ("/sites", {"name": "x", "hosts": ["a.example"], "cookie_days": 0}, "cookie_days"),
        ("/sites", {"name": "x", "hosts": ["a.example"], "colour": 1}, "colour"),
        ("/blocks", {"name": "x", "selectors": []}, "selectors"),
        ("/blocks", {"name": "x", "sites": ["nowhere"], "selectors": [{"attribute": "id", "value": "a"}]}, "sites"),
        ("/blocks", {"name": "x", "selectors": [{"attribute": "id", "value": "a"}] * 2}, "selectors"),
        ("/blocks", {"name": "x", "selectors": [{"attribute": "email", "value": "no address"}]}, "selectors"),
        ("/sources", {"name": "x"}, "channel"),
        ("/sources", {"name": "x", "channel": "ads", "conditions": {"some": []}}, "conditions"),
        (
            "/sources",
            {
                "name": "x",
                "channel": "ads",
                "conditions": {"all": [{"field": "shoe", "operator": "equals", "value": "1"}]},
            },
            "conditions",
        ),
        (
            "/sources",
            {
                "name": "x",
                "channel": "ads",
                "conditions": {"all": [{"field": "from", "operator": "like", "value": "1"}]},
            },
            "conditions",
        ),
        ("/sources", {"name": "x", "channel": "ads", "conditions": {"all": [{"all": [{"all": []}]}]}}, "conditions"),
        (
            "/sources",
            {
                "name": "x",
                "channel": "ads",
                "conditions": {"all": [{"field": "from", "operator": "regex", "value": "("}]},
            },
            "conditions",
        ),
    ],
)
def test_what_is_refused_says_where(alice: Caller, path: str, body: dict[str, Any], field: str) -> None:
    reply = alice.post(path, body)
    assert reply.status_code == 422
    assert field in {error["field"].partition(".")[0] for error in reply.json()["errors"]}


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"tracking_type": "dynamic"}, "substitution_type"),
        ({"substitution_type": "auto_generation"}, "substitution_type"),
        (
            {"tracking_type": "dynamic", "substitution_type": "auto_generation", "traffic_type": "custom_sources"},
            "sources",
        ),
        (
            {"static_settings": [{"blocks": ["B"], "address": "a@site.example", "email_account": "M"}]},
            "static_settings",
        ),
        (
            {"rule_type": "external_area", "tracking_type": "dynamic", "substitution_type": "auto_generation"},
            "tracking_type",
        ),
        (
            {
                "tracking_type": "dynamic",
                "substitution_type": "manual_pool",
                "dynamic_settings": [{"blocks": ["B"], "email_account": "M", "addresses": ["info@site.example"]}],
            },
            "dynamic_settings",
        ),
        ({"state": "active"}, "static_settings"),
        (
            {
                "state": "active",
                "static_settings": [
                    {"address": "a@site.example", "email_account": "M", "default_source": "std:direct"}
                ],
            },
            "static_settings",
        ),
        (
            {
                "state": "active",
                "static_settings": [{"blocks": ["B"], "address": "a@site.example", "default_source": "std:direct"}],
            },
            "static_settings",
        ),
        (
            {
                "static_settings": [
                    {
                        "blocks": ["B"],
                        "address": f"{n}@site.example",
                        "email_account": "M",
                        "default_source": "std:direct",
                    }
                    for n in "ab"
                ]
            },
            "static_settings",
        ),
        (
            {
                "static_settings": [
                    {
                        "blocks": ["B"],
                        "address": "a@site.example",
                        "email_account": "M",
                        "source": s,
                        "default_source": "std:direct",
                    }
                    for s in (None, "std:direct")
                ]
            },
            "static_settings",
        ),
        (
            {
                "tracking_type": "dynamic",
                "substitution_type": "auto_generation",
                "state": "active",
                "dynamic_settings": [{"blocks": ["B"], "email_account": "M"}],
            },
            "state",
        ),
        (
            {"static_settings": [{"blocks": ["nowhere"], "address": "a@site.example", "default_source": "std:direct"}]},
            "static_settings",
        ),
        (
            {
                "static_settings": [
                    {"email_account": "nowhere", "address": "a@site.example", "default_source": "std:direct"}
                ]
            },
            "static_settings",
        ),
        ({"sources": ["std:direct"]}, "sources"),
        (
            {
                "rule_type": "external_area",
                "state": "active",
                "external_settings": [{"address": "p@site.example", "email_account": "M"}],
            },
            "external_settings",
        ),
    ],
)
def test_every_reason_why_a_rule_cannot_be(
    alice: Caller, block: str, mailbox: str, facts: dict[str, Any], field: str
) -> None:
    text = repr({**RULE, **facts}).replace("'B'", repr(block)).replace("'M'", repr(mailbox))
    reply = alice.post("/rules", eval(text))
    assert reply.status_code == 422, reply.text
    assert field in {error["field"] for error in reply.json()["errors"]}


def line(block: str, mailbox: str, address: str) -> dict[str, Any]:
    return {
        "blocks": [block],
        "address": address,
        "email_account": mailbox,
        "source": None,
        "default_source": "std:direct",
    }


def test_j37_an_address_means_one_thing(alice: Caller, block: str, mailbox: str) -> None:
    facts = {**RULE, "state": "active", "static_settings": [line(block, mailbox, "a@site.example")]}
    assert alice.post("/rules", facts).status_code == 201
    second = alice.post("/rules", facts)
    assert second.status_code == 422
    assert alice.post("/rules", {**facts, "state": "draft"}).status_code == 201


def test_j74_a_base_that_has_a_plus(world: World, alice: Caller, block: str, mailbox: str) -> None:
    with world.context.database.session_scope() as session:
        row = session.get_one(Mailbox, 1)
        row.address = "info+x@site.example"
        session.add(row)
    pool = {"blocks": [block], "email_account": mailbox}
    reply = alice.post(
        "/rules",
        {**RULE, "tracking_type": "dynamic", "substitution_type": "auto_generation", "dynamic_settings": [pool]},
    )
    assert reply.status_code == 422


def test_a_member_cannot_vouch(world: World, alice: Caller, block: str, mailbox: str) -> None:
    facts: dict[str, Any] = {
        **RULE,
        "tracking_type": "dynamic",
        "substitution_type": "auto_generation",
        "state": "active",
        "probe": "skip",
    }
    facts["dynamic_settings"] = [{"blocks": [block], "email_account": mailbox}]
    made = alice.post("/rules", facts)
    assert (made.status_code, made.json()["untested"], made.json()["state"]) == (201, True, "active")
    assert world.bob.post("/rules", {**facts, "dynamic_settings": []}).status_code in (403, 422)


def test_a_test_letter_by_api(world: World, alice: Caller, block: str, mailbox: str) -> None:
    pool = {"blocks": [block], "email_account": mailbox}
    facts = {**RULE, "tracking_type": "dynamic", "substitution_type": "auto_generation", "dynamic_settings": [pool]}
    made = alice.post("/rules", facts).json()
    assert (made["probe"], made["probe_detail"]) == ("none", None)
    sent = alice.post(f"/rules/{made['id']}/probe")
    assert (sent.status_code, sent.json()["probe"]) == (202, "sent")
    assert "info+" in sent.json()["probe_detail"]
    assert world.bob.post(f"/rules/{made['id']}/probe").status_code == 404
    static = alice.post("/rules", RULE).json()["id"]
    assert alice.post(f"/rules/{static}/probe").status_code == 409


def test_priority_by_moving(alice: Caller) -> None:
    ids = [alice.post("/rules", {**RULE, "name": name}).json()["id"] for name in "abc"]

    def names() -> str:
        return "".join(item["name"] for item in alice.get("/rules").json()["items"])

    for where, expected in (("up", "acb"), ("top", "cab"), ("down", "acb"), ("bottom", "abc")):
        assert alice.post(f"/rules/{ids[2]}/priority", {"move": where}).status_code == 200
        assert names() == expected
    first = alice.get("/rules", limit=2).json()
    assert len(first["items"]) == 2
    assert [i["name"] for i in alice.get("/rules", limit=2, cursor=first["next"]).json()["items"]] == ["c"]


def test_the_preview_says_why(alice: Caller, site: dict[str, Any], block: str, mailbox: str) -> None:
    alice.post("/rules", {**RULE, "state": "active", "static_settings": [line(block, mailbox, "a@site.example")]})
    made = alice.post(
        "/rules/preview", {"site": site["id"], "page": "https://site.example/?gclid=1", "referrer": ""}
    ).json()
    assert (made["source"]["name"], made["address"], made["rule_name"]) == ("Google Ads", "a@site.example", "Rule")
    assert "Google Ads" in made["reason"]


def test_pool_size(alice: Caller) -> None:
    made = alice.get("/rules/pool-size", visits_per_day=1000).json()
    assert made["addresses"] == 2617
    assert alice.get("/rules/pool-size", visits_per_day=90_000).json()["short_codes"] == 10_000
    assert alice.get("/rules/pool-size", visits_per_day=0).status_code == 422


def test_where_an_address_stands(alice: Caller, site: dict[str, Any]) -> None:
    html = '<p class="c">Write <a href="mailto:info@site.example">us</a> or info@site.example</p><script>info@site.example</script>'
    made = alice.post("/blocks/search", {"site": site["id"], "email": "info@site.example", "html": html}).json()
    assert [place["where"] for place in made["places"]] == ["text", "attribute href"]
    assert made["places"][0]["selector"] == {"attribute": "class", "value": "c"}


@pytest.mark.parametrize("name", ["sources", "letters", "enquiries", "answers", "rules", "mailboxes", "activity"])
def test_reports_as_table_and_as_file(alice: Caller, mailbox: str, name: str) -> None:
    made = alice.get(f"/reports/{name}", since="2026-01-01", until="2027-12-31").json()
    assert set(made) == {"columns", "rows", "totals", "distribution"}
    assert all(set(made["columns"]) <= set(row) for row in made["rows"])
    file = alice.call("GET", f"/reports/{name}", headers={"Accept": "text/csv"})
    assert file.headers["content-type"].startswith("text/csv")
    assert file.text.lstrip("\ufeff").splitlines()[0] == ",".join(made["columns"])
    assert alice.get(f"/reports/{name}", since="yesterday").status_code == 422
    assert alice.get(f"/reports/{name}", shoes="brown").status_code == 422
    for column in made["columns"]:
        field = "in_group" if column == "group" else column
        assert alice.get(f"/reports/{name}", **{field: "nothing has this"}).json()["rows"] == []
    assert alice.get(f"/reports/{name}", group="shoes").status_code == 422


def test_a_report_is_narrowed_by_any_column_and_so_are_its_sums(alice: Caller, mailbox: str) -> None:
    for number, source in enumerate(("std:ads/google", "std:ads/google", "std:search/bing")):
        body = {
            "received_at": "2026-11-30T10:00:00Z",
            "from": {"address": f"anna{number}@client.example"},
            "to": [{"address": "info@site.example"}],
            "subject": "Chairs",
            "text": f"How much are {number}?",
            "source": source,
        }
        assert alice.post("/letters/external", body).status_code == 201
    letters = alice.get("/reports/letters", source="bing").json()
    assert [(row["sender"], row["method"], row["manager"]) for row in letters["rows"]] == [
        ("anna2@client.example", "external", "")
    ]
    whole = alice.get("/reports/sources").json()
    assert whole["totals"]["enquiries"] == 3
    ads = alice.get("/reports/sources", channel="ADS").json()
    assert ([row["source"] for row in ads["rows"]], ads["totals"]["enquiries"]) == (["Google Ads"], 2)
    assert alice.get("/reports/sources", channel="-").json()["rows"] == []
    file = alice.call("GET", "/reports/sources?channel=ads", headers={"Accept": "text/csv"}).text
    assert [line.split(",")[3:5] for line in file.splitlines()[1:]] == [["0", "2"], ["0", "2"]], "the row and the sum"


def test_a_letter_from_elsewhere(alice: Caller, world: World) -> None:
    body = {
        "received_at": "2026-11-30T10:00:00Z",
        "from": {"address": "anna@client.example", "name": "Anna"},
        "to": ["Info@site.example", {"address": "boss@site.example"}],
        "subject": "Chairs",
        "text": "How much?",
        "source": "std:ads/google",
    }
    made = alice.post("/letters/external", body)
    assert made.status_code == 201, made.text
    letter = alice.get(f"/letters/{made.json()['id']}").json()
    assert (letter["counted"], letter["subject"], letter["attribution"]["method"]) == (True, "Chairs", "external")
    assert letter["recipient"] == "info@site.example"
    for to, repeat_of in (("info+a", letter["id"]), ("boss", None)):
        other = alice.post("/letters/external", {**body, "subject": "?", "to": [f"{to}@site.example"]}).json()
        assert (other["counted"], other["repeat_of"]) == (repeat_of is None, repeat_of)
    assert letter["attribution"]["source"]["name"] == "Google Ads"
    rows = alice.get("/reports/sources").json()["rows"]
    assert [(row["source"], row["enquiries"]) for row in rows] == [("Google Ads", 2)]
    assert alice.post("/letters/external", {**body, "to": []}).status_code == 422
    assert alice.post("/letters/external", {**body, "visit": "nowhere"}).status_code == 422
    assert [item["address"] for item in alice.get("/mailboxes").json()["items"]] == []


def test_sources_are_decided_again(world: World, alice: Caller, block: str, mailbox: str) -> None:
    sender = {"address": "anna@client.example"}
    body = {"received_at": "2026-11-30T10:00:00Z", "from": sender, "subject": "Chairs", "text": "?"}
    letter = alice.post("/letters/external", {**body, "to": [{"address": "a@site.example"}]}).json()["id"]
    alice.post("/rules", {**RULE, "state": "active", "static_settings": [line(block, mailbox, "a@site.example")]})
    asked = {"since": "2026-11-30", "until": "2026-11-30"}
    (change,) = alice.post("/letters/attribution", asked).json()["changes"]
    after = {"method": "static", "source": "Direct", "flags": []}
    assert change == {"letter": letter, "before": None, "after": after}
    assert alice.get(f"/letters/{letter}").json()["attribution"] is None
    assert world.bob.post("/letters/attribution", {"letters": [letter]}).json()["changes"] == []
    assert len(alice.post("/letters/attribution", {"letters": [letter], "preview": False}).json()["changes"]) == 1
    assert alice.get(f"/letters/{letter}").json()["attribution"]["method"] == "static"
    assert alice.post("/letters/attribution", {"letters": [letter], "preview": False}).json()["changes"] == []
    assert alice.post("/letters/attribution", {"since": "yesterday"}).status_code == 422


def test_somebody_elses_is_not_there(world: World, site: dict[str, Any], block: str) -> None:
    for path in (f"/sites/{site['id']}", f"/blocks/{block}"):
        assert world.bob.get(path).status_code == 404
        assert world.bob.call("DELETE", path).status_code == 404
    assert world.bob.get("/sites").json()["items"] == []
