"""The content after DATA: read up to the one true end, with its dots taken back (RFC 5321 sections 4.1.1.4 and 4.5.2)."""

import asyncio
import re
from collections.abc import Callable

_END = b"\r\n.\r\n"
_FRAME = len(_END)  # the line end of the DATA command before the content, a dot and a line end behind it
_DOT_NOT_DOUBLED = re.compile(rb"(?<!\r)\n\.(?!\.)")
_DOUBLED_DOT = re.compile(rb"(?<!\r)\n\.\.")


async def read_content(reader: asyncio.StreamReader, limit: int, progress: Callable[[], None]) -> bytes | None:
    """The message; None, once it has all gone by, for one of more than `limit` bytes. `progress` is called after each piece.

    Only <CRLF>.<CRLF> ends it. A bare LF or CR is content, wherever it stands, so nothing can be smuggled behind one.
    """
    content = bytearray(b"\r\n")  # of the DATA command: a dot right after it ends an empty message
    while missing := _missing(content):
        content += await reader.readexactly(missing)
    size, ended = len(content), content.endswith(_END)
    while not ended:
        piece, ended = await _piece(reader)
        size += len(piece)
        if size <= limit + _FRAME:
            content += piece
        else:
            content.clear()
        progress()
    if size > limit + _FRAME:
        return None
    text = bytes(memoryview(content)[:-3])
    content.clear()  # of a large message no two copies more than need be
    return _with_dots_taken_back(text)[2:]


def _missing(content: bytearray) -> int:
    """How many bytes are at least still to come; 0 when the end is there, or nothing of it."""
    if content.endswith(_END):
        return 0
    begun = next((n for n in range(len(_END) - 1, 0, -1) if content.endswith(_END[:n])), 0)
    return len(_END) - begun if begun else 0


async def _piece(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """The next bytes, never beyond the end, and whether they are the last."""
    try:
        return await reader.readuntil(_END), True
    except asyncio.LimitOverrunError as overrun:  # it leaves in the buffer what could be the beginning of the end
        return await reader.read(overrun.consumed), False


def _with_dots_taken_back(text: bytes) -> bytes:
    """Programs that send bare LFs differ: some double the dots behind them too, and some do not. A single one tells."""
    text = text.replace(b"\r\n.", b"\r\n")
    if b"\n." in text and not _DOT_NOT_DOUBLED.search(text):
        text = _DOUBLED_DOT.sub(b"\n.", text)
    return text
