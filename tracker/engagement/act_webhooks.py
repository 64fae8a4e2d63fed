"""Webhooks hear of what people did with a copy when that is final enough to ring, and of each verdict that is revised after."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, func
from sqlalchemy import select as columns
from sqlmodel import Session

from tracker.models.counting.tables import DELIVERY, EVENT, LINK, MESSAGE, VERDICT, in_list
from tracker.notifications.webhooks import Kind, emit, is_heard

_KINDS: Mapping[str, Kind] = {"open": "message.opened", "click": "message.clicked"}


def emit_acts(session: Session, people: Sequence[Any]) -> None:
    """One event for each act of a person that settles now (rows with id and kind). ``version`` is the verdict's."""
    heard = [event.id for event in people if event.kind in _KINDS and is_heard(session, _KINDS[event.kind])]
    for row in _facts(session, heard):
        emit(session, _KINDS[row.kind], _data(row), row.user_id)


def emit_corrections(session: Session, revised: Collection[int]) -> None:
    """One event for each of these events (numbers) that had settled: it counts as a person's now, or does not any more."""
    if not revised or not is_heard(session, "verdict.corrected"):
        return
    session.flush()
    for row in _facts(session, revised):
        if row.settle_at is None:
            emit(session, "verdict.corrected", {**_data(row), "counted": row.counted}, row.user_id)


def _data(row: Any) -> dict[str, Any]:
    return {
        "id": row.message,
        "event": row.event,
        "kind": row.kind,
        "subject": row.subject,
        "address": row.address,
        "at": row.at,
        "url": row.url,
        "client": row.client,
        "class": row.klass,
        "confidence": row.confidence,
        "version": row.version,
    }


def _facts(session: Session, events: Collection[int]) -> Sequence[Any]:
    if not events:
        return ()
    version = columns(func.max(VERDICT.c.version)).where(VERDICT.c.event_id == EVENT.c.id).scalar_subquery()
    clicked = and_(LINK.c.message_id == EVENT.c.message_id, LINK.c.position == EVENT.c.link)
    query = (
        columns(
            EVENT.c.public_id.label("event"), MESSAGE.c.public_id.label("message"), MESSAGE.c.user_id,
            MESSAGE.c.subject, DELIVERY.c.address, LINK.c.url, version.label("version"),
            *(EVENT.c[name] for name in ("kind", "at", "client", "klass", "confidence", "counted", "settle_at")),
        )
        .join_from(EVENT, MESSAGE, MESSAGE.c.id == EVENT.c.message_id)
        .join(DELIVERY, DELIVERY.c.id == EVENT.c.delivery_id)
        .outerjoin(LINK, and_(clicked, EVENT.c.kind == "click"))
    )  # fmt: skip
    return session.connection().execute(query.where(in_list(session, EVENT.c.id, events)).order_by(EVENT.c.id)).all()
