"""A raw letter as what it says: who wrote to whom, when, what, and what is attached. Never raises on any bytes; what was odd is
kept as codes in :attr:`ParsedLetter.defects`.

Fields are found in the raw bytes and each is decoded by itself, so that one broken field spoils no other.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from html import unescape
from itertools import islice
from urllib.parse import unquote

from tracker.inbound.parse.bodies import MOST_TEXT, charset_hint, read_bodies
from tracker.inbound.parse.dates import names_unknown_zone, read_date
from tracker.inbound.parse.file_names import safe_name, unescaped
from tracker.inbound.parse.letter_text import text_from_html
from tracker.inbound.parse.quotations import own_text
from tracker.mail.addresses import Address, AddressField, read_field
from tracker.mail.mime.encodings import measured, octets_in
from tracker.mail.mime.fields import fields as fields_of
from tracker.mail.mime.fields import first as field_named
from tracker.mail.mime.parts import Part, leaves
from tracker.mail.mime.pictures import MOST_SHOWN, shown_ids, shown_kind
from tracker.mail.mime.repair import divided
from tracker.mail.mime.text import decoded, storable, without_raw_octets

MOST_HEADER_BYTES = 256 * 1024
MOST_FIELDS = 2_000
MOST_PARTS = 1_000
MOST_FILES = 200
MOST_REFERENCES = 50
LONGEST_ID = 998  # RFC 5322 section 2.1.1: no line is longer
_LONGEST_VALUE = 64 * 1024
_MSG_ID = re.compile(r"<\s*+(?:mailto:)?([^<>\s][^<>\r\n]{0,2000})>")
_BARE_ID = re.compile(r"[^\s<>,;@\[\]]{1,250}@[^\s<>,;@\[\]]{1,250}")
_ONCE = frozenset(
    {"from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references", "reply-to", "sender"}
)


@dataclass(frozen=True)
class ParsedFile:
    """A file of a letter; its bytes are read out of the raw letter with :func:`content_of`."""

    part: str
    """Its place in the tree of parts, such as ``1.2``."""
    filename: str
    written_name: str
    content_type: str
    content_id: str
    inline: bool
    """A picture that the HTML shows."""
    size: int
    digest: str


@dataclass(frozen=True)
class ParsedLetter:
    """What a letter says. Message-IDs are without their angle brackets, case kept; over-long ones are hashed."""

    fields: tuple[tuple[str, str], ...]
    """Every header field in its order: name in lower case, value unfolded and as written."""
    content_type: str
    parameters: dict[str, str]
    senders: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    message_id: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    sent_at: datetime | None
    text: str
    html: str | None
    files: tuple[ParsedFile, ...]
    part_types: frozenset[str]
    defects: tuple[str, ...]
    unread_digest: str
    """Of the octets of a body of which something could not be read, or nothing was found in it; else empty."""
    feedback_type: str = ""
    """Of a complaint: what it is about (RFC 5965 section 3.1)."""

    @cached_property
    def own_text(self) -> str:
        """What the writer wrote, without quotations and signature."""
        return own_text(self.text, self.html)

    @property
    def sender(self) -> Address | None:
        return self.senders[0] if self.senders else None

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        return _by_name(self.fields)

    def value(self, name: str) -> str:
        """The first field of that name as written, empty when there is none."""
        return self.values(name)[0] if name in self._named else ""

    def values(self, name: str) -> Sequence[str]:
        return self._named.get(name, ())

    @property
    def headers_text(self) -> str:
        """The header section for people: one decoded field per line."""
        return "\n".join(f"{name}: {decoded(value[:4000])}" for name, value in self.fields)[:MOST_HEADER_BYTES]


_LIKE_NAME = re.compile(r"[^\s/\\][^/\\]{0,120}\.[A-Za-z0-9]{2,5}")
_SPOILT = re.compile(r"[?_\ufffd]{3}|\ufffd")


def parse(raw: bytes) -> ParsedLetter:
    """Reads a letter. Never raises; see the module."""
    odd: list[str] = []
    raw, root = divided(raw)
    parts = _parts(root, odd)
    hint = charset_hint(root, parts)
    fields = _fields(root, hint, odd)
    named = _by_name(fields)
    if any(len(named.get(name, ())) > 1 for name in _ONCE):
        odd.append("field_repeated")
    bodies = read_bodies(raw, root, parts, hint)
    odd += ["body_cut"] if bodies.cut else []
    addresses = {name: _mailboxes(name, named, odd) for name in ("from", "reply-to", "to", "cc")}
    files = tuple(
        _files(raw, [each for each in parts if each[0] not in bodies.places], hint, shown_ids(bodies.html or ""), odd)
    )
    return ParsedLetter(
        fields=fields,
        content_type=storable(root.content_type),
        parameters={storable(name): storable(value) for name, value in root.parameters.items()},
        senders=addresses["from"] or _other_senders(named, addresses["reply-to"]),
        reply_to=addresses["reply-to"],
        to=addresses["to"],
        cc=addresses["cc"],
        subject=decoded(_first(named, "subject")[:20_000])[:2_000],
        message_id=next(iter(message_ids(_first(named, "message-id"))), ""),
        in_reply_to=_ids(named.get("in-reply-to", ()))[:MOST_REFERENCES],
        references=_ids(named.get("references", ()))[-MOST_REFERENCES:],
        sent_at=_sent_at(_first(named, "date").strip(), odd),
        text=bodies.text or (text_from_html(bodies.html)[:MOST_TEXT] if bodies.html else ""),
        html=bodies.html,
        files=files,
        part_types=frozenset(part.content_type for _, part in parts) | {root.content_type},
        defects=tuple(dict.fromkeys(odd)),
        unread_digest=_unread_digest(
            raw, root, odd, is_empty=not bodies.text.strip() and not bodies.html and not files
        ),
        feedback_type=_feedback_type(raw, parts),
    )


_CUT_SHORT = frozenset({"body_cut", "too_many_parts", "too_many_files", "multipart_without_parts", "headers_cut"})


def _unread_digest(raw: bytes, root: Part, odd: Sequence[str], *, is_empty: bool) -> str:
    if not (is_empty or _CUT_SHORT.intersection(odd)):
        return ""
    return hashlib.sha256(raw[root.header_end :].strip()).hexdigest()


def _other_senders(named: Mapping[str, Sequence[str]], reply_to: tuple[Address, ...]) -> tuple[Address, ...]:
    """Who wrote where From names nobody: Sender, Reply-To, the return path."""
    for name in ("sender", "", "return-path"):
        senders = _mailboxes(name, named, []) if name else reply_to
        if senders:
            return senders[:1]
    return ()


def message_ids(value: str) -> list[str]:
    """The msg-ids of a field such as References, however they are divided and encoded; over-long ones as a digest."""
    value = storable(value)[:_LONGEST_VALUE]
    if "=?" in value:
        value = decoded(value)
    if "<" not in value:
        value = unescape(value) if "&lt;" in value else unquote(value) if "%40" in value else value
    ids = ["".join(match[1].split()) for match in _MSG_ID.finditer(value)]
    if not ids:
        ids = _BARE_ID.findall(value) or [word.strip("<>,;[]") for word in value.split()[:1]]
    return [id_ if len(id_) <= LONGEST_ID else hashlib.sha256(id_.encode()).hexdigest() for id_ in ids if id_]


def _ids(values: Sequence[str]) -> tuple[str, ...]:
    """Of all fields of a name, each once."""
    return tuple(dict.fromkeys(id_ for value in values for id_ in message_ids(value)))


def _feedback_type(raw: bytes, parts: Sequence[tuple[str, Part]]) -> str:
    report = next((part for _, part in parts if part.content_type == "message/feedback-report"), None)
    if report is None:
        return ""
    said = field_named(list(fields_of(octets_in(raw, report, 64 * 1024).lstrip() + b"\n")), "feedback-type")
    return said.value.strip().lower()[:40] if said else ""


def content_of(raw: bytes, part: str) -> bytes | None:
    """The bytes of the file at this place of the tree of parts; None when there is none."""
    raw, root = divided(raw)
    leaf = next((leaf for place, leaf in leaves(root) if place == part), None)
    return None if leaf is None else octets_in(raw, leaf)


def _fields(root: Part, hint: str, odd: list[str]) -> tuple[tuple[str, str], ...]:
    if root.header_end - root.start > MOST_HEADER_BYTES or len(root.fields) > MOST_FIELDS:
        odd.append("headers_cut")
    fields, room = list[tuple[str, str]](), MOST_HEADER_BYTES
    for each in root.fields[:MOST_FIELDS]:
        value = each.value[: min(_LONGEST_VALUE, room)]
        room = max(0, room - len(value) - len(each.name))
        fields.append((each.name[:200], without_raw_octets(value, hint).replace("\0", "")))
    return tuple(fields)


def _by_name(fields: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of the fields of each name, in their order."""
    named: dict[str, list[str]] = {}
    for name, value in fields:
        named.setdefault(name, []).append(value)
    return named


