"""The charset of octets that nothing usable is said about, by the look of their words. Pure; never raises.

Cyrillic alphabets are told by the letters that are frequent in them, which short and capital words bear as well; everything else
by chardet's models of languages.
"""

import re

_WITHIN = 64 * 1024
_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
_TWO_HIGH = re.compile(rb"[\x80-\xff]{2}")
_ESCAPE = re.compile(rb"\x1b[$(]")
_CYRILLIC = ("cp1251", "koi8-u", "cp866", "iso8859-5", "mac-cyrillic")
_LATIN = ("cp1252", "cp1250", "iso8859-2", "cp1254", "cp1257", "iso8859-16")
_OTHER = ("cp1253", "cp1255", "cp1256", "cp874", "cp932", "euc-jp", "gb18030", "big5hkscs", "cp949")
_SHIFTED = ("iso2022-jp-2", "iso2022-kr", "hz")
_FREQUENT = frozenset("оаеинтрсвлі")
_LETTERS = "а-яёіїєґўђјљњћџ"
_CYRILLIC_WORD = re.compile(rf"[{_LETTERS}]+", re.IGNORECASE)
_SURE, _LIKELY = 0.5, 0.35
_MARGIN = 0.15
_NOTHING_FITS = 0.1
"""The confidence by which chardet says that no codec is left."""


def guessed(body: bytes) -> str:
    """The codec that the octets are most likely written in; UTF-8 for octets that are that, with a character cut here and there."""
    octets = body[:_WITHIN]
    if is_utf_8(body):
        return _named(octets, _SHIFTED, "utf-8") if _ESCAPE.search(octets) and octets.isascii() else "utf-8"
    words = _words(octets)
    if not words:
        return "cp1252"
    if _is_latin(words):
        return _named(octets, _LATIN, "cp1252")
    codec, likely = _best_cyrillic(words)
    return codec if likely >= _SURE else _named(octets, (codec, *_OTHER) if likely >= _LIKELY else _OTHER, codec)


def is_utf_8(body: bytes) -> bool:
    """Valid, or valid but for gaps: names and texts that were cut in the middle of a character."""
    try:
        body.decode("utf-8")
        return True
    except UnicodeDecodeError:
        text = body[:_WITHIN].decode("utf-8", "replace")
    gaps = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - gaps >= 4 * gaps


def contradicts(codec: str, body: bytes) -> bool:
    """Whether the words cannot be meant in this single-byte codec: ones of another script in a Latin alphabet, Latin ones in a
    Cyrillic one, or ones of another Cyrillic charset."""
    words = _words(body[:_WITHIN])
    if not words:
        return False
    if codec in ("cp1252", "iso8859-1", "iso8859-15"):
        return not _is_latin(words) and (len(words) > 1 or _best_cyrillic(words)[1] >= _LIKELY)
    if codec not in (*_CYRILLIC, "koi8-r"):
        return False
    if _is_latin(words):
        return len(words) > 1 or _TWO_HIGH.search(words[0]) is None
    other, likely = _best_cyrillic(words)
    return other != codec and likely >= _LIKELY and likely - _likelihood(codec, words) >= _MARGIN


def _words(octets: bytes) -> list[bytes]:
    return [word for word in _WORD.findall(octets) if len(word) > 1 and not word.isascii()]


def _is_latin(words: list[bytes]) -> bool:
    """Most letters of words with others than ASCII's are ASCII's."""
    length = sum(map(len, words))
    return sum(octet < 0x80 for word in words for octet in word) * 2 > length


def _best_cyrillic(words: list[bytes]) -> tuple[str, float]:
    likely = {codec: _likelihood(codec, words) for codec in _CYRILLIC}
    best = max(likely, key=lambda codec: likely[codec])
    return best, likely[best]


def _likelihood(codec: str, words: list[bytes]) -> float:
    """The share of letters that are frequent in Cyrillic writing, less what is no letter. Words of capitals are less likely, words
    with a capital inside cannot be."""
    text = b" ".join(words).decode(codec, "replace")
    read = _CYRILLIC_WORD.findall(text)
    letters = sum(map(len, read))
    frequent = sum(_frequent(word) for word in read)
    outside = sum(character > "\x7f" for character in text) - letters
    return (frequent - outside) / max(1, letters)


def _frequent(word: str) -> float:
    number = sum(letter in _FREQUENT for letter in word.lower())
    if word.isupper():
        return number * 0.85
    return number if word[1:].islower() else 0


def _named(octets: bytes, codecs: tuple[str, ...], otherwise: str) -> str:
    """The likeliest of these codecs; the one that is expected when nothing speaks more for another."""
    from chardet import detect_all  # its models take a while to load, and few letters ask for them

    results = detect_all(octets, True, include_encodings=codecs, compat_names=False, no_match_encoding=codecs[0])
    if len(results) == 1 and results[0]["confidence"] <= _NOTHING_FITS:
        return otherwise
    likely: dict[str, float] = {}
    for result in results:
        name = result["encoding"] or otherwise
        likely[name] = max(likely.get(name, 0.0), result["confidence"])
    best = max(likely, key=lambda name: likely[name], default=otherwise)
    return otherwise if likely.get(otherwise, 0.0) > 0.99 * likely.get(best, 1.0) else best
