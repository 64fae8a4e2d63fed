"""Octets and header values as text that people read and a database holds. Best effort throughout; never raises."""

import codecs
import re
from collections.abc import Iterator, Sequence

from tracker.mail.mime import quoted_printable
from tracker.mail.mime.charset import codec_of
from tracker.mail.mime.encodings import base64_octets
from tracker.mail.mime.guess import contradicts, guessed, is_utf_8, wide_codec

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
_MULTIBYTE = frozenset(
    [
        *(
            "gb18030",
            "hz",
            "big5hkscs",
            "cp932",
            "shift_jis_2004",
            "cp949",
            "johab",
            "euc_jp",
            "euc_jis_2004",
            "euc_jisx0213",
        ),
        *(
            "iso2022_jp",
            "iso2022_jp_1",
            "iso2022_jp_2",
            "iso2022_jp_3",
            "iso2022_jp_ext",
            "iso2022_jp_2004",
            "iso2022_kr",
        ),
    ]
)
_BEGIN = re.compile(r"=\?([^?*\s]{0,60})(?:\*[^?\s]{0,40})?\?([bBqQ])\?")
_END = re.compile(r"\?=(?![0-9A-Fa-f]{2})")
_READ_AS_ASCII = frozenset({"utf-8", "us-ascii", "iso-8859-1", "windows-1251", "windows-1252", "koi8-r"})
"""The usual charsets in which octets of ASCII are nothing else."""
_CONTROLS = {**dict.fromkeys(range(32), " "), 0x7F: " "}
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_LOOKED_AT = 64 * 1024


def storable(text: str) -> str:
    """The text without what a database cannot hold: NUL and halves of characters."""
    text = text.replace("\0", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def readable(octets: bytes, label: str = "") -> str:
    """The octets as text. A label is believed where it names a codec and the octets can be meant in it; else UTF-8, else the look
    of the words decides; where nothing fits there are gaps. A byte order mark is no text."""
    label = label.strip().strip("\"'").lower()
    label = _ALIASES.get(label, label)
    if label == "utf-7":
        return storable(octets.decode("utf-7", "replace"))
    return storable(octets.decode(_codec(octets, label), "replace").removeprefix("\ufeff"))


def _codec(octets: bytes, label: str) -> str:
    is_wide = label.startswith(("utf-16", "utf-32", "utf16", "utf32", "unicode", "ucs-2", "iso-10646-ucs-2"))
    if (wide := wide_codec(octets, is_wide)) is not None:
        return wide
    if is_wide and not _CONTROL.search(octets) and (is_utf_8(octets) or b" " in octets or b"\n" in octets):
        return guessed(octets)  # blanks of UTF-16 have a zero beside them
    if octets.isascii() and label in _READ_AS_ASCII:
        return "utf-8"
    codec = codec_of(label if _is_codec(label) else "", octets, guessed) or guessed(octets)
    if octets.isascii() or codec.startswith("utf-16"):
        return codec
    if codec in _MULTIBYTE:
        return codec if _reads(octets, codec) and not _is_much_utf_8(octets) else guessed(octets)
    return guessed(octets) if is_utf_8(octets) or codec == "utf-8" or contradicts(codec, octets) else codec


def _reads(octets: bytes, codec: str) -> bool:
    """All of it, but for a character that was cut here and there."""
    gaps = octets.decode(codec, "replace").count("\ufffd")
    return gaps * 20 <= sum(octet > 0x7F for octet in octets)


def _is_much_utf_8(octets: bytes) -> bool:
    """UTF-8 with several characters above ASCII: no double-byte charset gives that by chance."""
    text = octets[:_LOOKED_AT].decode("utf-8", "replace")
    return "\ufffd" not in text[:-1] and sum(character > "\x7f" for character in text) >= 4


def decoded(value: str) -> str:
    """A header value as people read it: encoded-words (RFC 2047) decoded, one line without control characters.

    A character that was split over two encoded-words is put together; raw octets of an unknown charset are guessed. What was
    encoded twice is decoded twice.
    """
    text = value if "=?" not in value and value.isascii() else "".join(_pieces(value))
    if "=?" in text and _BEGIN.search(text):
        text = "".join(_pieces(text))
    return storable(" ".join(text.translate(_CONTROLS).split()))


def _pieces(value: str) -> Iterator[str]:
    """Words of one charset that stand side by side are decoded together. White space between words belongs to neither."""
    position, run, charset = 0, list[tuple[str, str]](), ""
    begins = list(_BEGIN.finditer(value))
    limits = [*(begin.start() for begin in begins[1:]), len(value)]
    for begin, limit in zip(begins, limits, strict=False):
        word = _word(begin, value[begin.end() : limit])
        if word is None:
            continue
        between, label = value[position : begin.start()], begin[1].lower()
        if run and (between.strip() or label != charset):
            yield readable(_octets(run), charset)
            run = []
        if between.strip() or position == 0:
            yield without_raw_octets(between)
        run.append((begin[2].lower(), word[0]))
        charset, position = label, begin.end() + word[1]
    if run:
        yield readable(_octets(run), charset)
    yield without_raw_octets(value[position:])


def _word(begin: re.Match[str], rest: str) -> tuple[str, int] | None:
    """What is encoded in a word, and where it ends in ``rest``. Question marks may stand bare in it; the end may have been cut
    off."""
    end = _END.search(rest) if begin[2] in "qQ" else None
    at = end.start() if end else rest.find("?=")
    if at >= 0:
        return rest[:at], at + 2
    cut = rest.split(maxsplit=1)[0] if rest[:1].strip() else ""
    return (cut.rstrip("?"), len(cut)) if cut and _is_codec(begin[1]) else None


def _octets(run: Sequence[tuple[str, str]]) -> bytes:
    """What words of one charset stand for. Base64 that was divided without regard to its groups of four is joined first."""
    letters = [text.rstrip("=") for kind, text in run if kind == "b"]
    if len(letters) == len(run) > 1 and any(len(text) % 4 for text in letters[:-1]) and sum(map(len, letters)) % 4 != 1:
        padded = any(text.endswith("=") for _, text in run[:-1])
        run = run if padded else [("b", "".join(letters))]
    return b"".join(_encoded(kind, text) for kind, text in run)


def _encoded(kind: str, text: str) -> bytes:
    octets = text.encode("utf-8", "surrogateescape")
    return base64_octets(octets) if kind == "b" else quoted_printable.decode(octets.replace(b"_", b" ") + b"=")


def without_raw_octets(value: str, hint: str = "") -> str:
    """A header value in which surrogates, octets that were not UTF-8, are read as the charset that the rest of the message names,
    or by their look."""
    if value.isascii() or not any("\udc80" <= c <= "\udcff" for c in value):
        return value
    return readable(value.encode("utf-8", "surrogateescape"), hint)


def _is_codec(label: str) -> bool:
    try:
        return codecs.lookup(label)._is_text_encoding
    except (LookupError, ValueError):
        # not a name of Python's; the table of everyday labels may know it
        return codec_of(label, b"\xff") not in (None, codec_of("", b"\xff"))
