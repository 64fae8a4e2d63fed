"""Files handed to a browser: always saved, never shown, under a name that can do no harm."""

import re
import unicodedata
from urllib.parse import quote

from starlette.responses import Response

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
