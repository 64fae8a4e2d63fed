"""A mail program that lost the line after the final dot tries again (RFC 1047): the same submission is taken once."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from operator import itemgetter

from sqlalchemy import Table, bindparam, tuple_
from sqlmodel import Session, col, delete, select

from tracker.mail.addresses import lookup_or_none
from tracker.mail.mime.fields import fields, normalise_line_ends
from tracker.models import Message, MessageState, Submission
from tracker.models.counting.bulk import insert_or_keep
from tracker.outbound.gateway.submitted_text import values
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

KNOWN_FOR = timedelta(hours=24)
_SUBMISSION: Table = Submission.__table__  # type: ignore[attr-defined]
_NOTE = _SUBMISSION.update().where(
    _SUBMISSION.c.user_id == bindparam("of_user"), _SUBMISSION.c.mark == bindparam("of_mark")
)
_NOTE = _NOTE.values(message_id=bindparam("message"), created_at=bindparam("at"))
_OVER = (MessageState.DRAFT, MessageState.CANCELLED, MessageState.FAILED)


def mark_of(context: AppContext, rcpt_tos: Sequence[str], raw: bytes) -> str | None:
    """What two tries of one submission have in common: content and recipients. None without a Message-ID: then none is a try."""
    raw = normalise_line_ends(raw)
    if not any(values(list(fields(raw)), "message-id")):
        return None
    seen = hashlib.sha256(raw).hexdigest()
    recipients = sorted({lookup_or_none(address) or address for address in rcpt_tos})
    return context.keyring.digest("\n".join(["submission", seen, *recipients]))


Marked = tuple[int, str]
"""A person and the mark of what they submitted."""


def accepted_before(session: Session, marked: Collection[Marked]) -> dict[Marked, Message]:
    """The messages that these submissions have become already; those that are left out are the first, and known from now on.

    A twin on another line that has not committed yet is waited for. What was taken back or could not be sent is no more an
    answer: submitted again it is a new message.
    """
    if not marked:
        return {}
    these = tuple_(col(Submission.user_id), col(Submission.mark)).in_(sorted(marked))
    session.exec(delete(Submission).where(these, col(Submission.created_at) < now() - KNOWN_FOR))
    rows = [{"user_id": user_id, "mark": mark, "created_at": now()} for user_id, mark in sorted(marked)]
    claim = insert_or_keep(session, Submission).values(rows).returning(col(Submission.user_id), col(Submission.mark))
    fresh = {(user_id, mark) for user_id, mark in session.execute(claim)}
    if len(fresh) == len(marked):
        return {}
    known = session.exec(select(Submission).where(these).with_for_update()).all()
    messages = {(row.user_id, row.mark): session.get(Message, row.message_id) for row in known if row.message_id}
    return {key: message for key, message in messages.items() if message is not None and message.state not in _OVER}


def note_accepted(session: Session, messages: Mapping[Marked, Message]) -> None:
    """Says which messages the submissions have become, in the transaction that accepts them."""
    rows = [
        {"of_user": user_id, "of_mark": mark, "message": message.id, "at": now()}
        for (user_id, mark), message in sorted(messages.items(), key=itemgetter(0))
    ]
    if rows:
        session.connection().execute(_NOTE, rows)
