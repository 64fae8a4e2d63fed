"""Listening (RFC 2177): a letter is noticed when the server says so; and whatever it does to us, the poll goes on as before."""

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.contexts import People, opened_context
from tests.inbound.idle.world import (
    QUICK,
    arrives,
    assert_untouched,
    heard,
    left_alone,
    logins,
    read_once,
    row,
    stays,
    working,
)
from tests.inbound.mail_world import SECRET, Post, fresh_address, letter, mailbox_on
from tests.servers import Dovecot, wait_until
from tests.servers.nasty import CUT, NastyImap
from tracker.inbound.credentials import make_credential
from tracker.inbound.mailbox_input import NewCredentials
from tracker.inbound.mailboxes import connect_mailbox
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.worker import Worker


def test_a_letter_shows_within_seconds(context: AppContext, people: People, dovecot: Dovecot) -> None:
    """The whole worker, at its own pace; the next run is planned in ten minutes."""
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    post = read_once(mailbox_on(context, people.user(), dovecot, address))
    worker = Worker(context)
    worker.start()
    try:
        wait_until(lambda: heard(post))
        dovecot.append(address, letter("At once"), received_at=now())
        wait_until(lambda: post.subjects() == ["At once"])
    finally:
        worker.stop()
    assert not heard(post)
    assert [flags - {"\\Recent"} for flags in dovecot.flags(address).values()] == [set()]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_it_listens_over_tls(tmp_path: Path, dovecot: Dovecot, security: str) -> None:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    port = dovecot.imaps_port if security == "tls" else dovecot.imap_port
    with opened_context(tmp_path, CA_FILE=str(dovecot.ca_file)) as context:
        user = People(context).user()
        assert user.id is not None
        with context.database.session_scope() as session:
            facts: Any = {"host": "localhost", "port": port, "security": security, "login": address}
            credential = make_credential(session, context, user.id, NewCredentials(secret=SECRET, **facts))
            mailbox = connect_mailbox(session, user.id, credential)
        assert mailbox.id is not None
        post = read_once(Post(context, user, mailbox.id, address))
        with working(context, pace=replace(QUICK, renew=0.3)):
            wait_until(lambda: heard(post))
            time.sleep(1)  # some IDLEs
            dovecot.append(address, letter("Safe"), received_at=now())
            wait_until(lambda: post.subjects() == ["Safe"])
        assert post.mailbox.failures == 0


def test_it_opens_read_only_and_loads_nothing(context: AppContext, post: Post, server: NastyImap) -> None:
    before = len(server.commands)
    with working(context):
        wait_until(lambda: heard(post))
    said = [command.split()[0] for command in server.commands[before:]]
    assert [word for word in said if word not in (b"CAPABILITY", b"ID")] == [
        *(b"AUTHENTICATE", b"EXAMINE", b"IDLE", b"DONE", b"LOGOUT")
    ]


def test_what_came_while_nobody_listened_is_noticed(context: AppContext, post: Post, server: NastyImap) -> None:
    server.put(letter("Before"))
    with working(context):
        wait_until(lambda: post.subjects() == ["Before"])
        wait_until(lambda: heard(post) and server.idling)
        server.put(letter("Meanwhile"))
        server.tell(CUT)
        wait_until(lambda: post.subjects() == ["Before", "Meanwhile"])


def test_news_before_the_server_idles(context: AppContext, post: Post, server: NastyImap) -> None:
    def script(server: NastyImap, _tag: bytes, command: bytes) -> bytes | None:
        if command != b"IDLE" or server.letters:
            return None
        server.put(letter("Early"))
        return b"* 1 EXISTS\r\n+ idling\r\n"

    server.script = script
    with working(context):
        wait_until(lambda: post.subjects() == ["Early"])


def test_chatter_is_no_news(context: AppContext, post: Post, server: NastyImap) -> None:
    with working(context):
        wait_until(lambda: heard(post) and server.idling)
        for said in (b"* OK Still here\r\n", b"* 1 FETCH (FLAGS (\\Seen))\r\n", b"* 0 EXISTS\r\n", b"\xff\r\n", b"* 0"):
            server.tell(said)
        stays(lambda: logins(server) == 3)
        arrives(server, "News")  # after half a line
        wait_until(lambda: heard(post))
        server.tell(b"* 2 EXISTS\r\n")
        wait_until(lambda: post.subjects() == ["News"])


