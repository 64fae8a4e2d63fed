"""Pictures that stand in the HTML of a message by their Content-ID (RFC 2392). Pure."""

import html as entities
import re
from urllib.parse import unquote

CID = re.compile(r"([\"'=(\s])cid:\s*([^\"'<>\s)]+)", re.IGNORECASE)
"""What stands before the address of a picture of the message, and its Content-ID as written."""
_FIRST_BYTES = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
_NEVER_SHOWN = frozenset({"image/heic", "image/heif", "image/tiff", "image/svg+xml"})


MOST_SHOWN = 12 * 1024 * 1024
"""Bytes of pictures that are shown inside one message; more are only to be saved."""


def shown_ids(html: str) -> frozenset[str]:
    """The Content-IDs of the pictures that the HTML names, outside comments."""
    begin, *commented = html.split("<!--")
    outside = begin + "".join(piece.partition("-->")[2] for piece in commented)
    return frozenset(content_id(match) for match in CID.finditer(outside))


def content_id(match: re.Match[str]) -> str:
    return unquote(entities.unescape(match[2])).strip("<> ")


def shown_kind(content: bytes, content_type: str) -> str:
    """The type of a picture that browsers show, by its first bytes: what a letter calls it is often another. Empty for all else."""
    if content_type in _NEVER_SHOWN:
        return ""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _FIRST_BYTES if content.startswith(begin)), "")
