"""The pages of websites: a marketer sets everything up from the screens, without scripts."""

import re

import httpx
import pytest

from tests.inbound.arrivals import connected
from tracker.models import Mailbox, SiteRule, User
from tracker.runtime.context import AppContext

PAGES = (
    *("/sites", "/sites/new", "/sites/blocks/new", "/sites/rules", "/sites/rules/new", "/sites/sources"),
    *("/sites/sources/new", "/sites/preview", "/reports/sources", "/reports/letters", "/reports/letters?columns=all"),
    *("/reports/enquiries", "/reports/answers", "/reports/rules", "/reports/mailboxes", "/reports/activity"),
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_reports_lead_to_the_first_of_them(client: httpx.Client) -> None:
    assert client.get("/reports").headers["location"] == "/reports/enquiries"


def test_what_no_visit_has_is_offered_only_where_a_condition_names_it(client: httpx.Client) -> None:
    offered = client.get("/sites/sources/new").text
    assert 'value="device"' in offered
    assert not re.search(r'value="(country|region|city)"', offered)
    facts = {"name": "Moscow", "channel": "ads", "join": "all"}
    line = {"field": "city", "operator": "equals", "value": "Moscow"}
    assert client.post("/sites/sources/new", data=facts | line).status_code == 303
    source = re.search(r"/sites/sources/([\w-]{11})", client.get("/sites/sources").text)
    assert source is not None
    assert re.findall(r'value="(country|region|city)"', client.get(source[0]).text).count("city") >= 1


def test_set_up_from_the_screens(client: httpx.Client, context: AppContext, alice: User) -> None:
    with context.database.session_scope() as session:
        mailbox = Mailbox(
            user_id=alice.id or 0, address="info@site.example", canonical="info@site.example", state="active"
        )
        session.add(mailbox)
    made = client.post("/sites/new", data={"name": "Shop", "hosts": "site.example", "session_minutes": "30", "cookie_days": "400",
                                           "attribution": "last", "ignore_robots": "on"})  # fmt: skip
    assert made.status_code == 303
    site = made.headers["location"].rpartition("/")[2]
    page = client.get(made.headers["location"]).text
    assert "/s/" in page
    assert "before &lt;/head&gt;." in page, "the page says where the line belongs"
    assert re.search(rf'value="{site}"\s+checked', client.get("/sites/blocks/new").text), "the only site is chosen"
    wrong = client.post("/sites/blocks/new", data={"name": "", "attribute": "email", "value": "x"})
    assert wrong.status_code == 422
    assert 'id="name-wrong"' in wrong.text, [
        line for line in wrong.text.splitlines() if "wrong" in line or "invalid" in line
    ]
    assert client.post("/sites/blocks/new", data={"name": "Contact", "sites": site, "attribute": "email",
                                                  "value": "info@site.example"}).status_code == 303  # fmt: skip
    block = re.search(r"/sites/blocks/([\w-]{11})", client.get("/sites").text)
    assert block is not None
    with context.database.session_scope() as session:
        session.add(
            Mailbox(user_id=alice.id or 0, address="b@site.example", canonical="b@site.example", state="active")
        )
    chosen = re.findall(r'value="([\w-]{11})"\s+selected', client.get("/sites/rules/new").text)
    assert mailbox.public_id in chosen, "the mailbox whose address the block names"
    facts = {
        "name": "Everybody",
        "rule_type": "site_emails",
        "tracking_type": "dynamic",
        "substitution_type": "auto_generation",
        "traffic_type": "all",
        "pool_blocks": block[1],
        "pool_email_account": mailbox.public_id,
        "state": "active",
    }
    untested = client.post("/sites/rules/new", data=facts)
    assert untested.status_code == 303
    path = untested.headers["location"].removesuffix("#probe")
    assert "Send a test letter" in client.get(path).text
    with context.database.reading() as session:
        assert session.get_one(SiteRule, 1).state == "draft"
    assert client.post(f"{path}/activation").status_code == 303
    assert "test letter first" in client.get(path).text
    assert client.post(f"{path}/probe").status_code == 303
    assert re.search(r"Write a letter to info\+\w{9}@site.example", client.get(path).text)
    with context.database.session_scope() as session:
        session.get_one(SiteRule, 1).probe = "passed"
    assert client.post(f"{path}/activation").status_code == 303
    with context.database.reading() as session:
        rule = session.get_one(SiteRule, 1)
    assert (rule.state, rule.dynamic_settings[0]["blocks"]) == ("active", [block[1]])
    shown = client.get("/sites/preview", params={"site": site, "page": "https://site.example/?gclid=1"}).text
    assert "info+a" in shown
    assert "Google Ads" in shown
    assert client.get(f"/sites/rules/{rule.public_id}").status_code == 200
    assert client.post(f"/sites/rules/{rule.public_id}/priority", data={"move": "top"}).status_code == 303


def test_what_would_change_is_shown_before_sources_are_decided_again(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    inbox = connected(context, alice)
    facts = {
        "name": "Leaflet",
        "rule_type": "external_area",
        "state": "active",
        "external_address": "fair@site.example",
    }
    line = {"external_email_account": inbox.mailbox.public_id, "external_source": "std:direct"}
    letter = inbox.arrive(b"From: anna@client.example\r\nTo: fair@site.example\r\nSubject: Chairs\r\n\r\nHow much?\r\n")
    assert client.post("/sites/rules/new", data={**facts, **line}).status_code == 303
    shown = client.get("/sites/attribution", params={"letter": letter.public_id}).text
    assert "Chairs" in shown
    assert "Direct" in shown
    assert "Decide again" not in client.get(f"/letters/{letter.public_id}").text
    done = client.post("/sites/attribution", data={"letter": letter.public_id})
    assert done.headers["location"].startswith(f"/letters/{letter.public_id}")
    assert f"/sites/attribution?letter={letter.public_id}" in client.get(f"/letters/{letter.public_id}").text
    assert "Nothing would change" in client.get("/sites/attribution").text
