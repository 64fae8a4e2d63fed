"""Files handed to a browser: always saved, never shown, under a name that can do no harm; and tables as CSV files that a
spreadsheet opens, streamed row by row, in which no cell can become a formula.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from tracker.inbound.parse.file_names import safe_name

HEADERS = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}


def download(content: bytes, filename: str) -> Response:
    """The bytes as a file to save; nothing somebody attached is ever shown as a page of ours."""
    headers = {**HEADERS, "Content-Disposition": disposition(filename)}
    return Response(content, media_type="application/octet-stream", headers=headers)


def disposition(filename: str) -> str:
    """RFC 6266 with both forms of the name, made safe: plain for old programs, RFC 8187 for the rest."""
    safe = safe_name(filename, "application/octet-stream", 1)
    plain = re.sub(r"[^A-Za-z0-9._ ()+-]", "_", unicodedata.normalize("NFKD", safe).encode("ascii", "ignore").decode())
    return f"attachment; filename=\"{plain.strip('. ') or 'file'}\"; filename*=UTF-8''{quote(safe, safe='')}"


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
