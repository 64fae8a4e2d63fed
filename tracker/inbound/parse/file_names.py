"""Names of attached files: safe to offer for saving on any system, whatever the letter wrote. Pure."""

import re
import unicodedata
from urllib.parse import unquote

LONGEST = 120
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|clock\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
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
    """The name without percent escapes, where it is written in them alone, as in addresses of pages."""
    if not _ESCAPED.search(name):
        return name
    try:
        plain = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
    return name if plain.isascii() else plain


def safe_name(written: str, content_type: str, number: int) -> str:
    """A file name without folders, control and direction characters, reserved names, or more than 120 characters."""
    name = re.split(r"[\\/]", written)[-1]
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
