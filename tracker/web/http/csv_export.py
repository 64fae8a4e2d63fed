"""Tables as CSV files that a spreadsheet opens: streamed row by row, and no cell can become a formula."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from starlette.responses import StreamingResponse

from tracker.web.http.download import disposition

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What begins a formula in a spreadsheet (OWASP, “CSV injection”), full-width forms too."""
_AT_ONCE = 64 * 1024


def csv_response(filename: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> StreamingResponse:
    """The rows as they come, in UTF-8 with the mark that spreadsheets look for."""
    headers = {"Content-Disposition": disposition(filename), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_lines(head, rows), media_type="text/csv; charset=utf-8", headers=headers)


def harmless(cell: str) -> str:
    """The cell as text: a sign in front keeps it from being read as a formula, wherever spaces were put before it."""
    cell = cell.replace("\0", "")
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow(head)
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
        if buffer.tell() > _AT_ONCE:
            yield _emptied(buffer)
    yield _emptied(buffer)


def _emptied(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
