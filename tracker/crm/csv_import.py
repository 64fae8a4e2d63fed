"""Customers from a CSV file: row by row, each with its result; whatever is wrong with one row is that row's alone.

A row is known by ``external_id``, else by its first address; so the same file again changes nothing, and one that was broken off is
simply given again. An empty cell keeps what is there, ``-`` clears it. Nobody is told of each customer: one summary a manager.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session, col, select

from tracker.crm.customer_batch import save_customers
from tracker.crm.customers import CustomerChange
from tracker.mail.addresses import AddressError, normalise
from tracker.mail.mime.charset import guessed
from tracker.models import Shop, User
from tracker.notifications.notify import notify
from tracker.runtime.context import AppContext
from tracker.runtime.csv_file import CsvRow, UnreadableFile, read_csv
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText

COLUMNS = ("external_id", "name", "addresses", "manager", "shop", "tags")
_ALSO: Mapping[str, str] = {
    "email": "addresses", "e-mail": "addresses", "address": "addresses", "id": "external_id",
    "имя": "name", "адреса": "addresses", "почта": "addresses", "менеджер": "manager", "магазин": "shop", "метки": "tags",
}  # fmt: skip
AT_ONCE = 1000
CustomerRow = tuple[int, list[str], bool]
"""The line where it begins, its cells (none where the person was erased), and whether all of its bytes could be read."""
_FORMULA = "=+-@\t\r\n＝＋－＠"


@dataclass(frozen=True)
class RowResult:
    """What became of one row. ``line`` is where it begins in the file; ``problem`` a code with its sentence."""

    line: int
    status: str
    """created, changed, unchanged, refused"""
    customer: str | None = None
    code: str = ""
    problem: str = ""


@dataclass(frozen=True)
class _Refusal:
    """Why a row names no customer."""

    code: str
    problem: str


def import_customers(context: AppContext, raw: bytes, by: User) -> Iterator[RowResult]:
    """Takes the rows in by the thousand, each thousand in a transaction of its own, and gives the result of each.

    Raises :class:`ActionError` before the first row when the file has no head line that can be used.
    """
    names, rows = read_rows(raw)
    assigned: Counter[int] = Counter()
    while batch := list(islice(rows, AT_ONCE)):
        with context.database.session_scope() as session:
            results = take_rows(session, names, batch, by, assigned)
        yield from results
    tell_managers(context, assigned, by)


def read_rows(raw: bytes) -> tuple[list[str | None], Iterator[CustomerRow]]:
    """The fields that the first line names, and the rows behind it. Raises :class:`ActionError`, as do the rows."""
    heading, rows = read_csv(raw, guessed, strict=False)
    known = [name if name in COLUMNS else _ALSO.get(name) for name in heading]
    if "addresses" not in known and "external_id" not in known:
        text = LocalizedText("The first line must name the columns: %(columns)s.", columns=", ".join(COLUMNS))
        raise UnreadableFile(text)
    return known, map(_plain, rows)


def _plain(row: CsvRow) -> CustomerRow:
    if row.problem:
        raise UnreadableFile(row.problem)
    return row.line, row.cells, row.is_whole


def take_rows(
    session: Session, names: Sequence[str | None], batch: Sequence[CustomerRow], by: User, assigned: Counter[int]
) -> list[RowResult]:
    """The results of a batch; what a row cannot be is refused alone. ``assigned`` counts the customers that managers got."""
    named = _by_words(session)
    read = [_read_row(named, names, row) for row in batch]
    saved = iter(save_customers(session, [row for row in read if isinstance(row, CustomerChange)], by))
    results = []
    for (line, _, _), row in zip(batch, read, strict=True):
        if isinstance(row, _Refusal):
            results.append(RowResult(line, "refused", None, row.code, row.problem))
            continue
        outcome = next(saved)
        if outcome.error is not None:
            results.append(RowResult(line, "refused", None, outcome.error.detail_code, outcome.error.sentence))
            continue
        results.append(RowResult(line, outcome.status, outcome.customer))
        if outcome.manager_id is not None:
            assigned[outcome.manager_id] += 1
    return results


@dataclass(frozen=True)
class _Named:
    """Managers and shops, by whatever a file may call them."""

    people: Mapping[str, str]
    shops: Mapping[str, str]


def _by_words(session: Session) -> _Named:
    users = session.exec(select(User).order_by(col(User.active))).all()  # of two with one name, who was not disabled
    people = {word.lower(): user.public_id for user in users for word in (user.email, user.public_id, user.name)}
    shops = {
        word.lower(): shop.public_id for shop in session.exec(select(Shop)) for word in (shop.public_id, shop.name)
    }
    return _Named(people, shops)


def _read_row(named: _Named, names: Sequence[str | None], row: CustomerRow) -> CustomerChange | _Refusal:
    _, cells, is_whole = row
    try:
        if not cells:
            raise ActionError("invalid", LocalizedText("This person was erased."), detail_code="erased")
        if not is_whole:
            raise ActionError("invalid", LocalizedText("A byte of this row cannot be read."), detail_code="undecodable")
        if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            text = LocalizedText("This row has more cells than the first line.")
            raise ActionError("invalid", text, detail_code="cells")
        values = {name: _unguarded(cell.strip()) for name, cell in zip(names, cells, strict=False) if name}
        return _change(named, values)
    except (ActionError, AddressError) as error:
        code = getattr(error, "detail_code", "") or getattr(error, "code", "invalid")
        return _Refusal(str(code), error.sentence)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return _Refusal("invalid", f"{first['loc'][0]}: {first['msg']}")


def _unguarded(cell: str) -> str:
    """The sign that an export put in front of what would be a formula is taken off again."""
    return cell[1:] if cell.startswith("'") and cell[1:].lstrip(" ")[:1] in tuple(_FORMULA) and len(cell) > 2 else cell


def _change(named: _Named, values: Mapping[str, str]) -> CustomerChange:
    """An empty cell is left out, ``-`` clears."""
    columns: dict[str, Any] = {}
    for name, text in values.items():
        if text:
            columns[name] = _read_cell(named, name, "" if text == "-" else text)
    return CustomerChange.model_validate(columns, strict=False)


def _read_cell(named: _Named, name: str, text: str) -> Any:
    if name == "addresses":
        return [
            normalise(part.strip()) for part in text.replace(";", ",").replace("\n", ",").split(",") if part.strip()
        ]
    if name == "tags":
        return [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    if name in ("manager", "shop"):
        known = named.people if name == "manager" else named.shops
        if text and text.lower() not in known:
            raise ActionError("invalid", LocalizedText("“%(name)s” is not known here.", name=text[:100]), name)
        return known.get(text.lower())
    if name == "external_id":
        if _is_spreadsheet_number(text):
            sentence = LocalizedText(
                "A spreadsheet has made %(text)s of this number; format the column as text.", text=text[:40]
            )
            raise ActionError("invalid", sentence, name, detail_code="spreadsheet_number")
        return text or None
    return text


def _is_spreadsheet_number(text: str) -> bool:
    """``1,00E+05`` or ``1E+05``: what is left of a long number."""
    mantissa, sign, exponent = text.upper().partition("E+")
    return bool(sign) and exponent.isdigit() and mantissa.replace(",", "").replace(".", "").isdigit()


def tell_managers(context: AppContext, assigned: Mapping[int, int], by: User) -> None:
    with context.database.session_scope() as session:
        for user_id, count in assigned.items():
            if user_id != by.id:
                text = LocalizedText("%(count)s customers are yours after an import", count=count)
                notify(
                    session,
                    user_id,
                    f"import:{now():%Y-%m-%dT%H:%M:%S}",
                    "customer_assigned",
                    now(),
                    count=1,
                    detail=text,
                )
