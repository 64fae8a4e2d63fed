"""Letters as real programs and people make them, each with what is right beside it: NAME.eml and NAME.json in tests/data/letters.

The JSON holds the fields of ``inkling read`` that the letter is about.
"""

import json
from typing import Any

import pytest

from tests.inbound.corpus import DATA, raw
from tracker.inbound.parse.description import describe

NAMES = sorted(path.stem for path in DATA.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_a_letter_is_read_as_it_was_meant(name: str) -> None:
    right: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    said = describe(raw(name))
    assert {field: said[field] for field in right} == right
