"""The repeat period: pure, both directions, anchored on counted letters, exactly the period counts."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.inbound.repeat import Enquiry, RepeatDecision, decide, recipient_of, sender_of

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def taken_in(hours: list[float], days: int) -> list[bool]:
    """Which letters count when they arrive in this order."""
    counted: list[Enquiry] = []
    answers = []
    for number, hour in enumerate(hours):
        decision = decide(at(hour), counted, days)
        if decision.counts:
            counted.append(Enquiry(number, at(hour)))
        answers.append(decision.counts)
    return answers


@pytest.mark.parametrize(
    ("hours", "days", "counts"),
    [
        ([0, 20, 30], 1, [True, False, True]),
        ([0, 3, 24], 1, [True, False, True]),
        ([0, 24], 1, [True, True]),
        ([0, 24 - 1 / 3600], 1, [True, False]),
        ([0, 0, 0], 0, [True, True, True]),
        ([48, 30, 24, 0], 1, [True, False, True, True]),
        ([0, 48, 30], 1, [True, True, False]),
        ([0, 24 * 364, 24 * 365], 365, [True, False, True]),
    ],
    ids=["last-counted", "vendor", "exactly", "a-second-less", "nought", "backwards", "between", "a-year"],
)
def test_which_letters_count(hours: list[float], days: int, counts: list[bool]) -> None:
    assert taken_in(hours, days) == counts


def test_a_repeat_is_folded_under_the_enquiry_before_it_and_else_the_one_after() -> None:
    enquiries = [Enquiry(1, at(0)), Enquiry(2, at(30))]
    assert decide(at(20), enquiries, 1) == RepeatDecision(False, 1)
    assert decide(at(-3), enquiries, 1) == RepeatDecision(False, 1)


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(0, 5))
def test_counted_letters_are_never_closer_than_the_period(hours: list[int], days: int) -> None:
    counted = sorted(hour for hour, counts in zip(hours, taken_in([*hours], days), strict=True) if counts)
    assert all(later - earlier >= 24 * days for earlier, later in pairwise(counted))


def test_the_sender_is_reply_to_when_a_form_writes_in_our_name() -> None:
    own = {"info@site.example"}
    assert sender_of("info@site.example", ["anna@client.example"], own) == "anna@client.example"
    assert (
        sender_of("robot@forms.example", ["anna@client.example"], own, {"robot@forms.example"}) == "anna@client.example"
    )
    assert sender_of("anna@client.example", ["other@client.example"], own) == "anna@client.example"
    assert sender_of("info@site.example", ["info@site.example"], own) == "info@site.example"
    assert sender_of("", [], own) == ""


@pytest.mark.parametrize(
    ("named", "traced", "expected"),
    [
        (["x@y.example", "info+0011@site.example"], [], "info@site.example"),
        (["info@site.example"], ["ads@site.example"], "info@site.example"),
        (["ads@site.example"], [], "ads@site.example"),
        (["x@y.example"], ["info@site.example", "ads@site.example"], "ads@site.example"),
        (["x@y.example"], ["pool7@site.example"], "info@site.example"),
        ([], [], "info@site.example"),
    ],
    ids=["tag-folds", "to-before-trace", "static", "static-before-base", "pool-folds", "nothing"],
)
def test_the_recipient(named: list[str], traced: list[str], expected: str) -> None:
    assert recipient_of(named, traced, "info@site.example", {"ads@site.example"}, {"pool7@site.example"}) == expected