def _first(named: Mapping[str, Sequence[str]], name: str) -> str:
    return named[name][0] if name in named else ""


def _mailboxes(name: str, named: Mapping[str, Sequence[str]], odd: list[str]) -> tuple[Address, ...]:
    """From is the first field of its name alone; recipients may stand in several."""
    if name not in named:
        return ()
    only_one = name in ("from", "reply-to", "sender", "return-path")
    address_fields = [_read_field(value) for value in named[name][: 1 if only_one else 20]]
    odd.extend(f"{name}_{code}".replace("-", "_") for address_field in address_fields for code in address_field.odd)
    return tuple(_unique(address_fields))


def _read_field(value: str) -> AddressField:
    """Also a field that is one encoded-word, address and all."""
    field = read_field(value, received=True)
    return (
        read_field(decoded(value[:_LONGEST_VALUE]), received=True) if not field.mailboxes and "=?" in value else field
    )


def _unique(address_fields: Sequence[AddressField]) -> Iterator[Address]:
    seen = set()
    for mailbox in (mailbox for address_field in address_fields for mailbox in address_field.mailboxes):
        if mailbox.address not in seen:
            seen.add(mailbox.address)
            yield mailbox


def _sent_at(written: str, odd: list[str]) -> datetime | None:
    said = decoded(written[:200])
    moment = read_date(said) if written else None
    if moment is not None and names_unknown_zone(said):
        odd.append("date_zone_unknown")
    if moment is None:
        odd.append("date_unusable" if written else "date_missing")
    return moment


