"""Traps of websites that need an edge, a spool and a letter together; and that none of the specification's is forgotten."""

import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select

from pixel.site_codes import long_codes
from tests.fixtures.counts import counted
from tests.sites.website import BASE, Website
from tracker.models import Letter, LetterSource, Notification, PageView, SiteBlock, SiteLease, Visit
from tracker.runtime.report_table import Period
from tracker.sites.letters import attribute_letters, own_addresses_of_rules
from tracker.sites.rule_report import rules_report
from tracker.sites.rules import remove_rule
from tracker.sites.source_report import activity_report

pytestmark = pytest.mark.parametrize("context", ["sqlite"], indirect=True)
"""Rules and attribution are tried on both engines elsewhere."""
TRAPS = (*range(1, 46), 48, 49, 50, 51, 52, 54, 55, 57, 58, 59, 60, 61, *range(63, 69), 70, 71, 73, 74, 75)
REASONS = {
    5: "entities and attributes are lines of the table of J1 to J7",
    2: "lines of the table of J1 to J7",
    3: "lines of the table of J1 to J7",
    4: "a line of the table of J1 to J7",
    17: "without the script nothing is swapped: a letter to the base, which is J22",
}


def test_every_trap_of_the_specification_is_tried(website: Website) -> None:
    """``jN`` in the name of a test, or ``JN`` in an id or a remark of a table."""
    files = [*Path("tests/sites").glob("*.py"), *Path("tests/pixel").glob("*.py"), *Path("tests/web/api").glob("*.py")]
    files += Path("tests/inbound").glob("test_probe.py")
    text = "\n".join(file.read_text("utf-8") for file in files)
    tried = {int(number) for number in re.findall(r"(?:_j|\bJ)(\d{1,2})(?![\d])", text)}
    assert [number for number in TRAPS if number not in tried and number not in REASONS] == []


def test_j33_a_rule_that_was_removed_is_understood_a_month_later(website: Website) -> None:
    rule = website.dynamic()
    address = website.visitor().address(page="https://site.example/?utm_source=a&utm_medium=cpc")
    website.drained()
    with website.context.database.session_scope() as session:
        remove_rule(session, website.context, session.merge(rule))
    assert website.visitor().address() is None
    month = website.now() + timedelta(days=31)
    made = website.letter(str(address), internal_date=month, fetched_at=month)
    assert made is not None
    assert (made.method, made.source["name"], made.flags) == ("code", "a", ["late"])


def test_j38_a_sender_who_writes_to_every_code_is_no_visitor(website: Website) -> None:
    website.dynamic(substitution_type="auto_short")
    shown = [str(website.visitor().address()) for _ in range(6)]
    website.drained()
    before = len(website.rows(Visit))
    made = [website.letter(address, "spam@bot.example") for address in shown]
    assert [row.visit_id is not None for row in made if row] == [True, True, True, False, False, False]
    assert [row.flags for row in made if row][3:] == [["leaked", "many_codes"]] * 3
    assert len(website.rows(Notification)) == 1, "one line about the sender"
    known = [website.letter(address, "anna@client.example") for address in shown[:1]]
    assert known[0] is not None
    assert known[0].visit_id is not None, "others are believed as before"
    for number in range(5):
        row = website.letter(f"info+{number:04d}@site.example", "other@bot.example")
        assert row is not None
        assert (row.method, row.visit_id) == ("unknown_code", None) or row.address in shown
    assert len(website.rows(Visit)) == before, "letters make no visits"


def test_j39_a_visitor_whose_storage_was_dropped_keeps_the_old_address(website: Website) -> None:
    website.dynamic()
    old = website.visitor()
    first = str(old.address(page="https://site.example/?utm_source=a&utm_medium=cpc"))
    fresh = website.visitor()
    assert fresh.address() != first
    website.drained()
    assert len({visit.visitor for visit in website.rows(Visit)}) == 2
    made = website.letter(first)
    assert made is not None
    assert made.source["name"] == "a"


def test_j35_a_block_that_vanished_is_said_once_and_comes_back(website: Website) -> None:
    block = website.block()
    website.dynamic(block)
    website.set(block, created_at=website.now() - timedelta(days=2))
    for _ in range(51):
        website.visitor().sees(selectors=[])
    website.drained()
    assert [row.is_error for row in website.rows(SiteBlock)] == [True]
    assert "was not found on any page" in str(website.rows(Notification)[0].detail)
    for _ in range(2):
        website.visitor().sees(selectors=[])
    website.drained()
    assert len(website.rows(Notification)) == 1
    website.visitor().sees(selectors=[{"attribute": "email", "value": BASE}])
    website.drained()
    assert [row.is_error for row in website.rows(SiteBlock)] == [False]


