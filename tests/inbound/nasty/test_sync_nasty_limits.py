"""Servers that have had enough, or try our patience."""

import time
from datetime import timedelta

import pytest

from tests.inbound.mail_world import Post, hours_ago
from tests.inbound.nasty.answers import BODY, always, put
from tests.servers.nasty import CUT, NastyImap
from tracker.models import FetchRetry
from tracker.runtime.database import now


def test_the_day_is_spent(server: NastyImap, post: Post) -> None:
    """F29: Gmail's quota of the day."""
    post.sync()
    put(server, "a")
    server.script = always(BODY, b"TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)\r\n")
    post.sync()
    mailbox = post.mailbox
    assert mailbox.state == "throttled"
    assert "tries again by itself" in mailbox.state_detail
    assert mailbox.due_at is not None
    assert timedelta(hours=23) < mailbox.due_at - now() <= timedelta(hours=24)
    assert post.rows(FetchRetry) == []
    assert post.notice_events() in ([], ["first_load"])


def test_the_server_says_how_long_to_wait(server: NastyImap, post: Post) -> None:
    """F30."""
    post.sync()
    put(server, "a")
    server.script = always(BODY, b"TAG NO Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n")
    post.sync()
    assert post.mailbox.due_at is not None
    assert timedelta(seconds=290) < post.mailbox.due_at - now() < timedelta(seconds=301)
    server.script = lambda *_: None
    post.sync()
    assert post.subjects() == ["a"]
    assert (post.mailbox.state, post.mailbox.failures) == ("active", 0)


def test_a_refused_login_is_believed_the_second_time_and_never_hammered(server: NastyImap, post: Post) -> None:
    """Servers answer so during troubles of their own; providers lock accounts that knock too often."""
    post.sync()
    server.script = always(b"LOGIN|AUTHENTICATE", b"TAG NO [AUTHENTICATIONFAILED] no\r\n")
    post.sync()
    assert post.mailbox.state == "active"
    post.sync()  # somebody pressed “sync now” at once: still one refusal
    assert (post.mailbox.state, post.mailbox.login_failures) == ("active", 1)
    states, dues = [], []
    for _ in range(9):
        post.change(login_failed_at=hours_ago(1))
        post.sync()
        states.append(post.mailbox.state)
        dues.append(post.mailbox.due_at)
    assert set(states) == {"auth_error"}
    assert dues[0] is not None
    assert timedelta(hours=5.9) < dues[0] - now() < timedelta(hours=6.1)
    assert dues[-1] is None
    assert post.notice_events() == ["broken"]


def test_drops_never_end_in_a_loop(server: NastyImap, post: Post) -> None:
    put(server, "a", "b")
    server.script = always(BODY, CUT)
    post.sync()
    assert server.lines < 12
    assert post.letters() == []


def test_a_dripping_server_is_left(server: NastyImap, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps every timeout of a socket waiting; a run ends all the same."""
    post.sync()
    monkeypatch.setattr("tracker.inbound.fetch.sync.CUT_SECONDS", 1.5)

    def drip(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        time.sleep(0.3)
        return b"* OK still here\r\n" * 3 if command.startswith(b"LIST") else None

    server.script = drip
    started = time.monotonic()
    post.sync()
    assert time.monotonic() - started < 15
    assert post.mailbox.failures == 1
