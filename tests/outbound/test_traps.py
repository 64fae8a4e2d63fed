"""Every trap of the send side has a test that bears its number, or a written reason why it needs none.

A: the value of an href. B: tags and documents. C: the pixel. D: MIME, charset, transport. The number stands in the name of the
test (`test_a44_…`, `test_c4_to_c9_…`) or at the beginning of a row of its table (`"A44 …"`).
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
HOW_MANY = {"A": 50, "B": 44, "C": 12, "D": 24}
TRAPS = [f"{letter}{number}" for letter, count in HOW_MANY.items() for number in range(1, count + 1)]

WITHOUT_A_TEST = {
    "D20": "Consent lies in the database that holds the queue: when one cannot be read, the other cannot, and nothing is sent;"
    " it goes on when the database is back. What was read is frozen, and unknown means untracked (tests/consent/test_consent.py).",
}

OTHER = {"crm", "sites", "test_crm"}
"""Tests of subjects whose traps have the same letters."""
_RANGE = re.compile(r"_([abcd])(\d+)_to_\1(\d+)(?=_|$)")
_ONE = re.compile(r"_([abcd])(\d+)(?=_|$)")


def named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for letter, first, last in _RANGE.findall(node.name):
                yield from (f"{letter.upper()}{number}" for number in range(int(first), int(last) + 1))
            yield from (f"{letter.upper()}{number}" for letter, number in _ONE.findall(node.name))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (row := re.match(r"([ABCD]\d+) ", node.value))
        ):
            yield row[1]


@pytest.fixture(scope="module")
def tested() -> set[str]:
    files = [
        path for path in TESTS.rglob("test_*.py") if path != Path(__file__) and not OTHER & {*path.parts, path.stem}
    ]
    return {trap for path in files for trap in named(ast.parse(path.read_text()))}


@pytest.mark.parametrize("trap", TRAPS)
def test_the_trap_has_a_test_or_a_reason(tested: set[str], trap: str) -> None:
    assert (trap in tested) != (trap in WITHOUT_A_TEST), (
        f"Trap {trap} has no test that bears its number. Write one, or say in WITHOUT_A_TEST why none is needed."
        if trap not in tested
        else f"Trap {trap} has a test: take its reason out of WITHOUT_A_TEST."
    )


def test_no_number_is_made_up(tested: set[str]) -> None:
    assert tested <= set(TRAPS)
