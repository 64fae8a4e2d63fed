"""The short form of `make soak`: a server on a bad day, and our worker killed in between."""

from tests.bench.soak import soak


def test_nothing_is_lost_and_nothing_doubled_on_a_bad_day() -> None:
    result = soak(100, kills=2, chance=0.06, minutes=1.5)
    assert result.is_sound, result
    assert result.kills == 2
    assert result.deliveries > result.messages == result.sent == 100
    assert len(result.troubles) >= 5, "the day was too good"
