"""Consents out of a CSV file: every row is taken or refused by itself, and each has its result."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from sqlmodel import Session

from tracker.consent.ledger import ledger, record_consent
from tracker.consent.rules import MEASURED, ConsentError, ConsentState, Proof, Purpose
from tracker.mail.addresses import AddressError
from tracker.mail.mime.charset import guessed
from tracker.models import Recipient
from tracker.models.rows import public_id
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.csv_file import CsvRow, UnreadableFile, read_csv
from tracker.runtime.localized_text import LocalizedText

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
    """The rows under the heading, with empty columns or without. Raises :class:`UnreadableFile`."""
    if len(content) > MAX_BYTES:
        raise UnreadableFile(
            LocalizedText("The file is larger than %(most)s MB. Divide it.", most=MAX_BYTES // 1_000_000)
        )
    heading, rows = read_csv(content, guessed, strict=True)
    _check_heading([name for name in heading if name])
    return (_row(row, heading) for row in rows)


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


def _row(row: CsvRow, heading: Sequence[str]) -> ImportRow:
    """Columns without a name that are empty are passed over, and so are empty fields behind the last column."""
    if row.problem or not row.is_whole:
        return ImportRow(row.line, {}, row.problem or LocalizedText("A byte of this row cannot be read."))
    fields = [cell.strip() for cell in row.cells]
    padded = [*fields, *[""] * (len(heading) - len(fields))]
    cells = {name: field for name, field in zip(heading, padded, strict=False) if name}
    nameless = [field for name, field in zip(heading, padded, strict=False) if not name]
    named = len(heading) - next((n for n, name in enumerate(reversed(heading)) if name), 0)
    whole = len(fields) >= named and not any(nameless) and not any(fields[len(heading) :])
    return ImportRow(row.line, cells, "" if whole else _of_wrong_length(fields, heading))


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
    except ConsentError as error:
        return ConsentRowResult(row.line, address, field=error.field, problem=error.sentence)


def _record(session: Session, row: ImportRow, actor: str, by: str) -> int:
    """Both purposes of a row or neither. Returns how many entries were made."""
    cells = row.cells
    if any("\0" in value for value in cells.values()):
        raise ConsentError("note", "The row holds a character that is no text.")
    purposes, state, at = _purposes(cells["purpose"]), _state(cells["state"]), _moment("at", cells.get("at", ""))
    if state == ConsentState.GRANTED and at is None:
        raise ConsentError("at", "“at” is missing: say when the consent was given.")
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
        raise ConsentError("purpose", "“purpose” must be one of %(known)s, not “%(here)s”.", known=known, here=text)
    return [Purpose(word) for word in dict.fromkeys(words)]


def _state(text: str) -> ConsentState:
    if text.lower() not in _STATES:
        known = ", ".join(_STATES)
        raise ConsentError("state", "“state” must be one of %(known)s, not “%(here)s”.", known=known, here=text)
    return ConsentState(text.lower())


def _moment(field: str, text: str) -> datetime | None:
    """A day or a moment by ISO 8601; UTC unless it says otherwise."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ConsentError(
            field, "“%(field)s” must be written as 2026-03-31 or 2026-03-31T14:00+02:00.", field=field
        ) from None


def _proof(row: ImportRow, by: str) -> Proof:
    proof = {name: row.cells[name] for name in _PLAIN if row.cells.get(name)}
    confirmed = _moment("confirmed_at", row.cells.get("confirmed_at", ""))
    more = {"by": by, "line": row.line}
    return Proof(**proof, confirmed_at=confirmed, double_opt_in=confirmed is not None, more=more)