def _parts(root: Part, odd: list[str]) -> list[tuple[str, Part]]:
    """The parts that hold something, with their places."""
    listed = list(islice(leaves(root), MOST_PARTS + 1))
    if len(listed) > MOST_PARTS:
        odd.append("too_many_parts")
    odd.extend("multipart_without_parts" for _, part in listed[:MOST_PARTS] if part.multipart)
    return listed[:MOST_PARTS]


def _files(
    raw: bytes, parts: Sequence[tuple[str, Part]], hint: str, named: frozenset[str], odd: list[str]
) -> Iterator[ParsedFile]:
    """Pictures of the text stay files like others where they are too much to be shown, or share their Content-ID."""
    if len(parts) > MOST_FILES:
        odd.append("too_many_files")
    files = [_file(raw, place, part, number, hint) for number, (place, part) in enumerate(parts[:MOST_FILES], 1)]
    pictures = {file.content_id: file for file in reversed(files) if file.inline and file.content_id in named}
    shown = pictures.values() if sum(file.size for file in pictures.values()) <= MOST_SHOWN else ()
    return (replace(file, inline=any(file is picture for picture in shown)) for file in files)


def _written_name(part: Part, hint: str) -> str:
    """Of the names in both fields the one that says more: where one was spoilt by a program that knew no such letters."""
    named = (part.disposition_parameters.get("filename", ""), part.parameters.get("name", ""))
    first, second = (unescaped(decoded(without_raw_octets(name[:4000], hint))) for name in named)
    name = second if second and (not first or (_SPOILT.search(first) and not second.isascii())) else first
    return name or _name_in(without_raw_octets(part.header("content-description")[:400], hint))


def _name_in(description: str) -> str:
    """A description that is nothing but the name of a file."""
    name = decoded(description)
    return name if _LIKE_NAME.fullmatch(name) else ""


def _subject_inside(raw: bytes, part: Part) -> str:
    """The name of an attached message that has none of its own; empty for anything else."""
    if part.content_type != "message/rfc822":
        return ""
    subject = field_named(list(fields_of(octets_in(raw, part, MOST_HEADER_BYTES))), "subject")
    words = decoded(without_raw_octets(subject.value[:4000])) if subject else ""
    return f"{words.replace('/', ' ')}.eml" if words else ""


def _file(raw: bytes, place: str, part: Part, number: int, hint: str) -> ParsedFile:
    size, digest = measured(raw, part.body_start, part.body_end, part.header("content-transfer-encoding"))
    written = _written_name(part, hint)
    content_id = storable(part.header("content-id")).strip().strip("<>")[:255]
    return ParsedFile(
        part=place[:100],
        filename=safe_name(written or _subject_inside(raw, part), part.content_type, number),
        written_name=written[:1000],
        content_type=storable(part.content_type)[:127],
        content_id=content_id,
        inline=bool(content_id and shown_kind(octets_in(raw, part, 64), part.content_type)),
        size=size,
        digest=digest,
    )
