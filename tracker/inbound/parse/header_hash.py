"""What recognises a letter by its header section alone, after its server was rebuilt. Pure."""

import hashlib
import re

MOST = 256 * 1024
"""Bytes of a header section that are looked at."""
FIELDS = (b"cc", b"date", b"from", b"message-id", b"subject", b"to")
"""The fields that no server changes on the way into another folder."""
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)


def header_hash(content: bytes) -> str:
    """A digest of :data:`FIELDS` in a letter or its header section; the same for both. Empty when there are none of them."""
    section = re.split(rb"\r?\n\r?\n", content[:MOST], maxsplit=1)[0]
    header_fields = [(m[1].lower(), b" ".join(m[2].split())) for m in _fields(section) if m[1].lower() in FIELDS]
    if not header_fields:
        return ""
    digest = hashlib.sha256()
    for name, value in sorted(header_fields, key=lambda pair: pair[0]):  # stable: fields of one name keep their order
        digest.update(name + b":" + value + b"\n")
    return digest.hexdigest()


def _fields(section: bytes) -> list[re.Match[bytes]]:
    lines = re.split(rb"\r?\n(?![ \t])", section)  # a line that begins with a blank continues the one before
    return [m for m in map(_FIELD.fullmatch, lines) if m is not None]
