"""The mail list as values: one page of messages with what their two icons say, and the figures above it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel.lists import format_list
from sqlalchemy import ColumnElement, Integer, case, func, literal, or_, select, union_all
from sqlmodel import Session, col

from tracker.locale import _, babel_locale, ngettext
from tracker.models import Account, Delivery, DeliveryStatus, Event, Message, MessageState, User
from tracker.models.mail import NOT_SENT
from tracker.runtime.database import now
from tracker.runtime.paging import PAGE, Cursor, read_page
from tracker.web.messages.activity_labels import machine_label, rule_label
from tracker.web.messages.filter import EXCLUSIVE, MEASURABLE, SENT, Filter

FIGURE_DAYS = 30
MOST_COUNTED = 100
MOST_SENT_COUNTED = 1000
_NEVER_LEFT = (MessageState.DRAFT, MessageState.CANCELLED, MessageState.FAILED)


@dataclass(frozen=True)
class Mark:
    """An icon at the right of a row. ``shape``: hollow (tracked, nothing yet), solid (happened), machine (only machines so
    far), crossed (we cannot say), none. ``label`` names the reason too."""

    shape: str
    count: int
    label: str


@dataclass(frozen=True)
class MessageRow:
    """One message as the list shows it."""

    message: Message
    account: str
    state: str
    """draft, scheduled, queued, deferred, partly_sent (the rest waits), partly_failed (refused for some), failed, cancelled; empty
    once it is sent."""
    eye: Mark
    link: Mark
    auto_replies: int


@dataclass(frozen=True)
class MessagePage:
    """One page of the list. ``next`` is where the following page begins, None on the last; ``accounts`` are the person's."""

    rows: Sequence[MessageRow]
    next: Cursor | None
    accounts: Sequence[Account]


@dataclass(frozen=True)
class SentFigures:
    """Counts of sent mail in a period; rates only over what could be measured."""

    sent: int
    measurable: int
    opened: int
    links: int
    clicked: int
    replied: int
    days: int | None
    """Days looked back; None when the filter names a period itself."""


class _Copy(NamedTuple):
    message_id: int
    opens_on: bool
    opens_rule: str
    clicks_on: bool
    clicks_rule: str
    status: str


_Machines = dict[tuple[int, str], list[tuple[str, str | None]]]


@dataclass(frozen=True)
class _Related:
    """What rows need that is not on the message."""

    accounts: Mapping[int, str]
    auto_replies: Mapping[int, int]
    machines: Mapping[tuple[int, str], Sequence[tuple[str, str | None]]]
    """Class and maker of the machines that touched a message, by message and kind of event."""
    rules: Mapping[tuple[int, str], Sequence[str]]
    """Why nothing is measured, by message and purpose."""
    deferred: frozenset[int]
    refused: frozenset[int]
    """Refused for some of its recipients, or for all."""


def read_listing(session: Session, user: User, chosen: Filter, after: Cursor | None) -> MessagePage:
    """The page of the user's messages that pass the filter and come after a place."""
    query = chosen.apply(session, select(Message), user)
    messages, place = read_page(session, query, (Message.listed_at, Message.id), after, PAGE, key=Message.id)
    accounts = session.scalars(select(Account).where(col(Account.user_id) == user.id).order_by(col(Account.id))).all()
    related = _related(session, accounts, messages)
    rows = [_row(message, related) for message in messages]
    present = [account for account in accounts if account.removed_at is None]
    return MessagePage(rows, Cursor(*place) if place else None, present)


def read_figures(session: Session, user: User, chosen: Filter) -> SentFigures:
    """Counts over the filter's account, recipient, words and period, by default the last 30 days. States would make
    every rate 0 or 100 %, so they are left out."""
    scope, days = figures_scope(chosen, user), None if chosen.since or chosen.until else FIGURE_DAYS
    query = scope.apply(session, select(*_FIGURES).select_from(Message), user).where(SENT)
    sent, measurable, opened, links, clicked, replied = (int(n or 0) for n in session.execute(query).one())
    return SentFigures(sent, measurable, opened, links, clicked, replied, days)


def figures_scope(chosen: Filter, user: User) -> Filter:
    """The messages that the figures count: the filter without its states, by default of the last days."""
    since = chosen.since
    if not since and not chosen.until:
        since = (now().astimezone(ZoneInfo(user.timezone)) - timedelta(days=FIGURE_DAYS)).date()
    return replace(chosen, state=(), tracked="", thread="", activity="", since=since)


