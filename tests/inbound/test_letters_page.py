"""docs/letters.md is complete: every raw letter has a row, and every row a letter or a test, and a file where it was mended."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from tests.inbound.corpus import DATA

ROOT = Path(__file__).parents[2]
LETTERS = sorted(path.stem for path in DATA.glob("*.eml"))


@cache
def rows() -> tuple[tuple[str, ...], ...]:
    lines = (ROOT / "docs" / "letters.md").read_text().splitlines()
    cells = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in lines if line.startswith("| ")]
    return tuple(row for row in cells if row[0] not in ("fault", "story"))


def names_of(row: tuple[str, ...]) -> Iterator[str]:
    """The letters that a row names; what stands in brackets tells of more."""
    outside = re.sub(r"\([^()]*\)|`[^`]*`", "", row[0])
    return (name.strip() for name in outside.split(",") if name.strip())


@cache
def names_of_tests() -> frozenset[str]:
    texts = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return frozenset(name for text in texts for name in re.findall(r"def (test_\w+)", text))


@pytest.mark.parametrize("letter", LETTERS)
def test_every_letter_has_a_row(letter: str) -> None:
    assert any(fnmatch(letter, name) for row in rows() for name in names_of(row)), f"docs/letters.md lacks {letter}"


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_every_row_has_a_letter_or_a_test_and_says_where(row: tuple[str, ...]) -> None:
    _fault, kind, places = row
    tried = re.findall(r"`(test_\w+)`", row[0])
    assert kind
    assert [name for name in names_of(row) if not any(fnmatch(letter, name) for letter in LETTERS)] == []
    assert [name for name in tried if name not in names_of_tests()] == []
    assert tried or list(names_of(row))
    files = re.findall(r"`([^`]+)`", places)
    assert files
    assert [file for file in files if not (ROOT / "tracker" / file).exists()] == []
