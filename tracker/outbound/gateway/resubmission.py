"""A mail program that lost the line after the final dot tries again (RFC 1047): the same submission is taken once."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import and_, bindparam, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from tracker.mail.addresses import lookup_or_none
from tracker.mail.mime.fields import fields, normalise_line_ends
from tracker.models import Message, MessageState, Submission
from tracker.runtime.context import AppContext
from tracker.runtime.database import UtcDateTime, now

KNOWN_FOR = timedelta(hours=24)
_STANDS = and_(
    *(col(Message.state) != over.value for over in (MessageState.DRAFT, MessageState.CANCELLED, MessageState.FAILED))
)


def mark_of(context: AppContext, rcpt_tos: Sequence[str], raw: bytes) -> str | None:
    """What two tries of one submission have in common: content and recipients. None without a Message-ID: then none is a try."""
    raw = normalise_line_ends(raw)
    if not any(field.value for field in fields(raw) if field.name == "message-id"):
        return None
    seen = hashlib.sha256(raw).hexdigest()
    recipients = sorted({lookup_or_none(address) or address for address in rcpt_tos})
    return context.keyring.digest("\n".join(["submission", seen, *recipients]))


Marked = tuple[int, str]
"""A person and the mark of what they submitted."""


class SubmittedBefore(Exception):
    """Some of the submissions have become messages already: nothing of the transaction may stay."""


def accepted_before(session: Session, marked: Collection[Marked]) -> dict[Marked, str]:
    """The public ids of the messages that these submissions have become already.

    What was taken back or could not be sent is no more an answer: submitted again it is a new message.
    """
    these = tuple_(col(Submission.user_id), col(Submission.mark)).in_(sorted(marked))
    known = select(Submission.user_id, Submission.mark, Message.public_id).join(Message)
    rows = session.exec(known.where(these, col(Submission.created_at) >= now() - KNOWN_FOR, _STANDS))
    return {(user_id, mark): public_id for user_id, mark, public_id in rows}


def note_accepted(session: Session, messages: Mapping[Marked, int | None]) -> None:
    """Says which messages the submissions have become, in the transaction that accepts them.

    A twin on another line that has not committed yet is waited for. Raises :class:`SubmittedBefore` when one was accepted.
    """
    if not messages:
        return
    moment = now()
    rows = [
        {
            "user_id": user_id,
            "mark": mark,
            "message_id": message_id,
            "created_at": moment,
            "known_since": moment - KNOWN_FOR,
        }
        for (user_id, mark), message_id in sorted(messages.items())
    ]
    note = _note(session.get_bind().dialect.name == "sqlite")
    noted = session.connection().execute(note, rows)
    if len(noted.all()) < len(rows):
        raise SubmittedBefore


@cache
def _note(is_sqlite: bool) -> Any:
    dialect: Any = sqlite if is_sqlite else postgresql
    insert = dialect.insert(Submission)
    stands = select(Message.id).where(col(Message.id) == col(Submission.message_id), _STANDS).correlate(Submission)
    is_over = (col(Submission.created_at) < bindparam("known_since", type_=UtcDateTime)) | ~stands.exists()
    taken = {name: insert.excluded[name] for name in ("message_id", "created_at")}
    note = insert.on_conflict_do_update(index_elements=["user_id", "mark"], set_=taken, where=is_over)
    return note.returning(col(Submission.id))
