"""Counters of deliveries, links and messages: always recomputed from verdicts, never incremented, so that they heal."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, case, func
from sqlalchemy import select as columns
from sqlmodel import Session

from tracker.models.counting.bulk import as_stored, update_rows
from tracker.models.counting.tables import DELIVERY, EVENT, LINK, MESSAGE, in_list

_OF_DELIVERIES = (
    *("opens", "clicks", "machine", "first_opened_at", "last_opened_at", "first_clicked_at", "last_clicked_at"),
)
_OF_MESSAGES = ("opens", "clicks", "machine", "replies", "bounces", "first_opened_at", "last_activity_at")
_KINDS = ("open", "click", "reply", "bounce")
_NONE = (0, 0, None, None)
Rows = Mapping[int, Mapping[str, Any]]
Events = Mapping[tuple[int, int | None], Mapping[str, Any]]


@dataclass(frozen=True)
class Counted:
    """A message whose counters were just recomputed."""

    id: int
    user_id: int
    public_id: str


def lock_messages(session: Session, message_ids: Collection[int]) -> None:
    """Whoever judges or counts a message holds it until the commit: two at once would each count without the other's events.

    (SQLite: the transaction already holds the only write lock.)
    """
    if session.get_bind().dialect.name != "sqlite" and message_ids:
        held = columns(MESSAGE.c.id).where(in_list(session, MESSAGE.c.id, message_ids)).order_by(MESSAGE.c.id)
        session.connection().execute(held.with_for_update(key_share=True)).all()


def recount(session: Session, message_ids: Iterable[int]) -> Sequence[Counted]:
    """Recomputes everything that is counted about these messages, in one query per table, and writes what changed."""
    ids = sorted(set(message_ids))
    if not ids:
        return ()
    session.flush()
    lock_messages(session, ids)
    events = _events(session, ids)
    deliveries = _recount_deliveries(session, ids, events)
    _recount_links(session, ids, [id_ for id_, row in deliveries.items() if row["frozen"]])
    return _recount_messages(session, ids, deliveries, events)


def _recount_deliveries(session: Session, ids: Sequence[int], events: Events) -> Rows:
    where = in_list(session, DELIVERY.c.message_id, ids)
    deliveries = _read(session, DELIVERY, _OF_DELIVERIES, ("message_id", "opens_on", "frozen"), where)
    new = {
        id_: {**old, **_delivery_counters({} if old["frozen"] else events[old["message_id"], id_], old["opens_on"])}
        for id_, old in deliveries.items()
    }
    _write(session, DELIVERY, _OF_DELIVERIES, deliveries, new)
    return new


def _delivery_counters(events: Mapping[str, Any], opens_on: bool) -> dict[str, Any]:
    opens, open_grey, first_open, last_open = events.get("open", _NONE)
    clicks, click_grey, first_click, last_click = events.get("click", _NONE)
    first_reply = events.get("reply", _NONE)[2]
    # Somebody who clicked or answered has seen the mail, though pictures were blocked: one open, inferred.
    if opens_on and not opens and (clicks or first_reply):
        opens, first_open = 1, min(moment for moment in (first_click, first_reply) if moment is not None)
        last_open = first_open
    machine = open_grey + click_grey
    return dict(
        zip(_OF_DELIVERIES, (opens, clicks, machine, first_open, last_open, first_click, last_click), strict=True)
    )


def _events(session: Session, ids: Sequence[int]) -> Events:
    """By message, delivery and kind: how many counted, how many grey, the first and the last counted."""
    grey = case((~EVENT.c.counted & ~EVENT.c.merged & (EVENT.c.klass != "sender_self"), 1), else_=0)
    at = case((EVENT.c.counted, EVENT.c.at))
    statement = (
        columns(
            EVENT.c.message_id,
            EVENT.c.delivery_id,
            EVENT.c.kind,
            func.sum(case((EVENT.c.counted, 1), else_=0)),
            func.sum(grey),
            as_stored(func.min(at)),
            as_stored(func.max(at)),
        )
        .where(in_list(session, EVENT.c.message_id, ids), EVENT.c.kind.in_(_KINDS))
        .group_by(EVENT.c.message_id, EVENT.c.delivery_id, EVENT.c.kind)
    )
    by_delivery: dict[tuple[int, int | None], dict[str, Any]] = defaultdict(dict)
    for message_id, delivery_id, kind, *figures in session.connection().execute(statement).all():
        by_delivery[message_id, delivery_id][kind] = figures
    return by_delivery


def _recount_links(session: Session, ids: Sequence[int], frozen: Sequence[int]) -> None:
    counted = columns(EVENT.c.message_id, EVENT.c.link, func.count()).where(
        in_list(session, EVENT.c.message_id, ids), EVENT.c.kind == "click", EVENT.c.counted
    )
    counted = counted.where(EVENT.c.delivery_id.not_in(frozen)) if frozen else counted
    rows = session.connection().execute(counted.group_by(EVENT.c.message_id, EVENT.c.link)).all()
    clicks = {(message, link): count for message, link, count in rows}
    with_clicks = in_list(session, LINK.c.message_id, {message for message, _ in clicks}) | (LINK.c.clicks > 0)
    where = in_list(session, LINK.c.message_id, ids) & with_clicks
    links = _read(session, LINK, ("clicks",), ("message_id", "position"), where)
    new = {id_: {"clicks": clicks.get((old["message_id"], old["position"]), 0)} for id_, old in links.items()}
    _write(session, LINK, ("clicks",), links, new)


def _recount_messages(session: Session, ids: Sequence[int], deliveries: Rows, events: Events) -> list[Counted]:
    copies: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for delivery in deliveries.values():
        copies[delivery["message_id"]].append(delivery)
    letters: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for (message_id, _), kinds in events.items():
        letters[message_id].append(kinds)
    messages = _read(session, MESSAGE, _OF_MESSAGES, ("user_id", "public_id"), in_list(session, MESSAGE.c.id, ids))
    _write(session, MESSAGE, _OF_MESSAGES, messages, {id_: _sum_up(copies[id_], letters[id_]) for id_ in messages})
    return [Counted(id_, row["user_id"], row["public_id"]) for id_, row in messages.items()]


def _sum_up(copies: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def moments(*names: str) -> list[Any]:
        return [copy[name] for copy in copies for name in names if copy[name] is not None]

    replies = [kinds["reply"] for kinds in events if "reply" in kinds]
    answered = [last for _, _, _, last in replies if last is not None]

    return {
        **{name: sum(copy[name] for copy in copies) for name in ("opens", "clicks", "machine")},
        "replies": sum(counted for counted, *_ in replies),
        "bounces": sum(kinds["bounce"][0] > 0 for kinds in events if "bounce" in kinds),
        "first_opened_at": min(moments("first_opened_at"), default=None),
        "last_activity_at": max([*moments("last_opened_at", "last_clicked_at"), *answered], default=None),
    }


def _read(session: Session, table: Table, counters: Sequence[str], facts: Sequence[str], where: Any) -> Rows:
    names = ("id", *counters, *facts)
    statement = columns(*(as_stored(table.c[name]) for name in names)).where(where).order_by(table.c.id)
    return {row[0]: dict(zip(names, row, strict=True)) for row in session.connection().execute(statement).all()}


def _write(session: Session, table: Table, counters: Sequence[str], stored: Rows, new: Rows) -> None:
    changed = [
        {"id": id_, **{name: row[name] for name in counters}}
        for id_, row in new.items()
        if any(stored[id_][name] != row[name] for name in counters)
    ]
    update_rows(session, table, changed)