def tab_counts(session: Session, user: User) -> Mapping[str, int]:
    """How many messages stand in each tab; of those that were sent :data:`MOST_SENT_COUNTED` stands for more as well."""
    waiting = ("scheduled", "draft", "failed")
    by_state = [func.count().filter(col(Message.state) == state).label(state) for state in waiting]
    mine = col(Message.user_id) == user.id
    due = select(func.count()).where(mine, col(Message.follow_up_due_at).is_not(None)).scalar_subquery()
    first = select(literal(1)).select_from(Message).where(mine, SENT).limit(MOST_SENT_COUNTED).subquery()
    sent = select(func.count()).select_from(first).scalar_subquery()
    query = select(*by_state, due.label("due"), sent.label("sent")).where(
        mine, NOT_SENT, col(Message.state).in_(waiting)
    )
    return dict(session.execute(query).mappings().one())


def state_counts(session: Session, user: User, chosen: Filter) -> Mapping[str, int]:
    """How many messages each state would show beside what else is chosen; :data:`MOST_COUNTED` stands for more as well."""
    beside, counts = replace(chosen, state=()).conditions(session, user), []
    for group in EXCLUSIVE:
        others = tuple(state for state in chosen.state if state not in group)
        for state in group:
            shown = replace(chosen, state=(*others, state))
            is_rare = state == "bounced"  # read by an index of its own
            conditions = shown.conditions(session, user) if is_rare else [*beside, *shown.of_states(user)]
            rows = select(literal(1)).select_from(Message).where(*conditions).limit(MOST_COUNTED).subquery()
            counts.append(select(literal(state), func.count()).select_from(rows))
    return {row[0]: row[1] for row in session.execute(union_all(*counts))}


def figures_by_template(session: Session, user: User) -> dict[int, SentFigures]:
    """What this person's messages that began with a template achieved, of all time."""
    # Without an index of the person's, which would read all of their mail.
    sent = (col(Message.user_id) + 0 == user.id) & SENT
    query = select(col(Message.template_id), *_FIGURES).where(sent, col(Message.template_id) > 0)
    rows = session.execute(query.group_by(col(Message.template_id))).all()
    figures: dict[int, SentFigures] = {}
    for template, *counts in rows:
        sent_, measurable, opened, links, clicked, replied = (int(n or 0) for n in counts)
        figures[template] = SentFigures(sent_, measurable, opened, links, clicked, replied, None)
    return figures


def eye_of(message: Message, machines: Sequence[tuple[str, str | None]] = (), rules: Sequence[str] = ()) -> Mark:
    """What is known about opening: honest before tidy."""
    if message.opens:
        return Mark(
            "solid",
            message.opens,
            ngettext("Opened once", "Opened %(num)s times", message.opens),
        )
    if message.state in _NEVER_LEFT:
        return Mark("none", 0, "")
    if not message.opens_tracked:
        return Mark("crossed", 0, _because(_("Opening is not tracked"), rules))
    if any(klass == "privacy_prefetch" for klass, _vendor in machines):
        return Mark("crossed", 0, _("Whether it was opened cannot be known: Apple Mail loads every picture by itself"))
    if machines:
        return Mark("machine", 0, _("Only machines so far: %(who)s", who=machine_label(machines)))
    return Mark("hollow", 0, _("Not opened yet"))


def link_of(message: Message, machines: Sequence[tuple[str, str | None]] = (), rules: Sequence[str] = ()) -> Mark:
    if message.clicks:
        return Mark("solid", message.clicks, ngettext("One click", "%(num)s clicks", message.clicks))
    if message.state in _NEVER_LEFT:
        return Mark("none", 0, "")
    if not message.clicks_tracked:
        return Mark("crossed", 0, _because(_("Links are not tracked"), rules))
    if machines:
        return Mark("machine", 0, _("Only machines so far: %(who)s", who=machine_label(machines)))
    return Mark("hollow", 0, _("No click yet"))


def _because(fact: str, rules: Sequence[str]) -> str:
    """The fact with its reasons, as far as they are the same for everybody or few."""
    reasons = list(dict.fromkeys(rule_label(rule) for rule in rules))
    if not reasons:
        return fact
    return _("%(fact)s: %(reasons)s", fact=fact, reasons=format_list(reasons, "or", locale=babel_locale()))


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0), type_=Integer)


