"""Letters as rows: themselves, their words, their raw bytes in pieces, their files, and the places where they lie.

Several letters share a statement wherever they can: a statement costs more than a row.
"""

import zlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from sqlalchemy import bindparam, func, inspect, select
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import instance_dict
from sqlmodel import Session, col, delete
from sqlmodel import select as rows

from tracker.inbound.fetch.fetched_letter import FetchedLetter, LetterLocation
from tracker.inbound.received_letter import ReceivedLetter, row_of
from tracker.mail.addresses import lookup_or_none
from tracker.models import Letter, LetterAttachment, LetterBody, LetterRaw, Mailbox
from tracker.models.counting.bulk import add_or_keep_all, append_rows
from tracker.models.counting.tables import LETTER, LETTER_BODY, LETTER_COPY, LETTER_FILE, LETTER_RAW
from tracker.models.rows import public_id
from tracker.runtime.database import now

PIECE = 1024 * 1024
"""Bytes of a raw letter in one row, before compression."""
# Statements are made once: making one costs more than running it.
_FIELDS = {name: field for name, field in Letter.model_fields.items() if name != "id"}
_DEFAULTS = {name: field.default for name, field in _FIELDS.items() if field.default_factory is None}
_FACTORIES: dict[str, Any] = {name: field.default_factory for name, field in _FIELDS.items() if field.default_factory}
_LIE_AT = select(LETTER_COPY).where(
    LETTER_COPY.c.folder_id == bindparam("folder_id"),
    *(LETTER_COPY.c[name].in_(bindparam(name, expanding=True)) for name in ("uidvalidity", "uid", "uidl")),
)
_NAMESAKES = (
    select(LETTER.c.message_id, func.min(LETTER.c.id).label("first"))
    .where(
        LETTER.c.user_id == bindparam("person"),
        LETTER.c.message_id.in_(bindparam("names", expanding=True)),
        LETTER.c.mailbox_id == bindparam("mailbox"),
    )
    .group_by(LETTER.c.message_id)
)


def known_places(session: Session, places: Sequence[LetterLocation]) -> dict[LetterLocation, Letter]:
    """The letters that lie at these places of one folder, as far as we have them."""
    named = [place for place in places if place.uid or place.uidl]
    if not named:
        return {}
    asked = {name: list({getattr(place, name) for place in named}) for name in ("uidvalidity", "uid", "uidl")}
    rows = session.connection().execute(_LIE_AT, {"folder_id": named[0].folder_id, **asked})
    numbers = {LetterLocation(row.folder_id, row.uidvalidity, row.uid, row.uidl): row.letter_id for row in rows}
    return {place: session.get_one(Letter, numbers[place]) for place in named if place in numbers}


def keep_places(session: Session, lying: Sequence[tuple[Letter, LetterLocation, datetime]]) -> None:
    """Notes where letters lie, and when that was seen; a server without numbering has no places."""
    copies = [
        {"letter_id": letter.id, "seen_at": seen_at, **asdict(place)}
        for letter, place, seen_at in lying
        if place.uid or place.uidl
    ]
    add_or_keep_all(session, LETTER_COPY, copies)


def make_letters(session: Session, arrived: Sequence[ReceivedLetter]) -> list[tuple[Letter, bool]]:
    """The letters' rows, and which are new: the database decides between two who bring the same one."""
    return _insert_or_keep(session, [row_of(arrival) for arrival in arrived])


def store_letters(session: Session, new: Sequence[tuple[Letter, ReceivedLetter]]) -> None:
    """Words, raw bytes and files of new letters of one mailbox."""
    if not new:
        return
    _mark_namesakes(session, [letter for letter, _ in new])
    append_rows(session, LETTER_BODY, [_words(letter, arrived) for letter, arrived in new])
    append_rows(session, LETTER_FILE, [row for letter, arrived in new for row in _files(letter, arrived)])
    _keep_raw(session, [(letter, arrived.raw) for letter, arrived in new])


