"""How a name is spelled in the other alphabet, Latin or Russian. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice, product

MOST = 6
"""Spellings of a word, the likely ones first."""
_MOST_DOUBTS = 2
"""So many letters at once are spelled in a less likely way."""
_LATIN, _RUSSIAN = re.compile(r"[a-z]{2,}"), re.compile(r"[а-яё]{2,}")
_NO_SOFT_SIGN = re.compile(r"(^|[аеийоуыэюя])ь")
"""Where none can stand."""
_LATIN_PIECE = re.compile(
    r"shch|tch|sch|[sczkpt]h|t[sz]|ck|zm|[aeou][yij](?![aeiou])|i[iyj](?![aeou])|[yij][aeou]|yi|."
)
_HARD_OR_SOFT = re.compile(r"l(?=[bcdfghjkmnpqrstvwxz])")
_TO_RUSSIAN: Mapping[str, tuple[str, ...]] = {
    "shch": ("щ",), "tch": ("ч",), "sch": ("щ", "ш"), "sh": ("ш",), "ch": ("ч", "х"), "zh": ("ж",), "kh": ("х",),
    "ph": ("ф",), "th": ("т",), "ts": ("ц",), "tz": ("ц",), "ck": ("к",), "zm": ("зм", "зьм"),
    "l": ("л",), "L": ("л", "ль"), "E": ("е", "э"),
    "ay": ("ай",), "ai": ("ай", "аи"), "aj": ("ай",), "ey": ("ей",), "ei": ("ей", "еи"), "ej": ("ей",),
    "oy": ("ой",), "oi": ("ой", "ои"), "oj": ("ой",), "uy": ("уй",), "ui": ("уй", "уи"), "uj": ("уй",),
    "ii": ("ий",), "iy": ("ий",), "ij": ("ий",), "yi": ("ьи", "ый"),
    "ya": ("я", "ья"), "ia": ("ия", "ья"), "ja": ("я", "ья"), "yu": ("ю", "ью"), "iu": ("ю", "иу"), "ju": ("ю", "ью"),
    "ye": ("е", "ье"), "ie": ("ие", "ье"), "je": ("е", "ье"), "yo": ("е", "ье"), "io": ("ио", "е"), "jo": ("е", "ье"),
    "a": ("а",), "b": ("б",), "c": ("к", "ц"), "d": ("д",), "e": ("е",), "f": ("ф",), "g": ("г",), "h": ("х", "г"),
    "i": ("и",), "j": ("й",), "k": ("к",), "m": ("м",), "n": ("н",), "o": ("о",), "p": ("п",), "q": ("к",),
    "r": ("р",), "s": ("с",), "t": ("т",), "u": ("у",), "v": ("в",), "w": ("в",), "x": ("кс",), "y": ("и", "ы"),
    "z": ("з", "ц"),
}  # fmt: skip
_RUSSIAN_PIECE = re.compile(r"кс|дж|ия|ий$|ый|.")
_TO_LATIN: Mapping[str, tuple[str, ...]] = {
    "кс": ("ks", "x"), "дж": ("j", "dzh"), "ия": ("ia", "iya"), "ий": ("i", "y"), "ый": ("y",),
    "а": ("a",), "б": ("b",), "в": ("v", "w"), "г": ("g", "h"), "д": ("d",), "е": ("e",), "Е": ("e", "ye"),
    "ж": ("zh",), "з": ("z",),
    "и": ("i",), "й": ("y", "i"), "к": ("k", "c"), "л": ("l",), "м": ("m",), "н": ("n",), "о": ("o",), "п": ("p",),
    "р": ("r",), "с": ("s",), "т": ("t",), "у": ("u",), "ф": ("f", "ph"), "х": ("kh", "h"), "ц": ("ts", "c", "z"),
    "ч": ("ch",), "ш": ("sh", "sch"), "щ": ("shch", "sch"), "ъ": ("",), "ы": ("y",), "ь": ("",), "э": ("e",),
    "ю": ("yu", "u", "iu", "ju"), "я": ("ya", "ia", "ja"), "ё": ("e", "yo"),
}  # fmt: skip


def spellings(word: str) -> list[str]:
    """What a word in lower case may be in the other alphabet, at most :data:`MOST`; none for a word of neither or of both."""
    if _LATIN.fullmatch(word):
        marked = _HARD_OR_SOFT.sub("L", re.sub("^e", "E", word))
        possible = _spelled([_TO_RUSSIAN[piece] for piece in _LATIN_PIECE.findall(marked)])
        return list(islice((each for each in possible if not _NO_SOFT_SIGN.search(each)), MOST))
    if _RUSSIAN.fullmatch(word):
        pieces = _RUSSIAN_PIECE.findall(re.sub("^е", "Е", word))
        return list(islice(_spelled([_TO_LATIN[piece] for piece in pieces]), MOST))
    return []


def _spelled(pieces: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Each piece in its likely way, then some of them in another."""
    doubtful = [place for place, ways in enumerate(pieces) if len(ways) > 1]
    for count in range(_MOST_DOUBTS + 1):
        for places in combinations(doubtful, count):
            for others in product(*(pieces[place][1:] for place in places)):
                chosen = dict(zip(places, others, strict=True))
                yield "".join(chosen.get(place, ways[0]) for place, ways in enumerate(pieces))
