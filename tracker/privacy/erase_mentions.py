"""Erasure in mail to and from others: where the address can be read in raw bytes or in a file, those go or lose it.

Everything that is kept in bytes is read through, however it is encoded; that takes about a second for a hundred megabytes.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from email import message_from_bytes, policy
from email.header import Header
from email.message import Message as Mail
from itertools import groupby

from sqlmodel import Session, col, delete, select, update

from tracker.mail.addresses import read_field
from tracker.mail.mime.text import decoded, readable
from tracker.models import (
    Attachment,
    Delivery,
    DeliveryStatus,
    LetterAttachment,
    LetterBody,
    LetterRaw,
    Message,
    MessageBody,
)
from tracker.privacy.redact import GONE, Redactor, rows_with

WAITING = (DeliveryStatus.QUEUED.value, DeliveryStatus.DEFERRED.value)
_AT_ONCE = 50
_PEOPLE = ("from", "sender", "reply-to", "to", "cc", "bcc")
_WIRE = policy.compat32.clone(linesep="\r\n", max_line_length=None)


def erase_mentions_in_letters(session: Session, redactor: Redactor, done: Counter[str]) -> None:
    """Letters of others in which the address stands: their words stay without it, their raw bytes cannot."""
    table = LetterBody.__table__  # type: ignore[attr-defined]
    texts = [table.c[name] for name in ("text", "html", "headers")]
    ids = {row["letter_id"] for row in rows_with(session, redactor, table, texts)}
    ids |= {id_ for id_, raw in _raw_letters(session) if id_ not in ids and redactor.spellings.are_in_octets(raw)}
    for held in (LetterRaw, LetterAttachment):
        session.exec(delete(held).where(col(held.letter_id).in_(ids)))
    done["letter of others"] += len(ids)


def _raw_letters(session: Session) -> Iterator[tuple[int, bytes]]:
    pieces = select(LetterRaw.letter_id, LetterRaw.content).order_by(col(LetterRaw.letter_id), col(LetterRaw.number))
    rows = session.exec(pieces.execution_options(yield_per=_AT_ONCE))
    for id_, letter in groupby(rows, key=lambda row: row[0]):
        yield id_, b"".join(_unpacked(piece) for _, piece in letter)


def _unpacked(piece: bytes) -> bytes:
    try:
        return zlib.decompress(piece)
    except zlib.error:
        return piece


def erase_mentions_in_mail(session: Session, redactor: Redactor, to_them: Sequence[int], done: Counter[str]) -> None:
    """Messages to others (than ``to_them``): what has left keeps no raw bytes, what is still to leave goes without the address.
    A file of a draft that tells of the person goes."""
    bodies = select(MessageBody.message_id, MessageBody.raw).where(col(MessageBody.raw).is_not(None))
    ids = _those_with(session, bodies, redactor.spellings.are_in_octets) - set(to_them)
    unfinished = _unfinished(session, ids)
    session.exec(update(MessageBody).where(col(MessageBody.message_id).in_(ids - unfinished)).values(raw=None))
    for body in session.exec(select(MessageBody).where(col(MessageBody.message_id).in_(unfinished))):
        body.raw = redacted_mail(body.raw or b"", redactor)
    files = _those_with(session, select(Attachment.id, Attachment.content), redactor.spellings.are_in_octets)
    session.exec(delete(Attachment).where(col(Attachment.id).in_(files)))
    session.flush()
    done["message to others"] += len(ids)
    done["attachment"] += len(files)


def _those_with(session: Session, query: object, test: Callable[[bytes], bool]) -> set[int]:
    rows = session.connection().execute(query.execution_options(yield_per=_AT_ONCE))  # type: ignore[attr-defined]
    return {id_ for id_, content in rows if content and test(content)}


def _unfinished(session: Session, ids: set[int]) -> set[int]:
    """Those that somebody still waits for, the Sent folder included."""
    waits = select(Delivery.message_id).where(col(Delivery.message_id).in_(ids), col(Delivery.status).in_(WAITING))
    filed = select(Message.id).where(col(Message.id).in_(ids), col(Message.sent_copy).in_(("wanted", "later")))
    return set(session.exec(waits)) | {id_ for id_ in session.exec(filed) if id_ is not None}


def redacted_mail(raw: bytes, redactor: Redactor) -> bytes:
    """The message without the address in any of its fields and texts; another part that holds it gives way to a word."""
    message = message_from_bytes(raw, policy=_WIRE)
    for part in message.walk():
        _redact_fields(part, redactor)
        if not part.is_multipart():
            _redact_body(part, redactor)
    return message.as_bytes()


def _redact_fields(part: "Mail[str, str]", redactor: Redactor) -> None:
    for name, value in part.items():
        text = decoded(str(value))
        if not redactor.mentions(text):
            continue
        if name.lower() in _PEOPLE:
            others = [mailbox for mailbox in read_field(text).mailboxes if not redactor.mentions(mailbox.address)]
            part.replace_header(name, ", ".join(map(_field, others)) or "undisclosed-recipients:;")
        else:
            new = redactor.text(text)
            part.replace_header(name, new if new.isascii() else Header(new, "utf-8", header_name=name).encode())


def _field(mailbox: object) -> str:
    written = str(mailbox)
    name, _, address = written.rpartition(" <")
    if written.isascii() or not name:
        return written
    return f"{Header(name.strip(chr(34)), 'utf-8').encode()} <{address}"


def _redact_body(part: "Mail[str, str]", redactor: Redactor) -> None:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes) or not redactor.spellings.are_in_octets(content):
        return
    is_text = part.get_content_maintype() == "text"
    text = redactor.text(readable(content, str(part.get_content_charset() or ""))) if is_text else GONE
    if not is_text or redactor.spellings.are_in_octets(text.encode()):
        text = GONE
        part.set_type("text/plain")
        del part["Content-Disposition"]
    del part["Content-Transfer-Encoding"]
    part.set_payload(text, "utf-8")