def store_unread(
    session: Session, mailbox: Mailbox, fetched: FetchedLetter, raw: bytes, digest: str
) -> tuple[Letter, bool]:
    """A letter that could not be understood: its bytes, and nothing that was read out of them."""
    row = {
        "user_id": mailbox.user_id,
        "mailbox_id": mailbox.id,
        "identity": f"gmail:{fetched.gmail_id}" if fetched.gmail_id is not None else digest,
        "content_hash": digest,
        "header_hash": fetched.header_hash,
        "gmail_id": fetched.gmail_id,
        "received_at": min(fetched.internal_date or fetched.fetched_at, fetched.fetched_at),
        "recipient": lookup_or_none(mailbox.address) or "",
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
    ((letter, is_new),) = _insert_or_keep(session, [row])
    if is_new:
        _keep_raw(session, [(letter, raw)])
    return letter, is_new


def _insert_or_keep(session: Session, some: Sequence[dict[str, Any]]) -> list[tuple[Letter, bool]]:
    """Of rows with one identity the first is the letter, unless it is here already or another worker has just brought it."""
    whole = [_DEFAULTS | {name: make() for name, make in _FACTORIES.items()} | facts for facts in some]
    added = add_or_keep_all(session, LETTER, whole, "identity")
    letters: dict[str, Letter] = {}
    made = []
    for row in whole:
        is_new = row["identity"] in added and row["identity"] not in letters
        if is_new:
            letters[row["identity"]] = _as_read(session, row | {"id": added[row["identity"]]})
        made.append((row, is_new))
    letters |= _here(session, [row for row in whole if row["identity"] not in letters])
    return [(letters[row["identity"]], is_new) for row, is_new in made]


def _here(session: Session, some: Sequence[dict[str, Any]]) -> dict[str, Letter]:
    """Letters of one mailbox that were there before, by identity."""
    if not some:
        return {}
    identities = [row["identity"] for row in some]
    same = rows(Letter).where(Letter.mailbox_id == some[0]["mailbox_id"], col(Letter.identity).in_(identities))
    return {letter.identity: letter for letter in session.exec(same)}


def _as_read(session: Session, row: dict[str, Any]) -> Letter:
    """The row as the session would have it had it been read: several times faster than making a model and reading it again."""
    letter = cast(Letter, inspect(Letter).class_manager.new_instance())
    instance_dict(letter).update(row)
    make_transient_to_detached(letter)
    session.add(letter)
    return letter


def _mark_namesakes(session: Session, letters: Sequence[Letter]) -> None:
    """Another letter, and not this one alone, has its Message-ID."""
    names = list({letter.message_id for letter in letters if letter.message_id})
    if not names:
        return
    facts = {"person": letters[0].user_id, "mailbox": letters[0].mailbox_id, "names": names}
    first = {row.message_id: row.first for row in session.connection().execute(_NAMESAKES, facts)}
    for letter in letters:
        if letter.id != first.get(letter.message_id, letter.id):
            letter.flags = [*letter.flags, "duplicate_message_id"]


def _words(letter: Letter, arrived: ReceivedLetter) -> dict[str, Any]:
    parsed = arrived.parsed
    return {"letter_id": letter.id, "text": parsed.text, "html": parsed.html, "headers": parsed.headers_text}


def _files(letter: Letter, arrived: ReceivedLetter) -> list[dict[str, Any]]:
    return [
        {"public_id": public_id(), "letter_id": letter.id, "position": position, **asdict(file)}
        for position, file in enumerate(arrived.parsed.files)
    ]


def _keep_raw(session: Session, letters: Sequence[tuple[Letter, bytes]]) -> None:
    """A megabyte at a time, so that a great letter is never in memory twice."""
    waiting: list[dict[str, Any]] = []
    size = 0
    for letter, raw in letters:
        for number, start in enumerate(range(0, len(raw), PIECE)):
            piece = raw[start : start + PIECE]
            waiting.append({"letter_id": letter.id, "number": number, "content": zlib.compress(piece, 1)})
            size += len(piece)
            if size >= PIECE:
                append_rows(session, LETTER_RAW, waiting)
                waiting, size = [], 0
    append_rows(session, LETTER_RAW, waiting)


def raw_of(session: Session, letter: Letter) -> bytes:
    """All bytes that were loaded; empty when the letter was thrown away."""
    pieces = rows(LetterRaw.content).where(LetterRaw.letter_id == letter.id).order_by(col(LetterRaw.number))
    return b"".join(zlib.decompress(piece) for piece in session.exec(pieces))


def remove_letter(session: Session, letter: Letter) -> None:
    """Throws its content away. A tombstone stays, so that it is not loaded again, and whether it counted: a deleted enquiry
    still holds back its repeats."""
    for table in (LetterBody, LetterRaw, LetterAttachment):
        session.exec(delete(table).where(col(table.letter_id) == letter.id))
    letter.deleted_at = now()
    letter.subject = letter.snippet = letter.sender_name = letter.category_reason = ""
    letter.to, letter.cc, letter.defects = [], [], []
    letter.has_attachments = False
    session.add(letter)
