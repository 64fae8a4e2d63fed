"""A letter as rows: itself, its words, its raw bytes in pieces, its files, and the places where it lies."""

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import bindparam, insert, inspect, select
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import instance_dict
from sqlmodel import Session
from sqlmodel import select as rows

from tracker.addresses import Mailbox as Person
from tracker.counting.bulk import add_or_keep
from tracker.counting.tables import LETTER, LETTER_BODY, LETTER_COPY, LETTER_RAW
from tracker.inbound.category import Judged
from tracker.inbound.dates import Receipt
from tracker.inbound.fetched import Fetched, Place
from tracker.inbound.letter_text import snippet
from tracker.inbound.parse import Parsed
from tracker.inbound.repeat import form_of, recipient_of, sender_of
from tracker.mime.text import decoded
from tracker.models import Letter, LetterAttachment, Mailbox

PIECE = 1024 * 1024
"""Bytes of a raw letter in one row, before compression."""
_LONGEST_ID = 255
_SENT_AHEAD = timedelta(days=2)
_TRACED = (
    *("x-original-to", "delivered-to", "x-envelope-to", "envelope-to", "x-forwarded-to", "x-forwarded-for"),
    *("x-gm-original-to", "resent-to"),
)
# Statements are made once: making one costs more than running it.
_FIELDS = {name: field for name, field in Letter.model_fields.items() if name != "id"}
_DEFAULTS = {name: field.default for name, field in _FIELDS.items() if field.default_factory is None}
_FACTORIES: dict[str, Any] = {name: field.default_factory for name, field in _FIELDS.items() if field.default_factory}
_LIES_AT = select(LETTER_COPY.c.letter_id).where(
    *(LETTER_COPY.c[name] == bindparam(name) for name in ("folder_id", "uidvalidity", "uid", "uidl"))
)
_NAMESAKE = (
    select(LETTER.c.id)
    .where(
        LETTER.c.user_id == bindparam("person"),
        LETTER.c.message_id == bindparam("name"),
        LETTER.c.mailbox_id == bindparam("mailbox"),
        LETTER.c.id != bindparam("letter"),
    )
    .limit(1)
)
_WORDS = insert(LETTER_BODY)
_RAW = insert(LETTER_RAW)


@dataclass(frozen=True)
class Arrived:
    """A letter that was understood, on its way into the database."""

    mailbox: Mailbox
    fetched: Fetched
    raw: bytes
    parsed: Parsed
    own: frozenset[str]
    judged: Judged
    receipt: Receipt
    content_hash: str
    identity: str
    flags: list[str]
    inner: Person | None = None
    """Who wrote what a colleague handed on."""


def known_copy(session: Session, place: Place) -> Letter | None:
    """The letter that lies at this place, if we have it."""
    if not (place.uid or place.uidl):
        return None
    number = session.connection().execute(_LIES_AT, asdict(place)).scalar()
    return None if number is None else session.get_one(Letter, number)


def keep_copy(session: Session, letter: Letter, place: Place, seen_at: datetime) -> None:
    """Notes the place; a server without numbering has none."""
    if place.uid or place.uidl:
        add_or_keep(session, LETTER_COPY, {"letter_id": letter.id, "seen_at": seen_at, **asdict(place)})


def make_letter(session: Session, arrived: Arrived) -> tuple[Letter, bool]:
    """The letter's row, and whether it is new: the database decides between two who bring the same one."""
    return _insert_or_keep(session, _row(arrived))


def store_letter(session: Session, letter: Letter, arrived: Arrived) -> None:
    """Words, raw bytes and files of a new letter."""
    parsed = arrived.parsed
    if parsed.message_id and _has_namesake(session, letter):
        letter.flags = [*letter.flags, "duplicate_message_id"]
    words = {"letter_id": letter.id, "text": parsed.text, "html": parsed.html, "headers": parsed.headers_text}
    session.connection().execute(_WORDS, words)
    session.add_all(_files(letter, parsed))
    _keep_raw(session, letter, arrived.raw)


def store_unread(session: Session, mailbox: Mailbox, fetched: Fetched, raw: bytes, digest: str) -> tuple[Letter, bool]:
    """A letter that could not be understood: its bytes, and nothing that was read out of them."""
    row = {
        "user_id": mailbox.user_id,
        "mailbox_id": mailbox.id or 0,
        "identity": f"gmail:{fetched.gmail_id}" if fetched.gmail_id is not None else digest,
        "content_hash": digest,
        "header_hash": fetched.header_hash,
        "gmail_id": fetched.gmail_id,
        "received_at": min(fetched.internal_date or fetched.fetched_at, fetched.fetched_at),
        "recipient": form_of(mailbox.address),
        "size": fetched.size,
        "server_flags": sorted(fetched.flags),
        "category_reason": "unparsed",
        "defects": [fetched.unparsed[:200]],
        "flags": sorted(fetched.tags),
        "too_large": fetched.too_large,
        "unparsed": True,
        "recovered": fetched.recovered,
        "silent": fetched.silent,
    }
    letter, is_new = _insert_or_keep(session, row)
    if is_new:
        _keep_raw(session, letter, raw)
    return letter, is_new


