"""What the reports say of visits, letters, rules and mailboxes."""

from datetime import timedelta

import pytest
from sqlmodel import select

from pixel.site_codes import long_codes
from tests.sites.website import Website
from tracker.inbound.mailbox_report import mailboxes_report
from tracker.models import FetchRetry, LetterBinding, MailboxProblem, SiteRule
from tracker.runtime.report_table import Period, Report
from tracker.sites.letter_report import country_of, letters_report
from tracker.sites.rule_report import rules_report
from tracker.sites.rules import remove_rule
from tracker.sites.source_report import sources_report

AD = "https://site.example/?utm_source=google&utm_medium=cpc&utm_campaign=spring&utm_term=chairs&gclid=G1"


@pytest.mark.parametrize(
    ("timezone", "country"),
    [
        ("Europe/Moscow", "RU"), ("Asia/Calcutta", "IN"), ("Asia/Kolkata", "IN"), ("Europe/Kiev", "UA"),
        ("UTC", ""), ("Nowhere/X", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_country_is_known_by_the_clock_alone(timezone: str, country: str) -> None:
    assert country_of(timezone) == country


def letters(website: Website, *, uncounted: bool = False) -> Report:
    with website.context.database.reading() as session:
        return letters_report(session, website.user, Period(), uncounted=uncounted)


def test_a_letter_stands_with_all_that_is_known_of_it_and_its_visit(website: Website) -> None:
    rule = website.dynamic()
    visitor = website.visitor()
    address = str(
        visitor.address(page=AD, referrer="https://www.google.com/", timezone="Europe/Moscow", screen="800x600")
    )
    website.drained()
    website.letter(address, headers="Bcc: boss@site.example\r\n")
    website.letter(address)
    report = letters(website)
    (row,) = report.rows
    facts = {
        "bcc": "boss@site.example", "category": "human", "counted": True, "repeat_of": "", "rule": rule.name,
        "campaign": "spring", "utm_source": "google", "utm_medium": "cpc", "utm_term": "chairs", "utm_content": "",
        "click_ids": "gclid=G1", "referrer_domain": "www.google.com", "country": "RU", "timezone": "Europe/Moscow",
        "screen": "800x600", "pages_seen": 1, "visitor": visitor.facts["visitor"], "site": "Shop", "method": "code",
    }  # fmt: skip
    assert {name: row[name] for name in facts} == facts
    assert set(row) == set(report.columns)
    assert report.totals["counted"] == 1
    repeat = letters(website, uncounted=True).rows[0]
    assert (repeat["counted"], repeat["repeat_of"]) == (False, row["id"])


def rules(website: Website, since: timedelta | None = None) -> Report:
    with website.context.database.reading() as session:
        return rules_report(session, website.user, Period(website.now() - since if since else None))


def test_unknown_and_leaked_codes_and_coverage_stand_with_their_rule(website: Website) -> None:
    first = website.dynamic(substitution_type="manual_pool", addresses=["p1@site.example"])
    shown = [website.visitor().address() for _ in range(4)]
    assert shown.count(None) == 3, "one address for four"
    website.drained()
    for number in range(5):
        website.letter(str(shown[0]), f"anna{number}@client.example")
    website.letter(f"info+{long_codes('a', bytes(range(7)))[0]}@site.example", "eve@client.example")
    (row,) = rules(website).rows
    assert (row["rule"], row["visits"], row["coverage"]) == (first.name, 4, 0.25)
    assert (row["leaked_codes"], row["unknown_codes"], row["letters"]) == (1, 1, 5)
    assert row["letters_with_visit"] == 3, "the fourth sender and those after have none"
    with website.context.database.session_scope() as session:
        remove_rule(session, website.context, session.get_one(SiteRule, first.id))
    assert [row["state"] for row in rules(website).rows] == ["removed"]
    assert rules(website, timedelta(seconds=-60)).rows == [], "nothing came of it in that time"


def test_what_came_of_no_site_is_no_conversion_of_its_visits(website: Website) -> None:
    website.dynamic()
    shown = [website.visitor().address() for _ in range(4)]
    website.drained()
    website.letter(str(shown[0]), "anna@client.example")
    for number in range(9):
        website.letter("info@site.example", f"ben{number}@client.example")
    with website.context.database.reading() as session:
        report = sources_report(session, website.user, Period())
    assert (report.totals["visits"], report.totals["enquiries"], report.totals["conversion"]) == (4, 10, 0.25)


def test_a_mailbox_stands_with_its_run_what_came_and_what_was_left_out(website: Website) -> None:
    website.letter("info@site.example")
    website.letter("info@site.example", "robot@client.example", headers="Auto-Submitted: auto-replied\r\n")
    box, folder = website.inbox.mailbox, website.inbox.folder
    website.inbox.change(good_run_at=website.now() - timedelta(minutes=5), run_ended_at=website.now(), failures=2)
    with website.context.database.session_scope() as session:
        for code in ("too_large", "too_large", "rebuilt"):
            session.add(MailboxProblem(mailbox_id=box.id or 0, code=code))
        session.add(FetchRetry(folder_id=folder.id or 0, uid=7, try_at=website.now()))
        reasons = session.exec(select(LetterBinding.rule)).all()
    with website.context.database.reading() as session:
        report = mailboxes_report(session, website.user, Period())
    (row,) = report.rows
    facts = {"mailbox": box.address, "failures": 2, "retries": 1, "letters": 2, "enquiries": 1, "repeats": 0}
    facts |= {"auto_reply": 1, "too_large": 2, "unparsed": 0}
    assert {name: row[name] for name in facts} == facts
    assert row["skipped_customer_not_found"] == reasons.count("customer_not_found") > 0
    assert 300 <= int(str(row["lag_seconds"])) < 400
    assert (report.totals["too_large"], set(row)) == (2, set(report.columns))
