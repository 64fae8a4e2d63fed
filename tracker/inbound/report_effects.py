"""What came back: a delivery report, per recipient, on the message it is about."""

from collections.abc import Iterator

from sqlmodel import Session

from tracker.inbound.answering import by_ids, copies_of, quoted_copy
from tracker.inbound.parse.answers import SentDelivery
from tracker.inbound.parse.letter import parse
from tracker.inbound.parse.reports import DeliveryReport, Failure
from tracker.inbound.repeat import without_tag
from tracker.models import Event, Letter, Message
from tracker.models.counting.counters import lock_messages, recount
from tracker.notifications.notify import announce, notify
from tracker.notifications.webhooks import emit
from tracker.runtime.context import AppContext

_TOLD = {"failed": "bounce", "complaint": "complaint"}
"""What its person is told of, by outcome: the kind of the event and of the line of the bell."""


def note_report(session: Session, context: AppContext, letter: Letter, report: DeliveryReport, *, rings: bool) -> None:
    """Ties the report to the message it is about, and to every recipient it names."""
    message = _original(session, context, letter, report)
    if message is None:
        return
    letter.in_reply_to_message_id, letter.reply_rule = message.id, "report"
    letter.thread = message.thread or message.message_id
    lock_messages(session, [message.id])
    failures = dict(_by_copy(report, copies_of(session, message)))
    letter.delivery_id = next(iter(failures), None)
    session.add(letter)
    for copy, failure in failures.items():
        if failure.outcome != "delivered":
            session.add(_event(letter, message.id, copy, failure))
    recount(session, [message.id])
    for copy, failure in failures.items():
        kind = _TOLD.get(failure.outcome)
        if kind and rings and not message.muted:
            facts = {"message_id": message.id, "delivery_id": copy, "detail": failure.said or failure.status}
            notify(session, message.user_id, f"{kind}:{copy}", kind, letter.received_at, **facts)
        if failure.outcome == "failed":
            payload = {
                "id": message.public_id,
                "subject": message.subject,
                "address": failure.address,
                "at": letter.received_at,
            }
            emit(session, "message.bounced", {**payload, "version": message.bounces + 1}, message.user_id)
    announce(session, message.user_id, "message", message.public_id)


def _original(session: Session, context: AppContext, letter: Letter, report: DeliveryReport) -> Message | None:
    message = by_ids(session, context, letter.user_id, [report.message_id]) if report.message_id else None
    if message is None and report.original:
        copy = quoted_copy(session, context, letter.user_id, parse(report.original).html)
        message = session.get(Message, copy.message_id) if copy else None
    return message


def _by_copy(report: DeliveryReport, copies: list[SentDelivery]) -> Iterator[tuple[int, Failure]]:
    """Whose copy each result is about; the worst that is said of a copy comes last and stays."""
    failures = sorted(report.failures, key=lambda failure: failure.outcome == "failed") or [
        Failure("", report.kind, "", "")
    ]
    for failure in failures:
        address = failure.address
        same = [copy.id for copy in copies if address and without_tag(copy.address) == without_tag(address)]
        exact = [copy.id for copy in copies if copy.address == address]
        if exact or same:
            yield (exact or same)[0], failure
        elif len(copies) == 1 and len(failures) == 1:
            yield copies[0].id, failure  # forwarded by its recipient to an address we do not know


def _event(letter: Letter, message_id: int, copy: int, failure: Failure) -> Event:
    failed = failure.outcome in _TOLD
    said = (failure.said or failure.status)[:300]
    return Event(
        message_id=message_id,
        delivery_id=copy,
        kind=_TOLD.get(failure.outcome, "bounce"),
        at=letter.received_at,
        klass="unknown",
        confidence=1.0,
        reasons=[{"code": "server_said" if failed else "delivery_delayed", "values": {"said": said}}] if said else [],
        counted=failed,
        alerted=failed,
    )