def _insert_or_keep(session: Session, facts: dict[str, Any]) -> tuple[Letter, bool]:
    row = _DEFAULTS | {name: make() for name, make in _FACTORIES.items()} | facts
    number = add_or_keep(session, LETTER, row)
    if number is None:  # it is here already, or another worker has just brought it
        same = rows(Letter).where(Letter.mailbox_id == row["mailbox_id"], Letter.identity == row["identity"])
        return session.exec(same).one(), False
    return _as_read(session, row | {"id": number}), True


def _as_read(session: Session, row: dict[str, Any]) -> Letter:
    """The row as the session would have it had it been read: several times faster than making a model and reading it again."""
    letter = cast(Letter, inspect(Letter).class_manager.new_instance())
    instance_dict(letter).update(row)
    make_transient_to_detached(letter)
    session.add(letter)
    return letter


def _row(arrived: Arrived) -> dict[str, Any]:
    parsed, fetched, mailbox = arrived.parsed, arrived.fetched, arrived.mailbox
    person = _writer(arrived)
    return {
        "user_id": mailbox.user_id,
        "mailbox_id": mailbox.id or 0,
        "identity": arrived.identity,
        "message_id": parsed.message_id[:_LONGEST_ID],
        "content_hash": arrived.content_hash,
        "header_hash": fetched.header_hash,
        "gmail_id": fetched.gmail_id,
        "in_reply_to": next(iter(parsed.in_reply_to), "")[:_LONGEST_ID],
        "references": [one[:_LONGEST_ID] for one in parsed.references],
        "thread": _thread(parsed),
        "received_at": arrived.receipt.at,
        "sent_at": _plausible(parsed.sent_at, fetched.fetched_at),
        "sender": form_of(person.address) if person else "",
        "sender_address": person.address if person else "",
        "sender_name": person.name if person else "",
        "reply_to": next((one.address for one in parsed.reply_to), ""),
        "recipient": _recipient(arrived),
        "to": [[one.address, one.name] for one in parsed.to],
        "cc": [[one.address, one.name] for one in parsed.cc],
        "subject": parsed.subject,
        "snippet": snippet(parsed.text),
        "size": fetched.size,
        "has_attachments": any(not file.inline for file in parsed.files),
        "server_flags": sorted(fetched.flags),
        "category": arrived.judged.category,
        "category_reason": arrived.judged.reason,
        "defects": list(parsed.defects),
        "flags": arrived.flags,
        "too_large": fetched.too_large,
        "recovered": fetched.recovered,
        "backfilled": arrived.receipt.backfilled and not fetched.recovered,
        "silent": fetched.silent,
    }


def _writer(arrived: Arrived) -> Person | None:
    """Who wrote: From, or Reply-To of a form that writes in our own name, or who stands inside a forwarded letter."""
    sender = arrived.parsed.sender
    if sender is None or arrived.inner is not None:
        return arrived.inner
    replies = {form_of(one.address): one for one in arrived.parsed.reply_to}
    form = sender_of(form_of(sender.address), list(replies), arrived.own)
    return sender if form == form_of(sender.address) else replies[form]


def _recipient(arrived: Arrived) -> str:
    named = [form_of(one.address) for one in (*arrived.parsed.to, *arrived.parsed.cc)]
    traced = [
        form_of(decoded(value).strip("<> ")) for name in _TRACED for value in arrived.parsed.values(name)[:10] if value
    ]
    base = form_of(arrived.mailbox.address) or arrived.mailbox.address
    return recipient_of(named, traced, base)


def _thread(parsed: Parsed) -> str:
    """The first letter of the conversation, as far as this one knows it; written as messages of ours write it."""
    root = next(iter((*parsed.references, *parsed.in_reply_to, parsed.message_id)), "")
    return f"<{root}>"[:_LONGEST_ID] if root else ""


def _plausible(sent_at: datetime | None, fetched_at: datetime) -> datetime | None:
    return sent_at if sent_at is not None and sent_at <= fetched_at + _SENT_AHEAD else None


def _has_namesake(session: Session, letter: Letter) -> bool:
    facts = {"person": letter.user_id, "name": letter.message_id, "mailbox": letter.mailbox_id, "letter": letter.id}
    return session.connection().execute(_NAMESAKE, facts).first() is not None


def _files(letter: Letter, parsed: Parsed) -> Iterator[LetterAttachment]:
    for position, file in enumerate(parsed.files):
        yield LetterAttachment(
            letter_id=letter.id or 0,
            position=position,
            part=file.part,
            filename=file.filename,
            written_name=file.written_name,
            content_type=file.content_type,
            content_id=file.content_id,
            inline=file.inline,
            size=file.size,
            digest=file.digest,
        )


def _keep_raw(session: Session, letter: Letter, raw: bytes) -> None:
    """One row at a time, so that a great letter is never in memory twice."""
    for number, start in enumerate(range(0, len(raw), PIECE)):
        row = {"letter_id": letter.id, "number": number, "content": zlib.compress(raw[start : start + PIECE], 1)}
        session.connection().execute(_RAW, row)
