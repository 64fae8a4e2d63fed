"""The report of rules: what each has shown over a period, and what came of it."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Row, case, or_
from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from pixel.site_codes import split_tag
from tracker.models import LetterSource, Mailbox, SiteRule, User, Visit
from tracker.runtime.report_table import Period, Report, Value

COLUMNS = (
    *("rule", "state", "impressions", "visits", "visitors", "coverage", "letters", "letters_with_visit"),
    *("unknown_codes", "leaked_codes"),
)


def rules_report(session: Session, user: User, period: Period, group: str = "") -> Report:
    """``impressions`` are pages of its visits, ``coverage`` the share of these visits that had an address of their own.
    ``unknown_codes`` are letters to a code of its mailbox that nobody was shown, ``leaked_codes`` addresses that too many wrote to.
    Rules that are over have a row while something came of them in the period."""
    shown, visitors = _shown(session, user, period)
    letters: dict[int | None, list[Row[Any]]] = defaultdict(list)
    everything = _letters(session, user, period)
    rules = list(
        session.exec(
            select(SiteRule).where(SiteRule.user_id == user.id).order_by(col(SiteRule.position), col(SiteRule.id))
        )
    )
    by_base = _rules_by_base(session, user, rules)
    for row in everything:
        is_unknown = row.method == "unknown_code"
        letters[by_base.get(_base_of(row.address)) if is_unknown else row.rule_id].append(row)
    rows = [
        _row(rule, shown.get(rule.id), letters[rule.id])
        for rule in rules
        if rule.removed_at is None or rule.id in shown or letters[rule.id]
    ]
    totals: dict[str, Value] = {**dict.fromkeys(COLUMNS), "visitors": visitors, **_letter_counts(everything)}
    for name in ("impressions", "visits"):
        totals[name] = sum(number for row in rows if isinstance(number := row[name], int))
    return Report(COLUMNS, rows, totals)


def _row(rule: SiteRule, shown: Row[Any] | None, letters: list[Row[Any]]) -> dict[str, Value]:
    has_coverage = rule.tracking_type == "dynamic" and shown is not None
    return {
        "rule": rule.name,
        "state": rule.state if rule.removed_at is None else "removed",
        "impressions": int(shown.pages or 0) if shown else 0,
        "visits": shown.visits if shown else 0,
        "visitors": shown.visitors if shown else 0,
        "coverage": round(int(shown.covered or 0) / shown.visits, 3) if has_coverage and shown else None,
        **_letter_counts(letters),
    }


def _letter_counts(letters: list[Row[Any]]) -> dict[str, Value]:
    return {
        "letters": len([row for row in letters if row.rule_id]),
        "letters_with_visit": len([row for row in letters if row.visit_id]),
        "unknown_codes": len([row for row in letters if row.method == "unknown_code"]),
        "leaked_codes": len(
            {row.address for row in letters if "leaked" in row.flags and "many_codes" not in row.flags}
        ),
    }


def _shown(session: Session, user: User, period: Period) -> tuple[dict[int, Row[Any]], int]:
    """Visits by their rule, and the number of all visitors that were shown something."""
    mine = (col(Visit.user_id) == user.id, col(Visit.robot).is_(False), col(Visit.rule_id).is_not(None))
    visitors: Any = func.count(func.distinct(Visit.visitor))
    figures = (
        func.sum(Visit.pages).label("pages"),
        func.count().label("visits"),
        visitors.label("visitors"),
        func.sum(case((col(Visit.covered), 1), else_=0)).label("covered"),
    )
    where = (*mine, *period.conditions(Visit.began_at))
    query = columns(col(Visit.rule_id), *figures).where(*where).group_by(col(Visit.rule_id))
    return {row.rule_id: row for row in session.execute(query)}, session.execute(
        columns(visitors).where(*where)
    ).scalar_one()


def _letters(session: Session, user: User, period: Period) -> list[Row[Any]]:
    facts = (col(LetterSource.rule_id), col(LetterSource.visit_id), col(LetterSource.method))
    query = columns(*facts, col(LetterSource.flags), col(LetterSource.address)).where(
        col(LetterSource.user_id) == user.id,
        or_(col(LetterSource.rule_id).is_not(None), col(LetterSource.method).in_(("code", "unknown_code"))),
        *period.conditions(LetterSource.received_at),
    )
    return list(session.execute(query))


def _rules_by_base(session: Session, user: User, rules: list[SiteRule]) -> dict[str, int | None]:
    """The rule whose codes stand behind a mailbox's address: of several the first that is active, else the newest."""
    boxes = {
        box.public_id: _base_of(box.address) for box in session.exec(select(Mailbox).where(Mailbox.user_id == user.id))
    }
    made: dict[str, int | None] = {}
    for rule in sorted(rules, key=lambda rule: (rule.removed_at is None, rule.state == "active", -rule.position)):
        made |= {
            boxes[pool["email_account"]]: rule.id for pool in rule.dynamic_settings if pool["email_account"] in boxes
        }
    return made


def _base_of(address: str) -> str:
    parts = split_tag(address.lower())
    return parts[0] if parts else address.lower()
