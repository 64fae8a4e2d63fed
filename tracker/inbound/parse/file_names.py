"""Names of attached files: safe to offer for saving on any system, whatever the letter wrote. Pure."""

import re
import unicodedata
from html import unescape
from urllib.parse import unquote_to_bytes

from tracker.mail.mime.guess import is_utf_8
from tracker.mail.mime.text import readable

LONGEST = 120
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|clock\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPED_WORD = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f]){3}")
_REFERENCE = re.compile(r"&(?:#\d{2,7}|#x[0-9A-Fa-f]{2,6}|amp|quot|lt|gt|nbsp|apos);")
_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]+')
_EXTENSIONS = {
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/plain": ".txt",
    "text/html": ".html",
    "application/pdf": ".pdf",
    "application/pkcs7-signature": ".p7s",
    "application/pkcs7-mime": ".p7m",
    "application/pgp-signature": ".asc",
    "application/ms-tnef": ".dat",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/heic": ".heic",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/svg+xml": ".svg",
}


def unescaped(name: str) -> str:
    """The name without references of HTML, and without percent escapes where letters are written in them, as in addresses of
    pages."""
    name = _REFERENCE.sub(lambda match: unescape(match[0]), name)
    if not _ESCAPED.search(name):
        return name
    octets = unquote_to_bytes(name)
    is_meant = is_utf_8(octets) or _ESCAPED_WORD.search(name)
    return readable(octets) if is_meant and not octets.isascii() else name


def safe_name(written: str, content_type: str, number: int) -> str:
    """A file name without folders, control and direction characters, reserved names, or more than 120 characters."""
    name = unicodedata.normalize("NFC", re.split(r"[\\/]", written)[-1])
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
    name = " ".join(_UNSAFE.sub("_", name).split()).strip(". ")
    if not name or not name.strip("_"):
        return f"file-{number}{_EXTENSIONS.get(content_type, '')}"
    if _RESERVED.match(name):
        name = f"_{name}"
    return _cut(name)


def _cut(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 12:
        return name[:LONGEST]
    return f"{stem[: LONGEST - len(extension) - 1]}.{extension}"
