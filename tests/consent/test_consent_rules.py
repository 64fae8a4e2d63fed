"""Whose rules hold for a person, what the operator allows at most, and where a workspace is looser. No clock, no database."""

from datetime import date

import pytest

from tracker.consent.preferences import DEFAULTS
from tracker.consent.rules import (
    Ceiling,
    CeilingError,
    Pack,
    Purpose,
    ceiling_of,
    jurisdiction_of,
    looser_points,
    rules_for,
)
from tracker.consent.rules.country_rules import ALL, POINTS

# declared, the customer record's country, domain → code, how it is known
WHOSE = [
    ("FR", "US", "client.example", "FR", "declared"),
    (None, "it", "client.de", "IT", "country"),
    ("", " ", "client.de", "DE", "domain"),
    (None, None, "client.co.uk", "UK", "domain"),
    (None, None, "firma.xn--p1ai", "RU", "domain"),
    (None, None, "фирма.рф", "RU", "domain"),
    (None, None, "club.eu", "EEA", "domain"),
    ("GB", None, "x.com", "UK", "declared"),
    ("EL", None, "x.com", "GR", "declared"),
    (None, None, "client.com", "", "unknown"),
    (None, None, "startup.io", "", "unknown"),
    (None, None, "startup.co", "", "unknown"),
    (None, None, "laden.at", "AT", "domain"),
    (None, None, "xn--", "", "unknown"),
    (None, None, "", "", "unknown"),
]


@pytest.mark.parametrize(("declared", "country", "domain", "code", "source"), WHOSE)
def test_whose_rules(declared: str | None, country: str | None, domain: str, code: str, source: str) -> None:
    whose = jurisdiction_of(declared, country, domain)
    assert (whose.code, whose.source.value) == (code, source)


def test_unknown_is_strict() -> None:
    assert jurisdiction_of(None, None, "client.com").is_strict
    assert jurisdiction_of(None, None, "client.fr").is_strict
    assert not jurisdiction_of(None, "US", "client.fr").is_strict


def test_the_rules_of_a_day() -> None:
    def version(code: str, day: date) -> str | None:
        rules = rules_for(code, day)
        return rules.version if rules else None

    assert version("FR", date(2026, 11, 1)) == "FR-2026-042"
    assert version("FR", date(2026, 2, 28)) == "EEA-2024-10-07", "before its own rules those of the EEA"
    assert version("UK", date(2026, 4, 28)) == "EEA-2024-10-07"
    assert version("UK", date(2026, 4, 29)) == "UK-2026-04-29"
    assert version("ES", date(2026, 11, 1)) == version("", date(2026, 11, 1)) == "EEA-2024-10-07"
    assert version("US", date(2026, 11, 1)) is None
    assert version("FR", date(2020, 1, 1)) is None


def test_every_pack_is_strict_and_says_where_it_is_written() -> None:
    assert {rules.code for rules in ALL} == {"FR", "IT", "DE", "UK", "EEA"}
    for rules in ALL:
        assert (rules.policy, rules.asks["policy"]) == (Pack.STRICT, "strict")
        assert rules.source
        assert rules.version.startswith(rules.code)
        assert set(rules.asks) == set(POINTS) <= set(DEFAULTS)


def test_looser_than_a_pack() -> None:
    french = rules_for("FR", date(2026, 11, 1))
    assert french is not None
    assert looser_points(DEFAULTS, french) == [], "what comes out of the box is as strict as any pack"
    loose = {"policy": "notice", "accepted_grades": "D", "consent_months": 36, "ask_again_days": 30, "footer": False}
    assert [point.setting for point in looser_points(loose, french)] == list(french.asks)
    stricter = {"policy": "off", "accepted_grades": "B", "consent_months": 12, "ask_again_days": 365, "footer": True}
    assert looser_points(stricter, french) == []
    assert [p.design for p in looser_points({"ask_again_days": 30, "consent_months": 36}, french)] == [True, False]


def test_the_ceiling() -> None:
    assert ceiling_of(()) == Ceiling(Pack.NOTICE, frozenset(Purpose))
    assert ceiling_of(["strict"]) == Ceiling(Pack.STRICT, frozenset(Purpose))
    assert ceiling_of(["opens"]) == Ceiling(Pack.NOTICE, frozenset({Purpose.OPENS}))
    low = ceiling_of(["strict", "opens"])
    assert [low.lowered(pack) for pack in Pack] == [Pack.STRICT, Pack.STRICT, Pack.OFF]
    low.check_policy(Pack.STRICT)
    low.check_policy(Pack.OFF)
    low.check_wish(Purpose.OPENS)
    with pytest.raises(CeilingError, match="“strict” at the most"):
        low.check_policy(Pack.NOTICE)
    with pytest.raises(CeilingError, match="does not allow tracking clicks"):
        low.check_wish(Purpose.CLICKS)
    assert not any(ceiling_of(["off"]).allows(purpose) for purpose in Purpose)
