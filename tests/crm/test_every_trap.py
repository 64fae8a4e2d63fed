"""Every numbered trap of binding (B), import (I) and webhooks (W) is tried by a test that bears its number."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
NEVER_GIVEN = {"B31", "B50", "I4", "W2"}
"""Numbers that stand for no trap."""
TRAPS = {f"{kind}{number}" for kind, last in (("B", 56), ("I", 9), ("W", 13)) for number in range(1, last + 1)}
_IN_A_NAME = re.compile(r"(?<=_)([biw]\d{1,2})(?=_)")
_IN_A_TABLE = re.compile(r'(?:\(|Case\()"([BIW]\d{1,2})(?=[ ,"])')


def test_every_trap_is_tried_by_number() -> None:
    tried = set()
    for file in TESTS.rglob("test_*.py"):
        text = file.read_text(encoding="utf-8")
        names = re.findall(r"^ *def (test_\w+)", text, re.MULTILINE)
        tried |= {number.upper() for name in names for number in _IN_A_NAME.findall(name)}
        tried |= set(_IN_A_TABLE.findall(text))
    assert TRAPS - NEVER_GIVEN - tried == set(), "write a test and put the trap's number into its name"
