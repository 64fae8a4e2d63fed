"""The report of letters: one row each with everything that is known of where it comes from; and the days of a period."""

from collections import defaultdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from tracker.models import (
    Customer,
    EnquiryStatus,
    Letter,
    LetterBinding,
    LetterSource,
    Mailbox,
    Order,
    Site,
    User,
    Visit,
)
from tracker.notifications.notify import zone_of
from tracker.sites.report_rows import Period, Report, Value

MOST = 10_000
COLUMNS = (
    *(
        "id",
        "received_at",
        "sender",
        "sender_name",
        "to",
        "cc",
        "address",
        "subject",
        "snippet",
        "has_attachments",
        "mailbox",
    ),
    *(
        "counted",
        "method",
        "flags",
        "site",
        "channel",
        "group",
        "source",
        "campaign",
        "marks",
        "referrer",
        "phrase",
        "page",
    ),
    *("entrance_page", "visitor", "visit", "visit_number", "device", "client", "language", "loaded_after_seconds"),
    *("manager", "customer", "tags", "order"),
)


def enquiries_report(session: Session, user: User, period: Period, group: str = "", most: int = MOST) -> Report:
    """Letters that count, newest first, of the newest ``most``; their number is that of all."""
    report = Report(COLUMNS)
    counted = (
        *(Letter.user_id == user.id, col(Letter.counted), col(Letter.withdrawn_at).is_(None)),
        *(col(Letter.deleted_at).is_(None), *period.conditions(Letter.received_at)),
    )
    query = (
        columns(Letter, LetterSource, Visit, Customer, Order, col(EnquiryStatus.manager_id))
        .select_from(Letter)
        .join(LetterSource, col(LetterSource.letter_id) == col(Letter.id), isouter=True)
        .join(Visit, col(Visit.id) == col(LetterSource.visit_id), isouter=True)
        .join(LetterBinding, col(LetterBinding.letter_id) == col(Letter.id), isouter=True)
        .join(Customer, col(Customer.id) == col(LetterBinding.customer_id), isouter=True)
        .join(Order, col(Order.id) == col(LetterBinding.order_id), isouter=True)
        .join(EnquiryStatus, col(EnquiryStatus.letter_id) == col(Letter.id), isouter=True)
        .where(*counted)
        .order_by(col(Letter.received_at).desc(), col(Letter.id).desc())
        .limit(most)
    )
    boxes = {box.id: box.address for box in session.exec(select(Mailbox).where(Mailbox.user_id == user.id))}
    sites = {site.id: site.name for site in session.exec(select(Site).where(Site.user_id == user.id))}
    names = {user.id: user.name for user in session.exec(select(User))}
    for letter, row, visit, customer, order, manager in session.execute(query):
        whose = {**_customer(customer, order), "manager": names.get(manager, "")}
        report.rows.append({**_letter(letter, boxes), **_source(row, sites), **_visit(visit), **whose})
    total = len(report.rows)
    if total == most:
        total = session.exec(select(func.count()).select_from(Letter).where(*counted)).one()
    report.totals = {**dict.fromkeys(COLUMNS), "counted": total}
    return report


def _letter(letter: Letter, boxes: dict[int | None, str]) -> dict[str, Value]:
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
        "mailbox": boxes.get(letter.mailbox_id, ""),
        "counted": int(letter.counted),
        "loaded_after_seconds": round((letter.loaded_at - letter.received_at).total_seconds()),
    }


def _source(row: LetterSource | None, sites: dict[int | None, str]) -> dict[str, Value]:
    source: dict[str, str] = (row.source if row else None) or {}
    return {
        "address": row.address if row else "",
        "method": row.method if row else None,
        "flags": ", ".join(row.flags) if row else "",
        "site": sites.get(row.site_id, "") if row else "",
        "channel": source.get("channel", ""),
        "group": source.get("group", ""),
        "source": source.get("name", ""),
    }


def _visit(visit: Visit | None) -> dict[str, Value]:
    marks: dict[str, str] = (visit.marks if visit else None) or {}
    return {
        "campaign": marks.get("utm_campaign", ""),
        "marks": "&".join(f"{name}={value}" for name, value in marks.items()),
        "referrer": visit.referrer if visit else "",
        "phrase": visit.phrase if visit else "",
        "page": visit.page if visit else "",
        "entrance_page": visit.entrance_page if visit else "",
        "visitor": visit.visitor if visit else "",
        "visit": visit.public_id if visit else "",
        "visit_number": visit.number if visit else None,
        "device": visit.device if visit else "",
        "client": visit.client if visit else "",
        "language": visit.language if visit else "",
    }


def _customer(customer: Customer | None, order: Order | None) -> dict[str, Value]:
    return {
        "customer": customer.name if customer else "",
        "tags": ", ".join(customer.tags) if customer else "",
        "order": order.number if order else "",
    }


def activity_report(session: Session, user: User, period: Period, group: str = "day") -> Report:
    """Visits and enquiries by day in the person's zone; a session belongs to the day on which it began."""
    report = Report(["day", "visits", "letters", "enquiries"])
    zone = zone_of(user)
    days: dict[str, dict[str, int]] = defaultdict(lambda: {"visits": 0, "letters": 0, "enquiries": 0})
    begun: Any = columns(col(Visit.began_at)).where(col(Visit.user_id) == user.id, col(Visit.robot).is_(False))
    for (at,) in session.execute(begun.where(*period.conditions(Visit.began_at))):
        days[_day(at, zone, group)]["visits"] += 1
    letters: Any = columns(col(Letter.received_at), col(Letter.counted)).where(
        col(Letter.user_id) == user.id, col(Letter.deleted_at).is_(None), *period.conditions(Letter.received_at)
    )
    for at, counted in session.execute(letters):
        days[_day(at, zone, group)]["letters"] += 1
        days[_day(at, zone, group)]["enquiries"] += 1 if counted else 0
    report.rows = [{"day": day, **days[day]} for day in sorted(days)]
    report.totals = {
        "day": None,
        **{name: sum(day[name] for day in days.values()) for name in ("visits", "letters", "enquiries")},
    }
    return report


def _day(at: datetime, zone: ZoneInfo, group: str) -> str:
    day = at.astimezone(zone).date()
    if group == "month":
        return day.strftime("%Y-%m")
    return f"{day.isocalendar().year}-W{day.isocalendar().week:02d}" if group == "week" else day.isoformat()
