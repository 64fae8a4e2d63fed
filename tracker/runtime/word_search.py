"""Searching by words, on both engines."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import idna
from sqlalchemy import ColumnElement, or_
from sqlmodel import col


def split_words(text: str) -> list[str]:
    """The words of what was typed; NUL, which PostgreSQL refuses, divides like a space."""
    return text.replace("\0", " ").split()


def has_word(word: str, columns: Sequence[Any], lowercase: Sequence[Any] = ()) -> ColumnElement[bool]:
    """The word stands somewhere in one of ``columns``, in any case, or in one of ``lowercase``: addresses in their look-up form."""
    folded = [col(column).icontains(spelling, autoescape=True) for column in columns for spelling in _spellings(word)]
    forms = {word.lower(), unicodedata.normalize("NFC", word).lower(), _with_ascii_domain(word)}
    return or_(
        *folded, *(col(column).contains(form, autoescape=True) for column in lowercase for form in sorted(forms))
    )


def _spellings(word: str) -> list[str]:
    """SQLite folds the case of ASCII letters only, so other scripts are looked for in the spellings that people use; accents stand
    on their letters or behind them (NFC, NFD), as the program wrote that made the text."""
    if word.isascii():
        return [word]
    cases = {word, word.lower(), word.upper(), word.capitalize()}
    return sorted({unicodedata.normalize(form, case) for case in cases for form in ("NFC", "NFD")})


def _with_ascii_domain(word: str) -> str:
    """Labels of a domain in letters of other scripts as A-labels, which is how they are kept; a local part stays as it is."""
    local, at, domain = unicodedata.normalize("NFC", word).lower().rpartition("@")
    return local + at + ".".join(map(_a_label, re.split(r"[.\u3002\uff0e\uff61]", domain)))


def _a_label(label: str) -> str:
    try:
        return label if label.isascii() else idna.encode(label, uts46=True).decode()
    except UnicodeError:
        return label
