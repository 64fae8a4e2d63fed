"""The charset of octets that nothing usable is said about, by the look of their words. Pure; never raises.

Cyrillic alphabets are told by the letters that are frequent in them, which short and capital words bear as well; everything else
by chardet's models of languages.
"""

import codecs
import re

_WITHIN = 64 * 1024
_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
_TWO_HIGH = re.compile(rb"[\x80-\xff]{2}")
_LATIN_WORD = re.compile(rb"[A-Z\xc0-\xde\x8a\x8e\xa3\xaf]?[a-z\xdf-\xff\x9a\x9c-\x9f\xb3\xb9\xbf]++")
_SHORT_LATIN = re.compile(rb"[A-Za-z][\xb0\xba\xc0-\xff]|[\xc0-\xff][A-Za-z]")
_OFTEN = {
    "cp932": re.compile(rb"\x82[\x9f-\xf1]|\x83[\x40-\x96]"),
    "euc-jp": re.compile(rb"\xa4[\xa1-\xf3]|\xa5[\xa1-\xf6]"),
    "big5hkscs": re.compile(rb"[\xa4-\xc6][\x40-\x7e]"),
}
_ESCAPE = re.compile(rb"\x1b[$(]")
_CYRILLIC = ("cp1251", "koi8-u", "cp866", "iso8859-5", "mac-cyrillic")
_LATIN = ("cp1252", "cp1250", "iso8859-2", "cp1254", "cp1257", "iso8859-16")
_OTHER = ("cp1253", "cp1255", "cp1256", "cp874", "cp932", "euc-jp", "gb18030", "big5hkscs", "cp949")
_SHIFTED = ("iso2022-jp-2", "iso2022-kr", "hz")
_EXPECTED = {"cp1252": 1.4, "cp1254": 1.1, "cp1257": 0.7, "iso8859-16": 0.6}
"""How much more or less often than those of Central Europe letters come in these charsets."""
_UNLIKELY = re.compile(
    r"[ŕĺŔĹðÐ¹²³¼½¾ª]|ñ\b|(?<!c)ê\b|œ(?!u)|[®©]\w|č[rvms]es?\b|\b[èÈ](?=\w|\.)|è[ikh]|\bÝ(?=[a-z])|(?<=\w)[þÞŻŁŚŞ](?=[a-z])|\w[\x80-\x9f¡-©«-¯±´¶-¸»¿]\w"
)
"""Letters that hardly a word has, and what is none in the middle of a word."""
_FREQUENT = frozenset("оаеинтрсвлі")
_LETTERS = "а-яёіїєґўђјљњћџ"
_BESIDE = " «»“”„–—…№’"
_CYRILLIC_WORD = re.compile(rf"[{_LETTERS}]+", re.IGNORECASE)
_SURE, _LIKELY = 0.5, 0.3
_RARE = {"iso8859-5": 0.75, "cp866": 0.9, "mac-cyrillic": 0.95}
"""Cyrillic charsets that hardly anybody wrote in."""
_MARGIN = 0.15
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
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
    if codec := _by_first_octets(octets):
        return codec
    codec, likely = _best_cyrillic(words)
    if likely >= (_LIKELY if codec not in _RARE and len(words) == 1 else _SURE):
        return codec
    return _named(octets, (codec, *_OTHER) if likely >= _LIKELY else _OTHER, codec)


def is_utf_8(body: bytes) -> bool:
    """Valid, or valid but for gaps: names and texts that were cut in the middle of a character."""
    try:
        body.decode("utf-8")
        return True
    except UnicodeDecodeError:
        text = body[:_WITHIN].decode("utf-8", "replace")
    gaps = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - gaps >= 4 * gaps


