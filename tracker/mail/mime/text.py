"""Octets and header values as text that people read and a database holds. Best effort throughout; never raises."""

import codecs
import re
from collections.abc import Iterator

from tracker.mail.mime import quoted_printable
from tracker.mail.mime.charset import codec_of, guessed
from tracker.mail.mime.encodings import base64_octets

_ALIASES = {
    "cp-1251": "cp1251",
    "cp-1252": "cp1252",
    "win-1251": "cp1251",
    "win1251": "cp1251",
    "windows1251": "cp1251",
    "x-cp1251": "cp1251",
    "koi8r": "koi8-r",
    "koi-8": "koi8-r",
    "x-koi8-r": "koi8-r",
    "utf_8": "utf-8",
    "utf8mb4": "utf-8",
    "utf-7": "utf-7",
    "unicode-1-1-utf-7": "utf-7",
}
_SHAPE = re.compile(r"=\?([^?*\s]{1,60})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\r\n]*)\?=")
_BLANK = re.compile(r"[ \t\r\n]*")
_CONTROLS = {**dict.fromkeys(range(32), " "), 0x7F: " "}


def storable(text: str) -> str:
    """The text without what a database cannot hold: NUL and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def readable(octets: bytes, label: str = "") -> str:
    """The octets as text: by their label when it names a codec, else as UTF-8, else by the look of its words, else with gaps."""
    label = label.strip().strip("\"'").lower()
    label = _ALIASES.get(label, label)
    if label == "utf-7":
        return storable(octets.decode("utf-7", "replace"))
    if not label or not _is_codec(label):
        return storable(_guessed(octets))
    codec = codec_of(label, octets)
    if codec is None or (codec == "cp1252" and label in ("us-ascii", "ascii")):
        return storable(_guessed(octets))
    return storable(_decoded(octets, codec) or octets.decode(codec, "replace"))


def decoded(value: str) -> str:
    """A header value as people read it: encoded-words (RFC 2047) decoded, one line without control characters.

    A character that was split over two encoded-words is put together; raw octets of an unknown charset are guessed.
    """
    text = "".join(_pieces(value))
    return storable(" ".join(text.translate(_CONTROLS).split()))


def _pieces(value: str) -> Iterator[str]:
    position, waiting, charset = 0, b"", ""
    for found in _SHAPE.finditer(value):
        between = value[position : found.start()]
        octets = _word(found[2], found[3])
        joins = bool(waiting) and not between.strip() and found[1].lower() == charset
        if not joins and waiting:
            yield readable(waiting, charset)
            waiting = b""
        if between.strip() or position == 0:
            yield _raw(between)
        waiting, charset, position = waiting + octets, found[1].lower(), found.end()
    if waiting:
        yield readable(waiting, charset)
    yield _raw(value[position:])


def _word(kind: str, text: str) -> bytes:
    octets = text.encode("utf-8", "surrogateescape")
    return base64_octets(octets) if kind in "bB" else quoted_printable.decode(octets.replace(b"_", b" ") + b"=")


def _raw(text: str) -> str:
    """What stands in a header without any encoding; surrogates are octets that were not UTF-8."""
    if text.isascii() or not any("\udc80" <= c <= "\udcff" for c in text):
        return text
    return readable(text.encode("utf-8", "surrogateescape"))


def _is_codec(label: str) -> bool:
    try:
        return codecs.lookup(label)._is_text_encoding
    except (LookupError, ValueError):
        # not a name of Python's; the table of everyday labels may know it
        return codec_of(label, b"\xff") not in (None, codec_of("", b"\xff"))


def _guessed(octets: bytes) -> str:
    return octets.decode("utf-8-sig" if octets.startswith(codecs.BOM_UTF8) else guessed(octets), "replace")


def _decoded(octets: bytes, codec: str) -> str | None:
    try:
        return octets.decode(codec)
    except (UnicodeError, ValueError):
        return None
