"""A raw letter as what it says: who wrote to whom, when, what, and what is attached. Never raises on any bytes; what was odd is
kept as codes in :attr:`ParsedLetter.defects`.

Fields are found in the raw bytes and each is decoded by itself, so that one broken field spoils no other.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from tracker.inbound.dates import read_date
from tracker.inbound.file_names import safe_name
from tracker.inbound.letter_text import text_from_html
from tracker.mail.addresses import AddressField, Mailbox, read_field
from tracker.mail.mime.encodings import measured, octets_in
from tracker.mail.mime.fields import Field
from tracker.mail.mime.parts import Part, leaves, read_parts
from tracker.mail.mime.text import decoded, readable, storable

MOST_HEADER_BYTES = 256 * 1024
MOST_FIELDS = 2_000
MOST_PARTS = 1_000
MOST_FILES = 200
MOST_TEXT = 1_000_000
MOST_HTML = 5_000_000
MOST_REFERENCES = 50
LONGEST_ID = 998  # RFC 5322 section 2.1.1: no line is longer
_LONGEST_VALUE = 64 * 1024
_MSG_ID = re.compile(r"<\s*([^<>\s][^<>\r\n]{0,2000}?)\s*>")
_BARE_ID = re.compile(r"[^\s<>,;@]{1,250}@[^\s<>,;@]{1,250}")
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
    size: int
    digest: str


@dataclass(frozen=True)
class ParsedLetter:
    """What a letter says. Message-IDs are without their angle brackets, case kept; over-long ones are hashed."""

    fields: tuple[tuple[str, str], ...]
    """Every header field in its order: name in lower case, value unfolded and as written."""
    content_type: str
    parameters: dict[str, str]
    senders: tuple[Mailbox, ...]
    reply_to: tuple[Mailbox, ...]
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
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

    @property
    def sender(self) -> Mailbox | None:
        return self.senders[0] if self.senders else None

    def value(self, name: str) -> str:
        """The first field of that name as written, empty when there is none."""
        return next((value for found, value in self.fields if found == name), "")

    def values(self, name: str) -> list[str]:
        return [value for found, value in self.fields if found == name]

    @property
    def headers_text(self) -> str:
        """The header section for people: one decoded field per line."""
        return "\n".join(f"{name}: {decoded(value[:4000])}" for name, value in self.fields)[:MOST_HEADER_BYTES]


def parse(raw: bytes) -> ParsedLetter:
    """Reads a letter. Never raises; see the module."""
    odd: list[str] = []
    root = read_parts(raw)
    fields = _fields(root.fields, root.header_end, odd)
    parts = _parts(root, odd)
    text, html = _bodies(raw, parts, odd)
    addresses = {name: _mailboxes(name, fields, odd) for name in ("from", "reply-to", "to", "cc")}
    return ParsedLetter(
        fields=fields,
        content_type=storable(root.content_type),
        parameters={storable(name): storable(value) for name, value in root.parameters.items()},
        senders=addresses["from"],
        reply_to=addresses["reply-to"],
        to=addresses["to"],
        cc=addresses["cc"],
        subject=_subject(fields),
        message_id=next(iter(message_ids(_first(fields, "message-id"))), ""),
        in_reply_to=tuple(message_ids(_first(fields, "in-reply-to")))[:MOST_REFERENCES],
        references=tuple(message_ids(_first(fields, "references")))[-MOST_REFERENCES:],
        sent_at=_sent_at(fields, odd),
        text=text,
        html=html,
        files=tuple(_files(raw, parts, odd)),
        part_types=frozenset(part.content_type for _, part in parts) | {root.content_type},
        defects=tuple(dict.fromkeys(odd)),
    )


def message_ids(value: str) -> list[str]:
    """The msg-ids of a field such as References, however they are divided; over-long ones as a digest."""
    value = storable(value)[:_LONGEST_VALUE]
    found = [one[1] for one in _MSG_ID.finditer(value)]
    if not found:
        found = _BARE_ID.findall(value) or [word.strip("<>,;") for word in value.split()[:1]]
    return [one if len(one) <= LONGEST_ID else hashlib.sha256(one.encode()).hexdigest() for one in found if one]


def content_of(raw: bytes, part: str) -> bytes | None:
    """The bytes of the file at this place of the tree of parts; None when there is none."""
    found = next((one for place, one in leaves(read_parts(raw)) if place == part), None)
    return None if found is None else octets_in(raw, found)


def _fields(found: Sequence[Field], header_end: int, odd: list[str]) -> tuple[tuple[str, str], ...]:
    if header_end > MOST_HEADER_BYTES or len(found) > MOST_FIELDS:
        odd.append("headers_cut")
    kept, room = [], MOST_HEADER_BYTES
    for field in found[:MOST_FIELDS]:
        value = field.value[: min(_LONGEST_VALUE, room)]
        room = max(0, room - len(value) - len(field.name))
        kept.append((field.name[:200], value.replace("\0", "")))
    names = [name for name, _ in kept]
    if any(names.count(name) > 1 for name in _ONCE):
        odd.append("field_repeated")
    return tuple(kept)


def _first(fields: Sequence[tuple[str, str]], name: str) -> str:
    return next((value for found, value in fields if found == name), "")


def _mailboxes(name: str, fields: Sequence[tuple[str, str]], odd: list[str]) -> tuple[Mailbox, ...]:
    """From is the first field of its name alone; recipients may stand in several."""
    values = [value for found, value in fields if found == name]
    if name in ("from", "reply-to"):
        values = values[:1]
    found = [read_field(value) for value in values[:20]]
    odd.extend(f"{name}_{code}".replace("-", "_") for one in found for code in one.odd)
    return tuple(_unique(found))


def _unique(found: Sequence[AddressField]) -> Iterator[Mailbox]:
    seen = set()
    for mailbox in (mailbox for one in found for mailbox in one.mailboxes):
        if mailbox.address not in seen:
            seen.add(mailbox.address)
            yield mailbox


def _subject(fields: Sequence[tuple[str, str]]) -> str:
    return decoded(_first(fields, "subject")[:20_000])[:2_000]


def _sent_at(fields: Sequence[tuple[str, str]], odd: list[str]) -> datetime | None:
    written = _first(fields, "date").strip()
    found = read_date(decoded(written[:200])) if written else None
    if found is None:
        odd.append("date_unusable" if written else "date_missing")
    return found


def _parts(root: Part, odd: list[str]) -> list[tuple[str, Part]]:
    """The parts that hold something, with their places."""
    found = list(islice(leaves(root), MOST_PARTS + 1))
    if len(found) > MOST_PARTS:
        odd.append("too_many_parts")
    odd.extend("multipart_without_parts" for _, part in found[:MOST_PARTS] if part.multipart)
    return found[:MOST_PARTS]


def _bodies(raw: bytes, parts: Sequence[tuple[str, Part]], odd: list[str]) -> tuple[str, str | None]:
    """Plain text and HTML; text is derived where there is only HTML."""
    texts = [_text(raw, part, MOST_TEXT, odd) for _, part in parts if _is_body(part, "text/plain")][:20]
    htmls = [_text(raw, part, MOST_HTML, odd) for _, part in parts if _is_body(part, "text/html")][:1]
    others = [] if texts or htmls else [_text(raw, p, MOST_TEXT, odd) for _, p in parts if _is_other_text(p)][:1]
    html = htmls[0] if htmls and htmls[0].strip() else None
    text = "\n\n".join(one.strip() for one in (*texts, *others) if one.strip())[:MOST_TEXT]
    return text or (text_from_html(html)[:MOST_TEXT] if html else ""), html


def _is_body(part: Part, content_type: str) -> bool:
    return part.content_type == content_type and not part.is_attachment


def _is_other_text(part: Part) -> bool:
    """Enriched text and whatever else calls itself text: better than nothing."""
    return part.content_type.startswith("text/") and part.content_type != "text/calendar" and not part.is_attachment


def _text(raw: bytes, part: Part, most: int, odd: list[str]) -> str:
    octets = octets_in(raw, part)
    if len(octets) > 4 * most:
        octets = octets[: 4 * most]
    text = readable(octets, part.parameters.get("charset", ""))
    if len(text) > most:
        odd.append("body_cut")
    return text[:most].replace("\r\n", "\n")


def _files(raw: bytes, parts: Sequence[tuple[str, Part]], odd: list[str]) -> Iterator[ParsedFile]:
    files = [
        (place, part) for place, part in parts if part.is_attachment or _is_spare_text(part, alone=len(parts) == 1)
    ]
    if len(files) > MOST_FILES:
        odd.append("too_many_files")
    return (_file(raw, place, part, number) for number, (place, part) in enumerate(files[:MOST_FILES], 1))


def _is_spare_text(part: Part, *, alone: bool) -> bool:
    """An invitation and other text that is not the body, beside one."""
    return part.content_type.startswith("text/") and part.content_type not in ("text/plain", "text/html") and not alone


def _file(raw: bytes, place: str, part: Part, number: int) -> ParsedFile:
    size, digest = measured(raw, part.body_start, part.body_end, part.header("content-transfer-encoding"))
    written = decoded(part.file_name[:4000])
    content_id = storable(part.header("content-id")).strip().strip("<>")[:255]
    return ParsedFile(
        part=place[:100],
        filename=safe_name(written, part.content_type, number),
        written_name=written[:1000],
        content_type=storable(part.content_type)[:127],
        content_id=content_id,
        inline=part.is_inline_picture,
        size=size,
        digest=digest,
    )