def test_j75_a_session_over_midnight_is_one_and_of_the_day_it_began(website: Website) -> None:
    visitor = website.visitor()
    visitor.sees()
    visitor.sees("https://site.example/contact")
    website.drained()
    (visit,) = website.rows(Visit)
    night = datetime(2026, 11, 30, 23, 55, tzinfo=UTC)
    website.set(visit, began_at=night, seen_at=night + timedelta(minutes=6))
    for number, view in enumerate(website.rows(PageView)):
        website.set(view, at=night + timedelta(minutes=6 * number))
    website.set(website.user, timezone="UTC")
    with website.context.database.reading() as session:
        report = activity_report(session, website.user, Period())
    assert [(row["day"], row["visits"]) for row in report.rows] == [("2026-11-30", 1)]


@pytest.mark.parametrize("letter", ["before", "after"])
def test_a_letter_that_is_read_before_its_visit_is_decided_once_that_has_come(website: Website, letter: str) -> None:
    website.dynamic()
    address = str(website.visitor().address(page="https://site.example/?utm_source=a&utm_medium=cpc"))
    if letter == "after":
        website.drained()
    made = website.letter(address)
    assert made is not None
    assert made.method == ("unknown_code" if letter == "before" else "code")
    website.drained()
    (row,) = _sources(website)
    assert (row.method, row.source["name"]) == ("code", "a")


def test_a_withdrawn_visitor_leaves_nothing_and_the_letter_stays(website: Website) -> None:
    website.dynamic()
    visitor = website.visitor()
    made = website.letter(str(visitor.address()))
    website.drained()
    assert visitor.tells("withdrawal") == 204
    website.drained()
    assert (website.rows(Visit), website.rows(SiteLease), website.rows(PageView)) == ([], [], [])
    assert made is not None
    assert [row.visit_id for row in _sources(website)] == [None]


def test_codes_of_a_robot_and_unknown_ones_are_in_the_report_of_rules(website: Website) -> None:
    rule = website.dynamic()
    website.set(website.site, ignore_robots=False)
    website.letter(f"info+{long_codes('a', bytes(range(7)))[0]}@site.example")
    website.letter("info+nonsense1@site.example")
    with website.context.database.reading() as session:
        report = rules_report(session, website.user, Period())
    assert report.totals["unknown_codes"] == 2
    assert [row["rule"] for row in report.rows] == [rule.name]


def _sources(website: Website) -> list[LetterSource]:
    with website.context.database.reading() as session:
        return list(session.exec(select(LetterSource)))


def test_an_address_whose_visit_is_not_stored_is_not_shown(website: Website) -> None:
    website.dynamic()
    with sqlite3.connect(website.edge.spool.path) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        assert website.visitor().sees()["rules"] == []
        lock.rollback()
    assert website.visitor().address() is not None


def test_a_letter_is_decided_without_reading_a_persons_visits(website: Website) -> None:
    website.dynamic()
    address = str(website.visitor().address())
    website.drained()
    asked: list[tuple[str, Any]] = []
    engine = website.context.database.engine

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    website.letter(address)
    event.remove(engine, "before_cursor_execute", note)
    mine = [(text, values) for text, values in asked if "FROM site_lease" in text or "FROM letter_source" in text]
    with engine.connect() as connection:
        plans = [str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()) for text, values in mine]
    assert plans
    assert [plan for plan in plans if "ix_site_visit_list" in plan or "ix_letter_source_method" in plan] == []


def test_letters_that_come_together_are_decided_by_the_same_few_statements(website: Website) -> None:
    website.dynamic()
    addresses = [str(website.visitor().address()) for _ in range(30)]
    website.drained()

    def stored(number: int) -> Letter:
        facts: dict[str, Any] = {"identity": f"i{number}", "content_hash": f"c{number}", "category": "human", "size": 1}
        box = website.inbox.mailbox
        facts |= {"user_id": box.user_id, "mailbox_id": box.id, "received_at": website.now(), "recipient": ""}
        return Letter(sender=f"anna{number}@client.example", **facts)

    def statements(numbers: range) -> int:
        with website.context.database.session_scope() as session:
            own = own_addresses_of_rules(session, website.user.id or 0)
            letters = [stored(number) for number in numbers]
            session.add_all(letters)
            session.flush()
            lot = [(letter, [("to", addresses[number])]) for letter, number in zip(letters, numbers, strict=True)]
            with counted(website.context) as counts:
                attribute_letters(session, own, lot)
            assert {session.get_one(LetterSource, letter.id).method for letter in letters} == {"code"}
        return counts["statements"]

    few, many = statements(range(2)), statements(range(2, 30))
    assert many == few <= 10
