"""How enquiries were answered: by mailbox, manager and period. Rows are cohorts by receipt: an answer belongs to its enquiry's
period, and to whoever gave it. The same table is screen, API and CSV file."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from tracker.crm.access import reports_enquiry
from tracker.crm.working_time import office_hours
from tracker.models import EnquiryStatus, Letter, LetterBinding, Mailbox, User
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.runtime.report_table import Period, Report, Value

GROUPS = ("mailbox", "manager", "day", "week", "month")
BOUND = ("order_number", "sender", "created", "reply", "by_hand")
COLUMNS = (
    *("group", "enquiries", "answered", "unanswered", "median_seconds", "p90_seconds"),
    *(f"bound_{rule}" for rule in BOUND),
    "unbound",
)
ANSWER_COLUMNS = ("manager", "answers", "median_seconds", "p90_seconds")
BUCKETS = (300, 900, 3600, 4 * 3600, 86400, 3 * 86400)
"""Ends of the classes of first-answer times, in seconds; what took longer is the last class."""


class CountedEnquiry(NamedTuple):
    """One enquiry as the report sees it. ``seconds`` is its first-answer time, within office hours where there are some."""

    mailbox: str
    manager: str
    day: date
    answered_by: str | None
    seconds: float | None
    rule: str


_FACTS = (
    *(col(EnquiryStatus.mailbox_id), col(EnquiryStatus.manager_id), col(EnquiryStatus.received_at)),
    *(col(EnquiryStatus.answered_at), col(EnquiryStatus.answered_by), col(LetterBinding.rule)),
)


def enquiries_report(session: Session, user: User, period: Period, group: str) -> Report:
    """Enquiries that this person sees. Raises :class:`ActionError` for a group that is none."""
    return group_enquiries(read_enquiries(session, user, period), group)


def group_enquiries(enquiries: Sequence[CountedEnquiry], group: str) -> Report:
    if group not in GROUPS:
        text = LocalizedText("“group” is one of %(groups)s.", groups=", ".join(GROUPS))
        raise ActionError("invalid", text, "group")
    named: Callable[[CountedEnquiry], str] = {
        "mailbox": lambda enquiry: enquiry.mailbox,
        "manager": lambda enquiry: enquiry.manager,
        "day": lambda enquiry: enquiry.day.isoformat(),
        "week": lambda enquiry: f"{enquiry.day.isocalendar().year}-W{enquiry.day.isocalendar().week:02}",
        "month": lambda enquiry: f"{enquiry.day:%Y-%m}",
    }[group]
    rows: list[dict[str, Value]] = [{"group": name, **_figures(part)} for name, part in _parted(enquiries, named)]
    return Report(COLUMNS, rows, {"group": None, **_figures(enquiries)}, _distribution(enquiries))


def answers_report(session: Session, user: User, period: Period, group: str = "") -> Report:
    """First answers by whoever gave them."""
    answered = [enquiry for enquiry in read_enquiries(session, user, period) if enquiry.answered_by is not None]
    parts = _parted(answered, lambda enquiry: enquiry.answered_by or "")
    rows: list[dict[str, Value]] = [{"manager": name, "answers": len(part), **_times(part)} for name, part in parts]
    totals: dict[str, Value] = {"manager": None, "answers": len(answered), **_times(answered)}
    return Report(ANSWER_COLUMNS, rows, totals, _distribution(answered))


def _parted(
    enquiries: Iterable[CountedEnquiry], named: Callable[[CountedEnquiry], str]
) -> list[tuple[str, list[CountedEnquiry]]]:
    parts: dict[str, list[CountedEnquiry]] = {}
    for enquiry in enquiries:
        parts.setdefault(named(enquiry), []).append(enquiry)
    return sorted(parts.items())


def _figures(enquiries: Sequence[CountedEnquiry]) -> dict[str, Value]:
    answered = sum(enquiry.seconds is not None for enquiry in enquiries)
    rules = [enquiry.rule for enquiry in enquiries]
    return {
        "enquiries": len(enquiries),
        "answered": answered,
        "unanswered": len(enquiries) - answered,
        **_times(enquiries),
        **{f"bound_{rule}": rules.count(rule) for rule in BOUND},
        "unbound": sum(rule not in BOUND for rule in rules),
    }


def _times(enquiries: Iterable[CountedEnquiry]) -> dict[str, int | None]:
    """None without answers. The 90th percentile is the smallest time within which nine of ten were answered."""
    times = sorted(enquiry.seconds for enquiry in enquiries if enquiry.seconds is not None)
    if not times:
        return {"median_seconds": None, "p90_seconds": None}
    return {"median_seconds": round(median(times)), "p90_seconds": round(times[-(-len(times) * 9 // 10) - 1])}


def _distribution(enquiries: Sequence[CountedEnquiry]) -> list[int]:
    counts = [0] * (len(BUCKETS) + 1)
    for enquiry in enquiries:
        if enquiry.seconds is not None:
            counts[next((n for n, end in enumerate(BUCKETS) if enquiry.seconds < end), len(BUCKETS))] += 1
    return counts


def read_enquiries(session: Session, user: User, period: Period) -> list[CountedEnquiry]:
    """The enquiries that this person sees, received in the period."""
    zone = ZoneInfo(user.timezone)
    query = (
        columns(*_FACTS)
        .join(Letter, col(Letter.id) == col(EnquiryStatus.letter_id))
        .join(LetterBinding, col(LetterBinding.letter_id) == col(EnquiryStatus.letter_id), isouter=True)
        .where(
            col(Letter.counted),
            col(Letter.withdrawn_at).is_(None),
            col(Letter.deleted_at).is_(None),
            reports_enquiry(session, user),
            *period.conditions(EnquiryStatus.received_at),
        )
    )
    people: dict[int | None, str] = dict(session.exec(select(User.id, User.name)).all())
    mailboxes = dict(session.exec(select(Mailbox.id, Mailbox.address)).all())
    seconds = answer_seconds(session, user)
    return [
        CountedEnquiry(
            mailbox=mailboxes[mailbox],
            manager=people.get(manager, ""),
            day=received_at.astimezone(zone).date(),
            answered_by=people.get(answered_by) if answered_by else None,
            seconds=seconds(received_at, answered_at) if answered_at else None,
            rule=rule or "",
        )
        for mailbox, manager, received_at, answered_at, answered_by, rule in session.connection().execute(query)
    ]


def answer_seconds(session: Session, user: User) -> Callable[[datetime, datetime], float]:
    """How long from one moment to another, within office hours where there are some."""
    hours, zone = office_hours(session) or (None, None)
    if hours is None:
        return lambda begin, end: (end - begin).total_seconds()
    return lambda begin, end: hours.worked(begin, end, zone or ZoneInfo(user.timezone)).total_seconds()
