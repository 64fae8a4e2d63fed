"""What the owner of a rule is told: each thing once a day and object, and nobody else."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, delete, select

from pixel.tokens import new_public_id
from tests.sites.website import Website
from tracker.models import Mailbox, Notification, SiteRule, Visit
from tracker.sites.notices import LEAST_VISITS, tell_of_rules


def bell_lines(website: Website) -> list[str]:
    with website.context.database.reading() as session:
        lines = session.exec(select(Notification).order_by(col(Notification.id))).all()
        assert {line.user_id for line in lines} <= {website.user.id}
        return [f"{line.subject.split(':')[0]} {line.count}" for line in lines]


def visits(website: Website, rule: SiteRule, covered: int, others: int, *, days_ago: float = 0) -> None:
    at = website.now() - timedelta(days=days_ago, minutes=1)
    with website.context.database.session_scope() as session:
        for number in range(covered + others):
            key = new_public_id()
            facts: dict[str, Any] = {
                "user_id": website.user.id or 0,
                "site_id": website.site.id or 0,
                "visitor": key,
                "session": key,
            }
            session.add(Visit(began_at=at, seen_at=at, rule_id=rule.id, covered=number < covered, **facts))


@pytest.mark.parametrize(
    ("covered", "others", "days_ago", "expected"),
    [
        (LEAST_VISITS - 1, 0, 0, []),
        (0, LEAST_VISITS - 1, 0, []),
        (LEAST_VISITS, 0, 0, []),
        (96, 4, 0, []),
        (94, 6, 0, ["coverage 1"]),
        (0, LEAST_VISITS, 0, ["coverage 1"]),
        (0, LEAST_VISITS, 2, []),
    ],
)
def test_a_low_coverage_of_the_last_day_is_told_once(
    website: Website, covered: int, others: int, days_ago: float, expected: list[str]
) -> None:
    rule = website.dynamic()
    visits(website, rule, covered, others, days_ago=days_ago)
    for _ in range(2):
        tell_of_rules(website.context)
    assert bell_lines(website) == expected


@pytest.mark.parametrize("facts", [{"active": False}, {"removed_at": True}])
@pytest.mark.parametrize("kind", ["dynamic", "static", "external"])
def test_a_mailbox_of_an_active_rule_that_is_switched_off_is_told_once(
    website: Website, facts: dict[str, bool], kind: str
) -> None:
    box = {"email_account": website.inbox.mailbox.public_id}
    if kind == "dynamic":
        rule = website.dynamic()
    elif kind == "static":
        line = {"blocks": [website.block().public_id], "address": "a@site.example", "default_source": "std:direct"}
        rule = website.static(line)
    else:
        line = {**box, "address": "fair@site.example", "source": "std:direct"}
        rule = website.rule(
            name="F", rule_type="external_area", tracking_type="static", state="active", external_settings=[line]
        )
    tell_of_rules(website.context)
    assert bell_lines(website) == [], "a mailbox that works is not spoken of"
    values = {name: website.now() if name == "removed_at" else value for name, value in facts.items()}
    website.set(website.inbox.mailbox, **values)
    for _ in range(3):
        tell_of_rules(website.context)
    assert bell_lines(website) == ["rulebox 1"]
    with website.context.database.session_scope() as session:
        session.exec(delete(Notification))
        session.get_one(SiteRule, rule.id).state = "draft"
    tell_of_rules(website.context)
    assert bell_lines(website) == [], "a draft needs no mailbox"


def test_a_pool_that_is_exhausted_and_a_code_that_got_about_are_told_once_each(website: Website) -> None:
    website.dynamic(substitution_type="manual_pool", addresses=["p1@site.example"])
    address = str(website.visitor().address())
    for _ in range(3):
        assert website.visitor().address() is None
    website.drained()
    assert bell_lines(website) == ["pool 1"]
    for number in range(6):
        website.letter(address, f"anna{number}@client.example")
    assert sorted(bell_lines(website)) == ["leaked 1", "pool 1"]


def test_what_lasts_is_told_again_after_a_day(website: Website) -> None:
    website.dynamic()
    website.set(website.inbox.mailbox, active=False)
    tell_of_rules(website.context)
    with website.context.database.session_scope() as session:
        line = session.exec(select(Notification)).one()
        line.at -= timedelta(days=1, minutes=1)
    tell_of_rules(website.context)
    (line,) = website.rows(Notification)
    assert website.now() - line.at < timedelta(hours=1), "the line is new again"
    assert [box.active for box in website.rows(Mailbox)] == [False]
