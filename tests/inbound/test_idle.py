"""The talk of IDLE: what a server says, however it is cut into pieces, and what is made of it."""

import pytest

from tracker.inbound.fetch.idle import MOST_HEARD, Idle

TOLD = {
    "one letter more": (b"* 4 EXISTS\r\n", True, 4),
    "in small letters": (b"* 4 exists\r\n", True, 4),
    "without carriage returns": (b"* 4 EXISTS\n", True, 4),
    "many at once": (b"* 4 EXISTS\r\n* 9 EXISTS\r\n* 1 RECENT\r\n", True, 9),
    "the same count again": (b"* 3 EXISTS\r\n", False, 3),
    "one letter less": (b"* 2 EXPUNGE\r\n* 2 EXISTS\r\n", False, 2),
    "one went and one came": (b"* 2 EXPUNGE\r\n* 3 EXISTS\r\n", True, 3),
    "recent alone": (b"* 1 RECENT\r\n", True, 3),
    "still here": (b"* OK Still here\r\n", False, 3),
    "a flag": (b"* 3 FETCH (FLAGS (\\Seen))\r\n", False, 3),
    "a letter that quotes an answer": (b"* 3 FETCH (X {14}\r\n* 9 EXISTS\r\n\r\n)\r\n", False, 3),
    "a letter, then news": (b"* 3 FETCH (X {3}\r\nabc Y {5}\r\n\r\n\r\n!)\r\n* 4 EXISTS\r\n", True, 4),
    "nonsense": (b"\r\n\r\n* \r\n* EXISTS\r\n* x EXISTS\r\n\xff\xfe\r\n+\r\n", False, 3),
}


@pytest.mark.parametrize("piece", [1, 2, 5, 10_000])
@pytest.mark.parametrize("name", TOLD)
def test_what_is_told(name: str, piece: int) -> None:
    responses, news, letters = TOLD[name]
    idle = begun()
    for at in range(0, len(responses), piece):
        assert idle.hear(responses[at : at + piece]) == b""
    assert (idle.news, idle.letters, idle.over) == (news, letters, "")


def begun(letters: int = 3) -> Idle:
    idle = Idle(letters)
    assert (idle.begin(), state(idle)) == (b"I1 IDLE\r\n", "waits")
    assert (idle.hear(b"+ idling\r\n"), state(idle)) == (b"", "hears")
    return idle


def state(idle: Idle) -> str:
    return idle.over or ("waits" if idle.waits else "hears" if idle.is_subscribed else "")


def test_news_before_the_server_idles() -> None:
    """RFC 2177 does not forbid it, and Dovecot does it."""
    idle = Idle(3)
    idle.begin()
    idle.hear(b"* 4 EXISTS\r\n* 1 RECENT\r\n+ idling\r\n")
    assert idle.news
    assert idle.is_subscribed
    assert not idle.over


def test_it_begins_again_once_the_server_has_ended() -> None:
    idle = begun()
    assert (idle.renew(), state(idle)) == (b"DONE\r\n", "waits")
    assert idle.hear(b"* 4 EXISTS\r\n") == b""
    assert idle.hear(b"I1 OK Idle completed.\r\n") == b"I2 IDLE\r\n"
    assert idle.news
    assert state(idle) == "waits"
    idle.hear(b"+\r\n")
    idle.hear(b"I1 OK again?\r\n")
    assert state(idle) == "hears", "that was an answer to something long over"


@pytest.mark.parametrize(
    ("said", "over"),
    [
        (b"I1 NO not today\r\n", "refused"),
        (b"I1 BAD Unknown command\r\n", "refused"),
        (b"I1 OK done\r\n", "ended"),
        (b"* BYE Too many simultaneous connections\r\n", "bye"),
        (b"+ idling\r\nI1 OK I have had enough\r\n", "ended"),
        (b"+ idling\r\n* BYE Autologout\r\n", "bye"),
        (b"x" * (MOST_HEARD // 16 + 1), "nonsense"),
    ],
)
def test_when_it_is_over(said: bytes, over: str) -> None:
    idle = Idle(3)
    idle.begin()
    idle.hear(said)
    assert idle.over == over


def test_a_refused_renewal_is_an_end() -> None:
    idle = begun()
    idle.renew()
    idle.hear(b"I1 OK done\r\nI2 NO not again\r\n")
    assert idle.over == "refused"


def test_a_flood_is_cut_off_and_a_trickle_is_not() -> None:
    line = b"* 4 EXISTS\r\n" * 1000
    idle = begun()
    for _ in range(MOST_HEARD // len(line) * 5 // 4):
        idle.hear(line)
        idle.hear(b"I%d OK\r\n" % idle._number) if idle.waits else idle.renew()
        idle.hear(b"+\r\n")
    assert state(idle) in ("waits", "hears")
    for _ in range(MOST_HEARD // len(line) + 2):
        idle.hear(line)
    assert state(idle) == "nonsense"


@pytest.mark.parametrize(
    ("heard", "last"), [(b"", b"Z1 LOGOUT\r\n"), (b"+\r\n", b"DONE\r\nZ1 LOGOUT\r\n")], ids=["asked", "idling"]
)
def test_the_last_word(heard: bytes, last: bytes) -> None:
    idle = Idle(0)
    idle.begin()
    idle.hear(heard)
    assert idle.leave() == last
    if heard:
        idle.renew()
        assert idle.leave() == b"Z1 LOGOUT\r\n"
