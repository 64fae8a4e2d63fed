"""Words as the search sees them, and what a person typed as a question about them. Pure.

A text becomes its words: in lower case, whatever the script; Latin letters without their accents, Cyrillic ё as е; signs divide.
A question asks that each of its words stands in the text, as the beginning of a word, in whatever form: its ending is left off;
in Latin or Russian letters (``ivanov`` is ``Иванов``).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import idna

from tracker.runtime.transliteration import spellings

LONGEST = 60
"""Characters of a word; what is longer is cut, in texts and questions alike."""
MOST_WORDS = 12
"""Of a question; the rest is left out."""
_SHORTEST_STEM = 4
_WORD = re.compile(r"[^\W_]+")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]")
"""Scripts that are written without spaces: each sign is a word."""
_EACH_WIDE = re.compile(f"({_WIDE.pattern})")
_WIDE_BEGIN = bytes(range(0xE3, 0xF0))
_ACCENTED = re.compile("[\u00c0-\u036f\u1e00-\u1eff]")
_ACCENTED_BEGIN = bytes([*range(0xC3, 0xCE), 0xE1])
_ASCII = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}
_CYRILLIC = re.compile(r"[а-яіїєґў]+")
_LATIN_KEYS = "`qwertyuiop[]asdfghjkl;'zxcvbnm,."
_RUSSIAN_KEYS = "ёйцукенгшщзхъфывапролджэячсмитьбю"
_TO_RUSSIAN = str.maketrans(_LATIN_KEYS, _RUSSIAN_KEYS)
_TO_LATIN = str.maketrans(_RUSSIAN_KEYS, _LATIN_KEYS)
_A_LABEL = re.compile(r"\bxn--[a-z0-9-]+", re.IGNORECASE)
_ENDINGS = (
    *(
        "иями",
        "ями",
        "ами",
        "ого",
        "его",
        "ому",
        "ему",
        "ыми",
        "ими",
        "иях",
        "иям",
        "ией",
        "ете",
        "ите",
        "ешь",
        "ать",
        "ять",
    ),
    *(
        "ить",
        "еть",
        "ает",
        "яет",
        "ают",
        "яют",
        "ала",
        "ила",
        "али",
        "или",
        "ого",
        "ях",
        "ах",
        "ов",
        "ев",
        "ей",
        "ам",
        "ям",
    ),
    *(
        "ом",
        "ем",
        "ой",
        "ий",
        "ый",
        "ая",
        "яя",
        "ое",
        "ее",
        "ые",
        "ие",
        "ую",
        "юю",
        "ия",
        "ии",
        "ию",
        "ых",
        "их",
        "ут",
        "ют",
    ),
    *("ит", "ет", "ат", "ят", "ал", "ил", "а", "я", "о", "е", "и", "ы", "у", "ю", "ь", "й"),
)
_ENGLISH_ENDINGS = ("ings", "ies", "ing", "ied", "es", "ed", "s", "y", "e")
_ALPHABETS = ("abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщъыьэюя")


@dataclass(frozen=True)
class SearchTerm:
    """A word of a question. ``is_beginning``: any word that begins with it will do."""

    text: str
    is_beginning: bool = True


Question = tuple[tuple[SearchTerm, ...], ...]
"""Of each group one term must be there."""


def words_of(*texts: str | None) -> list[str]:
    """The different words of the texts, in the order of the alphabet; of domains in other scripts also their letters."""
    words: set[str] = set()
    for text in texts:
        if text:
            words.update(_words(text))
            labels = _A_LABEL.findall(text) if "xn--" in text.lower() else ()
            words.update(word for label in labels for word in _words(_decoded(label)))
    return sorted(words)


def question_of(text: str) -> Question:
    """What was typed, as a question; empty when no word stands in it."""
    words = list(dict.fromkeys(_words(text)))[:MOST_WORDS]
    if len(words) > 1 and len(words[-1]) == 1 and words[-1].isalpha() and not _WIDE.match(words[-1]):
        words.pop()  # somebody has just begun to type it
    return tuple(tuple(_terms(word)) for word in words)


def _terms(word: str) -> Iterator[SearchTerm]:
    """The word itself first, then as the other alphabet spells it."""
    stem = _stem(word)
    yield SearchTerm(stem, len(word) > 1 and not _WIDE.match(word))
    others = spellings(stem if _CYRILLIC.fullmatch(word) else word)
    yield from map(SearchTerm, dict.fromkeys(map(_stem, others)))


def answers(question: Question, words: Iterable[str]) -> bool:
    """Whether words, as :func:`words_of` gives them, hold what a question asks for."""
    held = set(words)
    return all(
        any(word == term.text or (term.is_beginning and word.startswith(term.text)) for term in group for word in held)
        for group in question
    )


def variants(word: str) -> frozenset[str]:
    """What may have been meant by a longer word: one letter wrong, missing, too many, or two that changed places. The first letter
    is right, unless it changed places."""
    if len(word) < _SHORTEST_STEM or not word.isalpha():
        return frozenset()
    return frozenset(_variants(word)) - {word}


def _words(text: str) -> Iterator[str]:
    if text.isascii():
        words, may_be_wide = text.translate(_ASCII).split(), False
    else:
        folded = _folded(text)
        words, may_be_wide = _WORD.findall(folded), _may_hold(folded, _WIDE_BEGIN)
    for word in dict.fromkeys(words):
        if may_be_wide and _WIDE.search(word):
            yield from (part for part in _EACH_WIDE.split(word) if part)
        else:
            yield word[:LONGEST]


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    return _without_accents(text) if _may_hold(text, _ACCENTED_BEGIN) and _ACCENTED.search(text) else text


def _may_hold(text: str, begins: bytes) -> bool:
    """Whether octets of UTF-8 stand in it by which some characters begin: many times faster than to look for these."""
    octets = text.encode("utf-8", "surrogatepass")
    return len(octets.translate(None, begins)) < len(octets)


def _without_accents(text: str) -> str:
    """Accents go from Latin letters; й and ї are letters of their own."""
    characters: list[str] = []
    for sign in text:
        parts = unicodedata.normalize("NFD", sign)
        characters.append(
            parts[0] if len(parts) > 1 and parts[0].isascii() else "" if "\u0300" <= sign <= "\u036f" else sign
        )
    return "".join(characters)


def _decoded(label: str) -> str:
    try:
        return str(idna.decode(label))
    except (idna.IDNAError, UnicodeError):
        return ""


def _stem(word: str) -> str:
    """The word without its ending, when it is long enough to say something without it."""
    if len(word) <= _SHORTEST_STEM or not word.isalpha():
        return word
    endings: Iterable[str] = _ENDINGS if _CYRILLIC.fullmatch(word) else _ENGLISH_ENDINGS if word.isascii() else ()
    for ending in sorted(endings, key=len, reverse=True):
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word[: -len(ending)]
    return word


def _variants(word: str) -> Iterator[str]:
    alphabet = next((letters for letters in _ALPHABETS if word[0] in letters), "")
    for place in range(1, len(word) + 1):
        before, after = word[:place], word[place:]
        if after:
            yield before + after[1:]
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
        for letter in alphabet:
            if after:
                yield before + letter + after[1:]
            yield before + letter + after
    if len(word) > 2:
        yield word[1] + word[0] + word[2:]


def other_layout(typed: str) -> str:
    """What the same keys write on the other keyboard, Russian or Latin: ``ljujdjh`` is ``договор``. Empty for other scripts."""
    typed = typed.lower()
    is_russian, is_latin = (
        any(letter in keys for letter in typed if letter.isalpha()) for keys in (_RUSSIAN_KEYS, _LATIN_KEYS)
    )
    if is_russian == is_latin:
        return ""
    return typed.translate(_TO_LATIN if is_russian else _TO_RUSSIAN)
