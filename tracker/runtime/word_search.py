"""Searching by words, on both engines."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlmodel import col


def split_words(text: str) -> list[str]:
    """The words of what was typed; NUL, which PostgreSQL refuses, divides like a space."""
    return text.replace("\0", " ").split()


def has_word(word: str, columns: Sequence[Any], lowercase: Sequence[Any] = ()) -> ColumnElement[bool]:
    """The word stands somewhere in one of ``columns``, in any case, or in one of ``lowercase``, which hold no capitals."""
    folded = [col(column).icontains(spelling, autoescape=True) for column in columns for spelling in _spellings(word)]
    return or_(*folded, *(col(column).contains(word.lower(), autoescape=True) for column in lowercase))


def _spellings(word: str) -> list[str]:
    """SQLite folds the case of ASCII letters only, so other scripts are looked for in the spellings that people use."""
    return sorted({word} if word.isascii() else {word, word.lower(), word.upper(), word.capitalize()})