_FIGURES: tuple[ColumnElement[int], ...] = (
    func.count(),
    _sum(MEASURABLE),
    _sum((col(Message.opens_tracked) > 0) & (col(Message.opens) > 0)),  # measurable, for it was opened
    _sum(col(Message.clicks_tracked) > 0),
    _sum((col(Message.clicks_tracked) > 0) & (col(Message.clicks) > 0)),
    _sum(col(Message.replies) > 0),
)


def _related(session: Session, accounts: Sequence[Account], messages: Sequence[Message]) -> _Related:
    if not messages:
        return _Related({}, {}, {}, {}, frozenset(), frozenset())
    auto_replies, machines = _events_of(session, messages)
    copies = _copies_of(session, messages)
    return _Related(
        accounts={account.id: account.address for account in accounts},
        auto_replies=auto_replies,
        machines=machines,
        rules=_rules(copies),
        deferred=_with_copy(messages, copies, (MessageState.QUEUED,), DeliveryStatus.DEFERRED),
        refused=_with_copy(messages, copies, (MessageState.QUEUED, MessageState.SENT), DeliveryStatus.REJECTED),
    )


def _events_of(session: Session, messages: Sequence[Message]) -> tuple[dict[int, int], _Machines]:
    """How many automatic replies came to each of these messages, and who touched them without being a person, the makers once."""
    machine = ~col(Event.counted) & ~col(Event.merged) & (col(Event.klass) != "sender_self")
    touched = col(Event.kind).in_(("open", "click")) & machine
    mine = col(Event.message_id).in_([message.id for message in messages])
    makers = (col(Event.message_id), col(Event.kind), col(Event.klass), col(Event.vendor))
    query = select(*makers, func.count()).where(mine, or_(touched, col(Event.kind) == "auto_reply")).group_by(*makers)
    replies: dict[int, int] = {}
    machines: _Machines = {}
    for message_id, kind, klass, vendor, count in session.execute(query.order_by(makers[2], makers[3])):
        if kind == "auto_reply":
            replies[message_id] = replies.get(message_id, 0) + count
        else:
            machines.setdefault((message_id, kind), []).append((klass, vendor))
    return replies, machines


def _copies_of(session: Session, messages: Sequence[Message]) -> Sequence[_Copy]:
    """What the rows say of the copies of these messages, those alike once, in their order."""
    facts = (col(Delivery.opens_on), col(Delivery.opens_rule), col(Delivery.clicks_on), col(Delivery.clicks_rule))
    what = (col(Delivery.message_id), *facts, col(Delivery.status))
    mine = col(Delivery.message_id).in_([message.id for message in messages])
    query = select(*what).where(mine).group_by(*what).order_by(what[0], func.min(col(Delivery.position)))
    return [_Copy(*row) for row in session.execute(query)]


def _rules(copies: Sequence[_Copy]) -> dict[tuple[int, str], list[str]]:
    """The rules by which copies of these messages are not measured, each once."""
    rule_names: dict[tuple[int, str], list[str]] = {}
    for copy in copies:
        measured = (("opens", copy.opens_on, copy.opens_rule), ("clicks", copy.clicks_on, copy.clicks_rule))
        for purpose, on, rule in measured:
            rules = rule_names.setdefault((copy.message_id, purpose), [])
            if not on and rule and rule not in rules:
                rules.append(rule)
    return rule_names


def _with_copy(
    messages: Sequence[Message], copies: Sequence[_Copy], states: Collection[str], status: DeliveryStatus
) -> frozenset[int]:
    """Those of these messages, in one of these states, that have a copy in this status."""
    ids = {message.id for message in messages if message.state in states}
    return frozenset(copy.message_id for copy in copies if copy.status == status and copy.message_id in ids)


def _state(message: Message, related: _Related) -> str:
    if message.id in related.refused:
        return "partly_failed"
    if message.state == MessageState.QUEUED and message.sent_at is not None:
        return "partly_sent"
    if message.id in related.deferred:
        return "deferred"
    return "" if message.state == MessageState.SENT else message.state


def _row(message: Message, related: _Related) -> MessageRow:
    return MessageRow(
        message=message,
        account=related.accounts.get(message.account_id or 0, ""),
        state=_state(message, related),
        eye=eye_of(
            message, related.machines.get((message.id, "open"), ()), related.rules.get((message.id, "opens"), ())
        ),
        link=link_of(
            message, related.machines.get((message.id, "click"), ()), related.rules.get((message.id, "clicks"), ())
        ),
        auto_replies=related.auto_replies.get(message.id, 0),
    )
