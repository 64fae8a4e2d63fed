"""Consents out of a CSV file: every row is taken or refused by itself, and each has its result."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from sqlmodel import Session

from tracker.consent.ledger import ledger, record_consent
from tracker.consent.rules import MEASURED, ConsentState, MoveError, Proof, Purpose
from tracker.mail.addresses import AddressError
from tracker.mail.mime.charset import guessed
from tracker.models import Recipient
from tracker.models.rows import public_id
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import LocalizedError, LocalizedText

if TYPE_CHECKING:
    from _csv import Reader

COLUMNS = (
    "address",
    "name",
    "purpose",
    "state",
    "at",
    "channel",
    "note",
    "notice",
    "notice_version",
    "notice_language",
    "question",
    "control",
    "reference",
    "source_url",
    "request_message_id",
    "confirmed_at",
)
NEEDED = ("address", "purpose", "state")
MAX_BYTES = 20_000_000
AT_ONCE = 100
_STATES = ("granted", "refused", "withdrawn", "objected", "asked", "blocked")
_PLAIN = (
    *("note", "notice", "notice_version", "notice_language", "question", "control"),
    *("reference", "source_url", "request_message_id"),
)


class UnreadableFile(LocalizedError):
    """The file as a whole cannot be read; nothing of it was recorded."""


@dataclass(frozen=True)
class ConsentRowResult:
    """What became of one row. ``line`` is its first line in the file, the heading being line 1."""

    line: int
    address: str
    recorded: int = 0
    """How many entries, one for each purpose; 0 for a row that was refused or says what the ledger says already."""
    field: str = ""
    problem: str = ""
    """Why it was refused, as a sentence; empty when it was not."""


def import_consents(context: AppContext, content: bytes, *, by: str) -> Iterator[ConsentRowResult]:
    """Records the consents of a CSV file: a row that is refused leaves nothing and stops no other.

    ``by`` is who imports, such as ``user:3``. Rows are committed a hundred at a time, before their results are given; a file that
    was mended can be given again, what the ledger says already is passed over. Raises :class:`UnreadableFile` before the first row.
    """
    actor = f"import:{public_id()}"
    for some in _batches(read_rows(content)):
        with context.database.session_scope() as session:
            results = [_take(session, row, actor, by) for row in some]
        yield from results


def _batches(rows: Iterator["ImportRow"]) -> Iterator[list["ImportRow"]]:
    while some := list(islice(rows, AT_ONCE)):
        yield some


@dataclass(frozen=True)
class ImportRow:
    """One row as the file has it; ``broken`` is what is wrong with the row as a row."""

    line: int
    cells: Mapping[str, str]
    broken: str = ""


def read_rows(content: bytes) -> Iterator[ImportRow]:
    """The rows under the heading, however a spreadsheet wrote the file: with Excel's ``sep=`` line or without, divided by commas,
    semicolons, tabs or bars, in UTF-8, UTF-16 or an older encoding, with empty columns. Raises :class:`UnreadableFile`."""
    text = _text(content)
    hint = _HINT.match(text)
    text, skipped = text[hint.end() if hint else 0 :], _blank_lines(text, hint)
    text = text[len(text) - len(text.lstrip("\r\n")) :]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=hint[1] if hint else _delimiter(text), strict=True)
    try:
        heading = [" ".join(name.split()).lower() for name in next(reader, [])]
    except csv.Error as error:
        raise UnreadableFile(LocalizedText("The heading cannot be read: %(problem)s.", problem=str(error))) from None
    _check_heading([name for name in heading if name])
    return _rows(reader, heading, skipped)


_HINT = re.compile(r"""\s*"?sep=([,;\t|:])"?[,;\t]*[ ]*(?:\r\n|\r|\n)""", re.IGNORECASE)


def _blank_lines(text: str, hint: re.Match[str] | None) -> int:
    """Lines before the heading, so that rows are named by their lines in the file."""
    before = text[: hint.end()] if hint else ""
    rest = text[len(before) :]
    before += rest[: len(rest) - len(rest.lstrip("\r\n"))]
    return len(before.splitlines())


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise UnreadableFile(
            LocalizedText("The file is larger than %(most)s MB. Divide it.", most=MAX_BYTES // 1_000_000)
        )
    if content[:4] == b"PK\x03\x04" or content[:4] == b"\xd0\xcf\x11\xe0":
        raise UnreadableFile(
            LocalizedText("This is a workbook of a spreadsheet program. Save it as “CSV UTF-8” and try again.")
        )
    try:
        return content.decode(_encoding(content)).lstrip("\ufeff")
    except UnicodeDecodeError:
        raise UnreadableFile(LocalizedText("The file is not text. Save it as “CSV UTF-8” and try again.")) from None


def _encoding(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if content[:200].count(b"\0") * 3 > len(content[:200]):
        return "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    return "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else guessed(content)


def _delimiter(text: str) -> str:
    """What divides the names that we know best; a quoted name may hold any character."""
    heading = re.sub(r'"[^"]*"', "", text.partition("\n")[0].partition("\r")[0])
    return max(",;\t|", key=heading.count)


def _check_heading(heading: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in heading]
    unknown = [name for name in heading if name not in COLUMNS]
    if missing or unknown or len(set(heading)) < len(heading):
        raise UnreadableFile(
            LocalizedText(
                "The first line must name the columns. Needed are %(needed)s; known are %(known)s. Here it is: %(here)s.",
                needed=", ".join(NEEDED),
                known=", ".join(COLUMNS),
                here=", ".join(heading)[:200] or "–",
            )
        )


def _rows(reader: "Reader", heading: Sequence[str], skipped: int) -> Iterator[ImportRow]:
    while True:
        line = skipped + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            words = LocalizedText(
                "Lines %(first)s to %(last)s are no row: %(problem)s.",
                first=line,
                last=skipped + reader.line_num,
                problem=str(error),
            )
            yield ImportRow(line, {}, words)
            continue
        if not any(field.strip() for field in fields):
            continue
        yield _row(line, [field.strip() for field in fields], heading)


def _row(line: int, fields: Sequence[str], heading: Sequence[str]) -> ImportRow:
    """Columns without a name that are empty are passed over, and so are empty fields behind the last column."""
    padded = [*fields, *[""] * (len(heading) - len(fields))]
    cells = {name: field for name, field in zip(heading, padded, strict=False) if name}
    nameless = [field for name, field in zip(heading, padded, strict=False) if not name]
    named = len(heading) - next((n for n, name in enumerate(reversed(heading)) if name), 0)
    whole = len(fields) >= named and not any(nameless) and not any(fields[len(heading) :])
    return ImportRow(line, cells, "" if whole else _of_wrong_length(fields, heading))


def _of_wrong_length(fields: Sequence[str], heading: Sequence[str]) -> str:
    return LocalizedText(
        "The row has %(here)s fields, the heading has %(there)s.", here=len(fields), there=len(heading)
    )


def _take(session: Session, row: ImportRow, actor: str, by: str) -> ConsentRowResult:
    address = row.cells.get("address", "")[:254]
    if row.broken:
        return ConsentRowResult(row.line, address, problem=row.broken)
    try:
        with session.begin_nested():
            return ConsentRowResult(row.line, address, _record(session, row, actor, by))
    except AddressError as error:
        return ConsentRowResult(row.line, address, field="address", problem=error.sentence)
    except MoveError as error:
        return ConsentRowResult(row.line, address, field=error.field, problem=error.sentence)


def _record(session: Session, row: ImportRow, actor: str, by: str) -> int:
    """Both purposes of a row or neither. Returns how many entries were made."""
    cells = row.cells
    if any("\0" in value for value in cells.values()):
        raise MoveError("note", "The row holds a character that is no text.")
    purposes, state, at = _purposes(cells["purpose"]), _state(cells["state"]), _moment("at", cells.get("at", ""))
    if state == ConsentState.GRANTED and at is None:
        raise MoveError("at", "“at” is missing: say when the consent was given.")
    person = find_or_make(session, cells["address"], cells.get("name", ""))
    session.flush()
    return sum(_append(session, person, purpose, state, at, _proof(row, by), cells, actor) for purpose in purposes)


def _append(
    session: Session,
    person: Recipient,
    purpose: Purpose,
    state: ConsentState,
    at: datetime | None,
    proof: Proof,
    cells: Mapping[str, str],
    actor: str,
) -> int:
    """Who withdrew elsewhere and never agreed here has said no: that must not be lost."""
    last = next((entry for entry in reversed(ledger(session, person)) if entry.purpose == purpose), None)
    if state == ConsentState.WITHDRAWN and (last is None or last.state == ConsentState.ASKED):
        state = ConsentState.REFUSED
    if last is not None and last.state == state and (at is None or last.at == at):
        return 0
    channel = cells.get("channel") or "import"
    record_consent(session, person, purpose, state, actor=actor, channel=channel, proof=proof, at=at)
    return 1


def _purposes(text: str) -> Sequence[Purpose]:
    words = text.lower().replace(";", " ").replace("+", " ").split()
    if words == ["both"]:
        return MEASURED
    if not words or set(words) - set(Purpose):
        known = ", ".join((*Purpose, "both"))
        raise MoveError("purpose", "“purpose” must be one of %(known)s, not “%(here)s”.", known=known, here=text)
    return [Purpose(word) for word in dict.fromkeys(words)]


def _state(text: str) -> ConsentState:
    if text.lower() not in _STATES:
        known = ", ".join(_STATES)
        raise MoveError("state", "“state” must be one of %(known)s, not “%(here)s”.", known=known, here=text)
    return ConsentState(text.lower())


def _moment(field: str, text: str) -> datetime | None:
    """A day or a moment by ISO 8601; UTC unless it says otherwise."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise MoveError(
            field, "“%(field)s” must be written as 2026-03-31 or 2026-03-31T14:00+02:00.", field=field
        ) from None


def _proof(row: ImportRow, by: str) -> Proof:
    proof = {name: row.cells[name] for name in _PLAIN if row.cells.get(name)}
    confirmed = _moment("confirmed_at", row.cells.get("confirmed_at", ""))
    more = {"by": by, "line": row.line}
    return Proof(**proof, confirmed_at=confirmed, double_opt_in=confirmed is not None, more=more)
