# ruff: noqa: E501
"""Where a letter comes from, as a table of named cases. Names begin with the trap of the specification."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pixel.site_codes import ALPHABET, check_character, is_long_code, long_codes
from tracker.sites.attribution import AttributionFacts, Holding, Meaning, attribute, candidates

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
BASE = "info@site.example"
CODES = long_codes("a", bytes(range(200)))
CODE, OTHER = (f"info+{code}@site.example" for code in CODES[:2])
SHORT = "info+0011@site.example"
ADS, MAIL = {"name": "Ads"}, {"name": "Mail"}


def ago(**span: float) -> datetime:
    return NOON - timedelta(**span)


def held(visit: int, visitor: str, shown: datetime, days: float = 7, **more: Any) -> Holding:
    return Holding(visit, visitor, shown, shown + timedelta(days=days), {"name": f"source {visit}"}, **more)


def decide(
    fields: list[tuple[str, str]], sender: str = "anna@client.example", **known: Any
) -> tuple[str, int | None, tuple[str, ...]]:
    facts = AttributionFacts(**{"bases": {BASE}, **known})
    made = attribute(candidates(fields), sender, NOON, facts)
    return made.method, made.visit, made.flags


ONE = {CODE: [held(1, "v1", ago(hours=3))]}
TWO_SESSIONS = {CODE: [held(1, "v1", ago(days=3)), held(2, "v1", ago(hours=1))]}
GIVEN_ON = {SHORT: [held(1, "v1", ago(days=9)), held(2, "v2", ago(days=2))]}
JUST_GIVEN = {SHORT: [held(1, "v1", ago(days=9), intent_at=ago(days=8)), held(2, "v2", ago(minutes=5))]}


@pytest.mark.parametrize(
    ("fields", "known", "expected"),
    [
        pytest.param([("to", CODE)], {"holdings": ONE}, ("code", 1, ()), id="within its lease"),
        pytest.param([("to", CODE.upper())], {"holdings": ONE}, ("code", 1, ()), id="in capitals"),
        pytest.param([("to", f"Info <{CODE}>")], {"holdings": ONE}, ("code", 1, ()), id="with a name"),
        pytest.param([("to", CODE)], {"holdings": TWO_SESSIONS}, ("code", 2, ()), id="J18 the later session"),
        pytest.param([("to", CODE)], {"holdings": {CODE: [held(1, "v1", ago(days=12))]}}, ("code", 1, ("late",)), id="J19 late"),
        pytest.param([("to", SHORT)], {"holdings": GIVEN_ON}, ("code", 2, ("disputed",)), id="J20 given to another"),
        pytest.param([("to", SHORT)], {"holdings": JUST_GIVEN}, ("code", 1, ("disputed",)), id="J20 just given, the old one meant it"),
        pytest.param(
            [("to", SHORT)],
            {"holdings": {SHORT: [held(1, "v1", ago(days=9)), held(2, "v2", ago(minutes=5))]}},
            ("code", 2, ("disputed",)),
            id="J20 just given, nobody meant it",
        ),
        pytest.param(
            [("to", SHORT)],
            {"holdings": {SHORT: [held(1, "v1", ago(days=90)), held(2, "v2", ago(days=2))]}},
            ("code", 2, ()),
            id="given to another long ago",
        ),
        pytest.param([("to", "info+0011 @site.example")], {"holdings": GIVEN_ON}, ("code", 2, ("disputed",)), id="J21 a space"),
        pytest.param([("to", "info%2B0011@site.example")], {"holdings": GIVEN_ON}, ("code", 2, ("disputed",)), id="J21 percent"),
        pytest.param([("to", "info\u200b+0011@site.example")], {"holdings": GIVEN_ON}, ("code", 2, ("disputed",)), id="J21 unseen"),
        pytest.param([("to", BASE)], {"holdings": ONE}, ("none", None, ()), id="J22 the tag was taken off"),
        pytest.param([("to", BASE), ("x-original-to", CODE)], {"holdings": ONE}, ("code", 1, ()), id="J23 X-Original-To"),
        pytest.param([("to", BASE), ("x-forwarded-to", CODE)], {"holdings": ONE}, ("code", 1, ()), id="J23 X-Forwarded-To"),
        pytest.param(
            [("to", BASE), ("received", f"from a by b for <{CODE}>; Mon, 1 Jan 2026")], {"holdings": ONE}, ("code", 1, ()),
            id="J23 Received for",
        ),
        pytest.param(
            [("to", CODE), ("delivered-to", OTHER)],
            {"holdings": {**ONE, OTHER: [held(2, "v1", ago(hours=1))]}},
            ("code", 1, ()),
            id="J24 the visible To goes first",
        ),
        pytest.param([("to", BASE), ("cc", CODE)], {"holdings": ONE}, ("code", 1, ()), id="J25 code in Cc"),
        pytest.param(
            [("to", f"{CODE}, {OTHER}")],
            {"holdings": {**ONE, OTHER: [held(2, "v2", ago(hours=1))]}},
            ("code", 1, ("disputed",)),
            id="J26 codes of two visitors",
        ),
        pytest.param([("to", CODE)], {}, ("unknown_code", None, ()), id="never issued"),
        pytest.param([("to", "info+abcdefghj@site.example")], {}, ("unknown_code", None, ()), id="wrong check character"),
        pytest.param([("to", "info+9999@site.example")], {}, ("unknown_code", None, ()), id="four digits never issued"),
        pytest.param([("to", "info+newsletter@site.example")], {}, ("none", None, ()), id="a tag of one's own"),
        pytest.param([("to", "other+0011@site.example")], {}, ("none", None, ()), id="another base"),
        pytest.param(
            [("to", BASE)], {"history": ADS}, ("history", None, ()), id="known by earlier letters",
        ),
        pytest.param(
            [("to", "ads@site.example")], {"meanings": {"ads@site.example": Meaning("static", ADS, 1)}}, ("static", None, ()), id="static",
        ),
        pytest.param(
            [("to", "print@site.example")], {"meanings": {"print@site.example": Meaning("external", ADS, 1)}}, ("external", None, ()),
            id="J34 external",
        ),
        pytest.param(
            [("to", f"ads@site.example, {CODE}")],
            {"holdings": ONE, "meanings": {"ads@site.example": Meaning("static", ADS, 1)}},
            ("code", 1, ()),
            id="a code goes before a static address",
        ),
        pytest.param(
            [("to", CODE)], {"holdings": ONE, "senders": {CODE: {"a@a", "b@b", "c@c"}}}, ("code", None, ("leaked",)), id="J15 the fourth sender",
        ),
        pytest.param(
            [("to", CODE)], {"holdings": ONE, "senders": {CODE: {"a@a", "anna@client.example"}}}, ("code", 1, ()), id="two senders",
        ),
        pytest.param(
            [("to", CODE)], {"holdings": {CODE: [held(1, "v1", ago(hours=3), robot=True)]}}, ("code", None, ("robot",)), id="shown to a robot",
        ),
        pytest.param([("to", "")], {"holdings": ONE}, ("none", None, ()), id="no recipient at all"),
        pytest.param([("to", "undisclosed-recipients:;")], {"holdings": ONE}, ("none", None, ()), id="undisclosed"),
        pytest.param([("to", "a" * 100_000 + "@b")], {"holdings": ONE}, ("none", None, ()), id="a very long one"),
        pytest.param(
            [("to", CODE)],
            {"holdings": {CODE: [held(1, "v1", NOON + timedelta(minutes=1))]}},
            ("code", 1, ()),
            id="an edge whose clock is ahead",
        ),
    ],
)  # fmt: skip
def test_where_a_letter_comes_from(
    fields: list[tuple[str, str]], known: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert decide(fields, **known) == expected


def test_a_domain_in_letters_of_its_own_is_the_same() -> None:
    listed = candidates([("to", "Инфо <info+0011@Пример.РФ>"), ("cc", "Info@xn--e1afmkfd.xn--p1ai")])
    assert listed == ["info+0011@xn--e1afmkfd.xn--p1ai", "info@xn--e1afmkfd.xn--p1ai"]


def test_a_code_finds_every_single_wrong_character() -> None:
    code = CODES[7]
    assert is_long_code(code)
    assert is_long_code(code.upper())
    for place in range(9):
        for character in ALPHABET:
            if character != code[place]:
                assert not is_long_code(code[:place] + character + code[place + 1 :])


@pytest.mark.parametrize("text", ["", "a", "abcdefgh", "abcdefghjk", "abcdefgh0", "абвгдежзи", "abc def g"])
def test_what_can_be_no_code(text: str) -> None:
    assert not is_long_code(text)


def test_the_snippet_reads_the_same_alphabet() -> None:
    from pathlib import Path

    text = (Path(__file__).parents[2] / "pixel/snippet.js").read_text("utf-8")
    assert f'"{ALPHABET}"' in text
    assert check_character("abcdefgh") in ALPHABET