def test_a_flood_makes_few_runs(context: AppContext, post: Post, server: NastyImap) -> None:
    with working(context, pace=replace(QUICK, between_runs=3.0)):
        wait_until(lambda: heard(post) and server.idling)
        before = logins(server)
        server.put(letter("One"))
        for burst in range(20):
            server.tell(b"".join(b"* %d EXISTS\r\n* 5 RECENT\r\n" % (burst * 500 + n) for n in range(1, 500)))
        wait_until(lambda: post.subjects() == ["One"])
        server.tell(b"* 20000 EXISTS\r\n")
        stays(lambda: logins(server) == before + 1)
        wait_until(lambda: logins(server) == before + 2)
        stays(lambda: logins(server) == before + 2)
    assert post.subjects() == ["One"]


def test_a_line_that_never_ends_talking_is_ended(context: AppContext, post: Post, server: NastyImap) -> None:
    with working(context, pace=replace(QUICK, most_drops=1)):
        wait_until(lambda: heard(post) and server.idling)
        with suppress(OSError):  # the line is cut while we talk
            for _ in range(200):
                server.tell(b"* OK " + b"x" * 60_000 + b"\r\n")
        wait_until(lambda: row(post).not_before is not None)
    assert_untouched(post)


def test_a_server_that_drops_lines_is_forgiven(context: AppContext, post: Post, server: NastyImap) -> None:
    """Yandex does it at random. It is no failure of the mailbox."""
    with working(context):
        for number in range(4):
            wait_until(lambda: heard(post) and server.idling)
            server.tell(CUT if number % 2 else b"* BYE Autologout\r\n" + CUT)
            wait_until(lambda: not heard(post))
        wait_until(lambda: heard(post) and server.idling)
        arrives(server, "After all that")
        wait_until(lambda: post.subjects() == ["After all that"])
    assert (post.mailbox.state, post.mailbox.failures, post.notice_events()) == ("active", 0, [])


def test_after_many_drops_it_is_left_alone_for_hours(context: AppContext, post: Post, server: NastyImap) -> None:
    server.script = lambda server, tag, command: b"+ idling\r\n" + CUT if command == b"IDLE" else None
    before = logins(server)
    with working(context, pace=replace(QUICK, most_drops=4)):
        wait_until(lambda: left_alone(post))
        stays(lambda: logins(server) == before + 4)
    assert_untouched(post)
    server.script = lambda server, tag, command: None
    server.put(letter("By the poll"))
    assert post.sync() == 1


@pytest.mark.parametrize(
    "answer",
    [b"%s NO not for you\r\n", b"%s BAD Unknown command\r\n", b"* BYE [UNAVAILABLE] Too many connections\r\n" + CUT],
    ids=["no", "bad", "too many"],
)
def test_a_server_that_refuses_is_asked_once(context: AppContext, post: Post, server: NastyImap, answer: bytes) -> None:
    server.script = lambda server, tag, command: answer.replace(b"%s", tag) if command == b"IDLE" else None
    with working(context):
        wait_until(lambda: left_alone(post))
        stays(lambda: len(server.said(rb"^IDLE")) == 1, 0.5)
    assert_untouched(post)


def test_a_server_that_refuses_a_second_line_is_left_alone(context: AppContext, post: Post, server: NastyImap) -> None:
    refusal = b" NO [LIMIT] Too many simultaneous connections\r\n"
    server.script = lambda server, tag, command: tag + refusal if command.startswith(b"AUTHENTICATE") else None
    before = logins(server)
    with working(context):
        wait_until(lambda: left_alone(post))
        stays(lambda: logins(server) == before + 1, 0.5)
    assert_untouched(post)


def test_where_runs_are_throttled_the_listener_gives_way(context: AppContext, post: Post, server: NastyImap) -> None:
    with working(context):
        wait_until(lambda: heard(post) and server.idling)
        post.change(state="throttled")
        wait_until(lambda: left_alone(post) and not server.idling)


def test_a_dead_line_is_noticed(context: AppContext, post: Post, server: NastyImap) -> None:
    """Nobody answers DONE: a router has forgotten the line."""
    dead = [True]
    server.script = lambda server, tag, command: b"" if command == b"DONE" and dead[0] else None
    before = logins(server)
    with working(context, pace=replace(QUICK, renew=0.3, answer=0.5)):
        wait_until(lambda: logins(server) >= before + 2)
        dead[0] = False
        wait_until(lambda: heard(post) and len(server.said(rb"^IDLE")) > 6)
        arrives(server, "Alive")
        wait_until(lambda: post.subjects() == ["Alive"])
    assert (post.mailbox.state, post.mailbox.failures) == ("active", 0)
