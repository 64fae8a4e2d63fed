"""A mail program that lost the line after the final dot tries again (RFC 1047): the same submission is taken once."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from sqlmodel import Session, col, delete, select

from tracker.mail.addresses import lookup_or_none
from tracker.mail.mime.fields import fields, normalise_line_ends
from tracker.models import Message, MessageState, Submission, User
from tracker.models.counting.bulk import insert_or_keep
from tracker.outbound.gateway.submitted_text import values
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

KNOWN_FOR = timedelta(hours=24)
_OVER = (MessageState.DRAFT, MessageState.CANCELLED, MessageState.FAILED)


def mark_of(context: AppContext, rcpt_tos: Sequence[str], raw: bytes) -> str | None:
    """What two tries of one submission have in common: content and recipients. None without a Message-ID: then none is a try."""
    raw = normalise_line_ends(raw)
    if not any(values(list(fields(raw)), "message-id")):
        return None
    seen = hashlib.sha256(raw).hexdigest()
    recipients = sorted({lookup_or_none(address) or address for address in rcpt_tos})
    return context.keyring.digest("\n".join(["submission", seen, *recipients]))


def accepted_before(session: Session, user: User, mark: str) -> Message | None:
    """The message that this submission has become already; None when it is the first, and from now on it is known.

    A twin on another line that has not committed yet is waited for. What was taken back or could not be sent is no more an
    answer: submitted again it is a new message.
    """
    mine = (col(Submission.user_id) == user.id, col(Submission.mark) == mark)
    session.exec(delete(Submission).where(*mine, col(Submission.created_at) < now() - KNOWN_FOR))
    row = {"user_id": user.id, "mark": mark, "created_at": now()}
    claim = insert_or_keep(session, Submission).values(row).returning(col(Submission.id))
    if session.execute(claim).first() is not None:
        return None
    known = session.exec(select(Submission).where(*mine).with_for_update()).one()
    message = session.get(Message, known.message_id) if known.message_id else None
    return message if message is not None and message.state not in _OVER else None


def note_accepted(session: Session, user: User, mark: str, message: Message) -> None:
    """Says which message the submission has become, in the transaction that accepts it."""
    row = session.exec(select(Submission).where(Submission.user_id == user.id, Submission.mark == mark)).one()
    row.message_id, row.created_at = message.id, now()
    session.add(row)