def wide_codec(body: bytes, is_labelled: bool) -> str | None:
    """UTF-16 or UTF-32 by a byte order mark or by the zeros of its blanks and Latin letters, and UTF-8 by its mark; None for what
    is none of them. Octets that are ``is_labelled`` so need fewer zeros."""
    octets = body[: _WITHIN - _WITHIN % 4]
    for mark, codec in _MARKS:
        if octets.startswith(mark):
            return codec
    if b"\0" not in octets:
        return None
    zeros = [octets[at::4].count(0) for at in range(4)]
    quarter = len(octets) // 4
    if quarter in (min(zeros[2:]), min(zeros[:2])) and quarter:
        return "utf-32-le" if zeros[0] < quarter else "utf-32-be"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    codec = "utf-16-be" if even > odd else "utf-16-le"
    most = max(even, odd)
    if most < 2 * min(even, odd) or not most or (not is_labelled and (most < 2 or not _is_one_row(octets, even > odd))):
        return None
    return codec


def _is_one_row(octets: bytes, big_endian: bool) -> bool:
    """Nearly all characters are ASCII's or of one other row of 256."""
    rows = octets[0 if big_endian else 1 :: 2]
    other = max((rows.count(row) for row in range(1, 32)), default=0)
    return (rows.count(0) + other) * 10 >= len(rows) * 9


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
    """Most letters of words with others than ASCII's are ASCII's, or half of them in words of two letters."""
    length = sum(map(len, words))
    plain = sum(octet < 0x80 for word in words for octet in word)
    return (
        plain * 2 > length
        or (plain * 2 == length and all(map(_SHORT_LATIN.fullmatch, words)))
        or (plain * 3 >= length and all(map(_LATIN_WORD.fullmatch, words)))
    )


def _by_first_octets(octets: bytes) -> str:
    """Japanese by its syllables, Chinese of Big5 by frequent characters that end in ASCII's octets."""
    high = sum(octet > 0x7F for octet in octets)
    begin = (codec for codec, often in _OFTEN.items() if len(often.findall(octets)) * 4 >= high)
    return next((codec for codec in begin if "\ufffd" not in octets.decode(codec, "replace")[:-1]), "")


def _best_cyrillic(words: list[bytes]) -> tuple[str, float]:
    likely = {codec: _likelihood(codec, words) for codec in _CYRILLIC}
    best = max(likely, key=lambda codec: likely[codec] * _RARE.get(codec, 1.0))
    return best, likely[best]


def _likelihood(codec: str, words: list[bytes]) -> float:
    """The share of letters that are frequent in Cyrillic writing, less what is none of its letters. Words of capitals are less
    likely, words with a capital inside cannot be."""
    text = b" ".join(words).decode(codec, "replace")
    read = _CYRILLIC_WORD.findall(text)
    letters = sum(map(len, read))
    frequent = sum(_frequent(word) for word in read)
    beside = " " if codec == "mac-cyrillic" else _BESIDE  # whose quotes are letters in the others
    outside = sum(3 if "\u2500" <= character <= "\u259f" else character not in beside for character in text) - letters
    return (frequent - outside) / max(1, letters)


def _frequent(word: str) -> float:
    number = sum(letter in _FREQUENT for letter in word.lower())
    if word.isupper():
        return number * 0.85
    return number if word[1:].islower() else 0


def _plausible(octets: bytes, codec: str) -> float:
    unlikely = _UNLIKELY.findall(octets[:400].decode(codec, "replace")) if codec in _LATIN else ()
    return _EXPECTED.get(codec, 1.0) * 0.5 ** len(unlikely)


def _named(octets: bytes, codecs: tuple[str, ...], otherwise: str) -> str:
    """The likeliest of these codecs; the one that is expected when nothing speaks more for another."""
    from chardet import detect_all  # its models take a while to load, and few letters ask for them

    results = detect_all(octets, True, include_encodings=codecs, compat_names=False, no_match_encoding=codecs[0])
    if len(results) == 1 and results[0]["confidence"] <= _NOTHING_FITS:
        return otherwise
    likely: dict[str, float] = {}
    for result in results:
        name = result["encoding"] or otherwise
        likely[name] = max(likely.get(name, 0.0), result["confidence"] * _plausible(octets, name))
    best = max(likely, key=lambda name: likely[name], default=otherwise)
    return otherwise if likely.get(otherwise, 0.0) > 0.99 * likely.get(best, 1.0) else best
