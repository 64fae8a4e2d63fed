"""The report of letters: one row each with everything that is known of where it comes from."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from babel.core import get_global
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from tracker.models import (
    Customer,
    EnquiryStatus,
    Letter,
    LetterAttachment,
    LetterBinding,
    LetterBody,
    LetterSource,
    Mailbox,
    Order,
    Site,
    SiteRule,
    User,
    Visit,
)
from tracker.models.counting.tables import in_list
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.runtime.paging import in_order
from tracker.runtime.report_table import Period, Report, Value

MOST = 10_000
CLICK_IDS = ("gclid", "gbraid", "wbraid", "yclid", "ymclid", "ysclid", "msclkid", "fbclid", "ef_id", "cm_id")
UTM = ("utm_source", "utm_medium", "utm_content", "utm_term")
COLUMNS = (
    *(
        "id",
        "received_at",
        "sender",
        "sender_name",
        "to",
        "cc",
        "bcc",
        "address",
        "subject",
        "snippet",
        "has_attachments",
    ),
    *("attachments", "mailbox", "category", "counted", "repeat_of"),
    *("method", "flags", "rule", "code", "site", "channel", "group", "source", "campaign", *UTM, "click_ids", "marks"),
    *("referrer", "referrer_domain", "phrase", "page", "entrance_page", "visitor", "session", "visit", "visit_at"),
    *("visit_number", "pages_seen", "country", "timezone", "device", "client", "screen", "language"),
    *("manager", "customer", "tags", "order", "loaded_after_seconds"),
)
UNCOUNTED = ("category", "counted", "repeat_of")
"""Columns that letters which are no enquiries are asked for by; without a filter on one of these they are left out."""
_BCC = re.compile(r"^bcc: *(.*)$", re.IGNORECASE | re.MULTILINE)
_original = aliased(Letter)
_ORDER = (Letter.received_at, Letter.id)


def letters_report(
    session: Session,
    user: User,
    period: Period,
    group: str = "",
    most: int = MOST,
    *,
    uncounted: bool = False,
    after: str = "",
) -> Report:
    """Letters that count, with ``uncounted`` the others too, newest first, of the newest ``most``; ``counted`` of the totals is the
    number of all that count. ``after`` is the public id of a letter: those older than it."""
    mine, counted = _conditions(user, period)
    place = _place(session, user, after) if after else None
    query = in_order(_query().where(*(mine if uncounted else counted)), _ORDER, place)
    rows = session.execute(query.limit(most)).all()
    names = _Names(session, user, [row[0] for row in rows])
    report = Report(COLUMNS, [names.row(row) for row in rows])
    report.totals = {**dict.fromkeys(COLUMNS), "counted": sum(row["counted"] is True for row in report.rows)}
    if len(rows) == most or after:
        report.totals["counted"] = session.exec(select(func.count()).select_from(Letter).where(*counted)).one()
    return report


def letter_times(session: Session, user: User, period: Period, most: int) -> Sequence[datetime]:
    """When the newest of the letters that count came."""
    query = in_order(select(Letter.received_at).where(*_conditions(user, period)[1]), _ORDER)
    return session.scalars(query.limit(most)).all()


def _conditions(user: User, period: Period) -> tuple[Sequence[Any], Sequence[Any]]:
    """Of every letter of the period, and of those that count."""
    mine = (Letter.user_id == user.id, col(Letter.deleted_at).is_(None), *period.conditions(Letter.received_at))
    return mine, (*mine, col(Letter.counted), col(Letter.withdrawn_at).is_(None))


def _place(session: Session, user: User, public_id: str) -> Sequence[Any]:
    letter = columns(col(Letter.received_at), col(Letter.id))
    place = session.execute(letter.where(col(Letter.public_id) == public_id, col(Letter.user_id) == user.id)).first()
    if place is None:
        raise ActionError("invalid", LocalizedText("There is no such letter."), "after")
    return place


def _query() -> Any:
    return (
        columns(
            *(Letter, LetterSource, Visit, Customer, col(Order.number), col(EnquiryStatus.manager_id)),
            *(col(SiteRule.name).label("rule"), col(_original.public_id).label("repeat_of")),
        )
        .select_from(Letter)
        .join(LetterSource, col(LetterSource.letter_id) == col(Letter.id), isouter=True)
        .join(Visit, col(Visit.id) == col(LetterSource.visit_id), isouter=True)
        .join(SiteRule, col(SiteRule.id) == col(LetterSource.rule_id), isouter=True)
        .join(LetterBinding, col(LetterBinding.letter_id) == col(Letter.id), isouter=True)
        .join(Customer, col(Customer.id) == col(LetterBinding.customer_id), isouter=True)
        .join(Order, col(Order.id) == col(LetterBinding.order_id), isouter=True)
        .join(EnquiryStatus, col(EnquiryStatus.letter_id) == col(Letter.id), isouter=True)
        .join(_original, col(_original.id) == col(Letter.repeat_of_id), isouter=True)
    )


class _Names:
    """What the letters of a report name besides: people, mailboxes, sites, files and blind copies."""

    def __init__(self, session: Session, user: User, letters: Sequence[Letter]) -> None:
        self.mailboxes = {
            box.id: box.address for box in session.exec(select(Mailbox).where(Mailbox.user_id == user.id))
        }
        self.sites: dict[int | None, str] = {
            site.id: site.name for site in session.exec(select(Site).where(Site.user_id == user.id))
        }
        self.people = {person.id: person.name for person in session.exec(select(User))}
        self.files: dict[int, list[str]] = {}
        with_files = [letter.id for letter in letters if letter.has_attachments]
        files = select(LetterAttachment.letter_id, LetterAttachment.filename)
        for id, filename in session.exec(
            files.where(in_list(session, col(LetterAttachment.letter_id), with_files)).order_by(
                col(LetterAttachment.position)
            )
        ):
            self.files.setdefault(id, []).append(filename)
        self.blind = _blind_copies(session, [letter.id for letter in letters])

    def row(self, columns: Any) -> dict[str, Value]:
        letter, source, visit, customer, order, manager, rule, repeat_of = columns
        return {
            **_letter(letter),
            "bcc": self.blind.get(letter.id, ""),
            "attachments": ", ".join(self.files.get(letter.id, ())),
            "mailbox": self.mailboxes.get(letter.mailbox_id, ""),
            "repeat_of": repeat_of or "",
            **_source(source, self.sites),
            "rule": rule or "",
            **visit_columns(visit),
            "customer": customer.name if customer else "",
            "tags": ", ".join(customer.tags) if customer else "",
            "order": order or "",
            "manager": self.people.get(manager, ""),
        }


def _blind_copies(session: Session, ids: Collection[int]) -> dict[int, str]:
    """The field Bcc of the few letters that have one: what came over a list of one's own server, or by the API."""
    body = select(LetterBody.letter_id, LetterBody.headers).where(
        in_list(session, col(LetterBody.letter_id), ids), func.lower(LetterBody.headers).like("%bcc: %")
    )
    named = ((id, _BCC.findall(headers)) for id, headers in session.exec(body))
    return {id: ", ".join(values) for id, values in named if values}


