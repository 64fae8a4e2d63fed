"""Counters of deliveries, links and messages: always recomputed from verdicts, never incremented, so that they heal."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, Table, case, func
from sqlalchemy import select as columns
from sqlmodel import Session

from tracker.models.counting.bulk import as_stored, update_rows
from tracker.models.counting.tables import DELIVERY, EVENT, LINK, MESSAGE, in_bound_list, run_made_once

_OF_DELIVERIES = (
    *("opens", "clicks", "machine", "first_opened_at", "last_opened_at", "first_clicked_at", "last_clicked_at"),
)
_OF_MESSAGES = ("opens", "clicks", "machine", "replies", "bounces", "first_opened_at", "last_activity_at")
_KINDS = ("open", "click", "reply", "bounce")
_NONE = (0, 0, None, None)
Rows = Mapping[int, Mapping[str, Any]]
Events = Mapping[tuple[int, int | None], Mapping[str, Any]]
Clicks = Mapping[tuple[int, int], Sequence[tuple[int | None, int]]]
"""By message and link, the copies in which it was clicked, and how often."""


@dataclass(frozen=True)
class Counted:
    """A message whose counters were just recomputed."""

    id: int
    user_id: int
    public_id: str


def lock_messages(session: Session, message_ids: Collection[int], *, wait: bool = True) -> set[int]:
    """Whoever judges or counts a message holds it until the commit: two at once would each count without the other's events.

    Returns those that are held now; without ``wait`` what somebody else holds is passed over.
    (SQLite: the transaction already holds the only write lock.)
    """
    if session.get_bind().dialect.name == "sqlite" or not message_ids:
        return set(message_ids)
    return set(run_made_once(session, _to_hold, wait, messages=message_ids).scalars())


@cache
def _to_hold(is_sqlite: bool, wait: bool) -> Select[*tuple[Any, ...]]:
    held = columns(MESSAGE.c.id).where(in_bound_list(is_sqlite, MESSAGE.c.id, "messages")).order_by(MESSAGE.c.id)
    return held.with_for_update(key_share=True, skip_locked=not wait)


def recount(session: Session, message_ids: Iterable[int], *, held: bool = False) -> Sequence[Counted]:
    """Recomputes everything that is counted about these messages, in one query per table, and writes what changed. They may be
    ``held`` by the caller already."""
    ids = sorted(set(message_ids))
    if not ids:
        return ()
    session.flush()
    if not held:
        lock_messages(session, ids)
    events, clicks = _events(session, ids)
    deliveries = _recount_deliveries(session, ids, events)
    _recount_links(session, ids, clicks, {id_ for id_, row in deliveries.items() if row["frozen"]})
    return _recount_messages(session, ids, deliveries, events)


def _recount_deliveries(session: Session, ids: Sequence[int], events: Events) -> Rows:
    deliveries = _read(session, DELIVERY, "message_id", ids, _OF_DELIVERIES, ("message_id", "opens_on", "frozen"))
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


def _events(session: Session, ids: Sequence[int]) -> tuple[Events, Clicks]:
    """By message, delivery and kind: how many counted, how many grey, the first and the last counted. And what was clicked."""
    by_delivery: dict[tuple[int, int | None], dict[str, Any]] = defaultdict(dict)
    clicks: dict[tuple[int, int], list[tuple[int | None, int]]] = defaultdict(list)
    for message, delivery, kind, link, *sums in run_made_once(session, _sums_of_events, messages=ids):
        kinds = by_delivery[message, delivery]
        kinds[kind] = _added(kinds[kind], sums) if kind in kinds else sums
        if kind == "click" and sums[0]:
            clicks[message, link].append((delivery, sums[0]))
    return by_delivery, clicks


def _added(sums: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    first, last = ([moment for moment in (sums[at], more[at]) if moment is not None] for at in (2, 3))
    return [sums[0] + more[0], sums[1] + more[1], min(first, default=None), max(last, default=None)]


@cache
def _sums_of_events(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    grey = case((~EVENT.c.counted & ~EVENT.c.merged & (EVENT.c.klass != "sender_self"), 1), else_=0)
    at = case((EVENT.c.counted, EVENT.c.at))
    what = (EVENT.c.message_id, EVENT.c.delivery_id, EVENT.c.kind, EVENT.c.link)
    sums = (func.sum(case((EVENT.c.counted, 1), else_=0)), func.sum(grey))
    return (
        columns(*what, *sums, as_stored(func.min(at)), as_stored(func.max(at)))
        .where(in_bound_list(is_sqlite, EVENT.c.message_id, "messages"), EVENT.c.kind.in_(_KINDS))
        .group_by(*what)
    )


def _recount_links(session: Session, ids: Sequence[int], clicks: Clicks, frozen: Collection[int]) -> None:
    counts = {what: sum(count for delivery, count in parts if delivery not in frozen) for what, parts in clicks.items()}
    clicked = {message for message, _ in clicks}
    rows = run_made_once(session, _of_links, messages=ids, clicked=clicked).all()
    changed = [
        {"id": id_, "clicks": count}
        for id_, message, position, before in rows
        if (count := counts.get((message, position), 0)) != before
    ]
    update_rows(session, LINK, changed)


@cache
def _of_links(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    of_message = in_bound_list(is_sqlite, LINK.c.message_id, "messages")
    with_clicks = in_bound_list(is_sqlite, LINK.c.message_id, "clicked") | (LINK.c.clicks > 0)
    links = columns(LINK.c.id, LINK.c.message_id, LINK.c.position, LINK.c.clicks).where(of_message & with_clicks)
    return links.order_by(LINK.c.id)


def _recount_messages(session: Session, ids: Sequence[int], deliveries: Rows, events: Events) -> list[Counted]:
    copies: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for delivery in deliveries.values():
        copies[delivery["message_id"]].append(delivery)
    letters: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for (message_id, _), kinds in events.items():
        letters[message_id].append(kinds)
    messages = _read(session, MESSAGE, "id", ids, _OF_MESSAGES, ("user_id", "public_id"))
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


def _read(
    session: Session, table: Table, by: str, ids: Sequence[int], counters: Sequence[str], facts: Sequence[str]
) -> Rows:
    names = ("id", *counters, *facts)
    rows = run_made_once(session, _rows_of, table, by, names, ids=ids).all()
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


@cache
def _rows_of(is_sqlite: bool, table: Table, by: str, names: Sequence[str]) -> Select[*tuple[Any, ...]]:
    rows = columns(*(as_stored(table.c[name]) for name in names))
    return rows.where(in_bound_list(is_sqlite, table.c[by], "ids")).order_by(table.c.id)


def _write(session: Session, table: Table, counters: Sequence[str], stored: Rows, new: Rows) -> None:
    changed = [
        {"id": id_, **{name: row[name] for name in counters}}
        for id_, row in new.items()
        if any(stored[id_][name] != row[name] for name in counters)
    ]
    update_rows(session, table, changed)
