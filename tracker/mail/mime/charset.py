"""The charset of a part: which codec its label means, and text that turns back into exactly the bytes it came from."""

import codecs
import re
from collections.abc import Callable

_LABELS = {
    "": "",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "ansi_x3.4-1968": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
    "macintosh": "mac_roman",
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
}
"""Labels whose everyday meaning is wider than their name (the Encoding standard, section 4.2)."""

_NEIGHBOURS = {"iso2022_jp": ("iso2022_jp_ext", "iso2022_jp_3"), "cp932": ("shift_jis_2004",)}
"""Codecs that read more of what travels under a label than the codec of its name."""

_NO_TEXT = frozenset({"utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
_META = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:\-]+)", re.IGNORECASE)
_META_WITHIN = 4096
_GUESSED_WITHIN = 64 * 1024
_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
_CYRILLIC_WORD = re.compile(rb"[\xa8\xb8\xc0-\xff]+")
OCTETS, SHIFTED = "octets", "shifted"
"""Names of the readings that know ASCII alone: every other octet becomes a lone surrogate of its own, with SHIFTED also every
octet between escape sequences (ISO 2022, HZ). Markup is found in them, nothing else is understood; they always turn back."""

_SHIFT = re.compile(rb"\x1b\$.*?(?:(?=\x1b\([BJ])|\Z)|\x1b[ -/]*[0-~]|~\{.*?(?:~\}|\Z)|\x1b", re.DOTALL)
_TO_OCTETS = {0xDC00 + code: code for code in range(256)}


def _reference_or_octet(error: UnicodeError) -> tuple[str | bytes, int]:
    """A lone surrogate is the octet it came from; another character that the charset lacks becomes a reference."""
    assert isinstance(error, UnicodeEncodeError)
    code = ord(error.object[error.start])
    written = bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else f"&#{code};"
    return written, error.start + 1


codecs.register_error("inkling.html", _reference_or_octet)


def read(body: bytes, codec: str) -> tuple[str, str] | None:
    """The text of a body and the codec that turns it back into the very same octets; None when there is none."""
    for name in (codec, *_NEIGHBOURS.get(codec, ()), _without_charset(codec)):
        text = _decoded(body, name)
        if text is not None and _turns_back(text, name, body):
            return text, name
    return None


def write(text: str, codec: str) -> bytes:
    """The octets of a text that :func:`read` gave, with what was put into it since."""
    if codec not in (OCTETS, SHIFTED):
        return text.encode(codec, "inkling.html")
    octets = (
        character if (code := ord(character)) < 0x80 or 0xDC00 <= code < 0xDD00 else f"&#{code};" for character in text
    )
    return "".join(octets).translate(_TO_OCTETS).encode("latin-1")


def _turns_back(text: str, codec: str, body: bytes) -> bool:
    try:
        return write(text, codec) == body
    except UnicodeError:  # half a character of UTF-16
        return False


def _without_charset(codec: str) -> str:
    if codec.startswith("utf-16"):
        return ""
    return SHIFTED if codec.startswith(("iso2022", "hz")) else OCTETS


def _decoded(body: bytes, codec: str) -> str | None:
    if codec == SHIFTED:
        return _unshifted(body)
    try:
        return body.decode("ascii" if codec == OCTETS else codec, "surrogateescape") if codec else None
    except (UnicodeError, ValueError):
        return None


def _unshifted(body: bytes) -> str | None:
    """None for a body that ends in the middle of a shift: nothing can be appended to it."""
    pieces: list[str] = []
    position = 0
    for match in _SHIFT.finditer(body):
        if match.end() == len(body) and not match[0].endswith((b"B", b"J", b"~}")):
            return None
        pieces.append(body[position : match.start()].decode("ascii", "surrogateescape"))
        pieces.append("".join(chr(0xDC00 + code) for code in match[0]))
        position = match.end()
    pieces.append(body[position:].decode("ascii", "surrogateescape"))
    return "".join(pieces)


def codec_of(label: str, body: bytes, guess: Callable[[bytes], str] | None = None) -> str | None:
    """The codec to read a body with; None when no codec that reads ASCII markup is known.

    The label of the header wins; without a known one the byte order mark, the document's own meta, and the guess: by default one
    that does not change with what is put into the body.
    """
    marked = _byte_order(body)
    name = _known(label)
    if name == "":
        return marked or _from_meta(body) or (guess or guessed)(body)
    if name is None:
        return None
    if name.startswith("utf-16"):
        return marked if marked and marked.startswith("utf-16") else _utf_16(name, body)
    if name.startswith("utf-32"):
        return None
    if label.strip().lower() in ("us-ascii", "ascii", "ansi_x3.4-1968") and not body.isascii():
        return _from_meta(body) or (guess or guessed)(body)  # a label that is plainly wrong
    return name


def _known(label: str) -> str | None:
    """The codec of a label, "" for an unknown one, None for a codec that is not for mail."""
    label = label.strip().strip("\"'").lower()
    name = _LABELS.get(label, label)
    if not name:
        return ""
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    if not info._is_text_encoding or info.name in _NO_TEXT:
        return None
    return info.name


def _byte_order(body: bytes) -> str | None:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if body.startswith(mark):
            return name
    return None


def _utf_16(name: str, body: bytes) -> str:
    if name != "utf-16":
        return name
    even, odd = body[0:200:2].count(0), body[1:200:2].count(0)
    return "utf-16-be" if even > odd else "utf-16-le"


def _from_meta(body: bytes) -> str | None:
    match = _META.search(body, 0, _META_WITHIN)
    name = _known(match[1].decode("ascii")) if match else None
    return name if name and not name.startswith("utf-16") else None


def guessed(body: bytes) -> str:
    """The codec of octets that nothing usable is said about: UTF-8, else windows-1251 where most words above ASCII have no
    ASCII letter, as Cyrillic ones, else windows-1252."""
    try:
        body.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        words = [word for word in _WORD.findall(body, 0, _GUESSED_WITHIN) if not word.isascii() and len(word) > 1]
    cyrillic = sum(_CYRILLIC_WORD.fullmatch(word) is not None for word in words)
    return "cp1251" if cyrillic * 2 > len(words) else "cp1252"