def _letter(letter: Letter) -> dict[str, Value]:
    return {
        "id": letter.public_id,
        "received_at": letter.received_at,
        "sender": letter.sender_address,
        "sender_name": letter.sender_name,
        "to": ", ".join(address for address, _ in letter.to),
        "cc": ", ".join(address for address, _ in letter.cc),
        "subject": letter.subject,
        "snippet": letter.snippet,
        "has_attachments": letter.has_attachments,
        "category": str(letter.category),
        "counted": letter.counted and letter.withdrawn_at is None,
        "loaded_after_seconds": round((letter.loaded_at - letter.received_at).total_seconds()),
    }


def _source(row: LetterSource | None, sites: Mapping[int | None, str]) -> dict[str, Value]:
    source: dict[str, str] = (row.source if row else None) or {}
    return {
        "address": row.address if row else "",
        "code": row.code if row else "",
        "method": row.method if row else None,
        "flags": ", ".join(row.flags) if row else "",
        "site": sites.get(row.site_id, "") if row else "",
        "channel": source.get("channel", ""),
        "group": source.get("group", ""),
        "source": source.get("name", ""),
    }


def visit_columns(visit: Visit | None) -> dict[str, Value]:
    """What is known of a letter's visit; empty cells where there is none."""
    marks: dict[str, str] = (visit.marks if visit else None) or {}
    referrer = visit.referrer if visit else ""
    return {
        "campaign": marks.get("utm_campaign", ""),
        **{name: marks.get(name, "") for name in UTM},
        "click_ids": "&".join(f"{name}={value}" for name, value in marks.items() if name in CLICK_IDS),
        "marks": "&".join(f"{name}={value}" for name, value in marks.items()),
        "referrer": referrer,
        "referrer_domain": _host(referrer),
        "phrase": visit.phrase if visit else "",
        "page": visit.page if visit else "",
        "entrance_page": visit.entrance_page if visit else "",
        "visitor": visit.visitor if visit else "",
        "session": visit.session if visit else "",
        "visit": visit.public_id if visit else "",
        "visit_at": visit.began_at if visit else None,
        "visit_number": visit.number if visit else None,
        "pages_seen": visit.pages if visit else None,
        "country": country_of(visit.timezone) if visit else "",
        "timezone": visit.timezone if visit else "",
        "device": visit.device if visit else "",
        "client": visit.client if visit else "",
        "screen": visit.screen if visit else "",
        "language": visit.language if visit else "",
    }


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def country_of(timezone: str) -> str:
    """The country (ISO 3166) in which clocks are set so; empty for a zone of none, such as UTC. No address is looked up for it."""
    name = get_global("zone_aliases").get(timezone, timezone)
    country = get_global("zone_territories").get(name, "")
    return "" if country in ("001", "ZZ") else country
