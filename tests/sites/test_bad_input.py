"""Bad input beside the traps of the specification: what lies, jumps, is gone, old, too long or too much."""

import os
import time
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import pytest

from pixel.limits import Budgets
from tests.fixtures.contexts import People
from tests.sites.website import BASE, Website, website_of
from tracker.inbound.mailboxes import remove_mailbox
from tracker.models import Mailbox, SiteLease, User, Visit
from tracker.runtime.context import AppContext
from tracker.sites.inputs import NewSite
from tracker.sites.publishing import publish_due
from tracker.sites.rules import warnings_of
from tracker.sites.sites import save_site

pytestmark = pytest.mark.parametrize("context", ["sqlite"], indirect=True)


def warnings(website: Website, rule: Any) -> list[str]:
    with website.context.database.reading() as session:
        return [str(warning) for warning in warnings_of(session, website.user, session.merge(rule))]


def test_two_blocks_that_claim_one_element_are_warned_of_and_the_older_one_wins(website: Website) -> None:
    first, second = website.block(("class", "mail")), website.block(("class", "mail"), name="Footer")
    box = {"email_account": website.inbox.mailbox.public_id}
    lines = [
        {"blocks": [block.public_id], "source": None, "default_source": "std:direct", "address": address, **box}
        for block, address in ((second, "b@site.example"), (first, "a@site.example"))
    ]
    rule = website.static(*lines)
    assert [each["show"] for each in website.visitor().sees()["rules"]] == ["a@site.example"]
    assert any("Contact" in text and "Footer" in text for text in warnings(website, rule))
    other = website.block(("class", "phone"), name="Side")
    assert (
        warnings(website, website.change(rule, static_settings=[{**lines[0], "blocks": [other.public_id]}, lines[1]]))
        == []
    )


def test_a_rule_whose_mailbox_is_gone_shows_nothing_and_says_so(website: Website) -> None:
    rule = website.dynamic()
    address = str(website.visitor().address())
    website.drained()
    with website.context.database.session_scope() as session:
        remove_mailbox(session, session.get_one(Mailbox, website.inbox.mailbox.id))
    publish_due(website.context)
    assert website.visitor().address() is None
    assert any(BASE in text for text in warnings(website, rule))
    assert website.rows(SiteLease)[0].address == address, "what was shown is still known"


def test_marks_without_end_and_with_broken_signs_are_cut_and_stored(website: Website) -> None:
    website.dynamic()
    page = f"https://site.example/?utm_source={'a' * 2500}&utm_medium=%zz%ff&utm_campaign={quote('<script>alert(1)</script>')}"
    assert website.visitor().address(page=page) is not None
    assert website.visitor().post("resolve", {"key": website.site.key, "page": page + "b" * 6000}).status_code == 413
    website.drained()
    (visit,) = website.rows(Visit)
    assert (len(visit.marks["utm_source"]), visit.marks["utm_campaign"]) == (300, "<script>alert(1)</script>")


@pytest.mark.parametrize("jump", [timedelta(hours=3), timedelta(hours=-3), timedelta(days=400), timedelta(days=-400)])
def test_a_clock_that_jumps_loses_no_visitor(website: Website, jump: timedelta) -> None:
    """Between the page that showed the address and the letter."""
    website.dynamic()
    visitor = website.visitor()
    address = str(visitor.address(page="https://site.example/?utm_source=a&utm_medium=cpc"))
    website.drained()
    for row in (*website.rows(Visit), *website.rows(SiteLease)):
        times = {
            name: getattr(row, name) + jump
            for name in ("began_at", "seen_at", "shown_at", "until")
            if hasattr(row, name)
        }
        website.set(row, **times)
    assert visitor.address() == address
    website.drained()
    made = website.letter(address)
    assert made is not None
    assert (made.method, made.source["name"]) == ("code", "a")


def test_an_edge_whose_snapshot_is_a_week_old_answers_by_it(website: Website) -> None:
    website.dynamic()
    snapshot = website.context.settings.data_dir / "sites.json"
    week = time.time() - 7 * 86400
    os.utime(snapshot, (week, week))
    address = str(website.visitor().address(page="https://site.example/?utm_source=a&utm_medium=cpc"))
    website.drained()
    made = website.letter(address)
    assert made is not None
    assert made.source["name"] == "a"


def test_the_key_of_somebody_elses_site_gives_that_sites_rules_on_its_own_hosts_alone(
    website: Website, context: AppContext, people: People
) -> None:
    bob = people.user("Bob")
    website.dynamic()
    with context.database.session_scope() as session:
        theirs = save_site(session, context, bob, None, NewSite(name="Other", hosts=["other.example"]))
    body = {"key": theirs.key, "page": "https://site.example/"}
    assert website.visitor().post("resolve", body).status_code == 403
    there = website.visitor(origin="https://other.example").post("resolve", {**body, "page": "https://other.example/"})
    assert (there.status_code, there.json()["rules"]) == (200, [])
    website.drained()
    assert {visit.user_id for visit in website.rows(Visit)} <= {bob.id}
    forged = website.visitor(origin="https://site.example").post("resolve", {**body, "page": "https://other.example/"})
    assert forged.status_code == 403, "the origin decides, not what the page is said to be"


def test_a_flood_of_questions_gets_every_answer_and_few_visits(context: AppContext, alice: User) -> None:
    with website_of(
        context, alice, budgets=Budgets(per_source=20), trusted_proxies=(ip_network("127.0.0.1"),)
    ) as website:
        website.dynamic()
        behind = {"X-Forwarded-For": "203.0.113.9"}
        replies = [
            website.visitor().post("resolve", {"key": website.site.key, "page": "https://site.example/"}, **behind)
            for _ in range(80)
        ]
        assert {reply.status_code for reply in replies} == {200}
        shown = [reply for reply in replies if reply.json()["rules"]]
        assert 20 <= len(shown) < 80
        assert len(website.hits()) == len(shown)
