"""Listening (RFC 2177): a letter is noticed when the server says so; and whatever it does to us, the poll goes on as before."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.houses import People, opened_house
from tests.inbound.mail_world import SECRET, Post, checked, credential_of, fresh_address, letter, mailbox_on
from tests.servers import Dovecot, wait_until
from tests.servers_nasty import CUT, NastyImap, nasty_imap
from tests.test_worker import worker_process
from tracker.db import now
from tracker.house import House
from tracker.inbound.accept import accept_all
from tracker.inbound.credentials import change_credential, make_credential
from tracker.inbound.fetching import Mailboxes
from tracker.inbound.listener import Listener, Pace
from tracker.inbound.listening import is_heard, want_run
from tracker.inbound.mailboxes import change_mailbox, connect_mailbox, credential_changed, remove_mailbox
from tracker.models import Mailbox, MailboxListening
from tracker.worker import Task, Worker

QUICK = Pace(
    round=0.05, look=0.1, lease=0.3, gather=0.2, between_runs=0.5, between_logins=0.0, pause=0.05, longest_pause=0.1
)  # fmt: skip
IDLING = "IMAP4rev1 UIDPLUS ID AUTH=PLAIN IDLE"


@contextmanager
def working(house: House, name: str = "test:1", pace: Pace = QUICK, most: int = 100) -> Iterator[None]:
    runs, listener = Mailboxes(name, accept_all), Listener(name, most, pace)
    worker = Worker(house, [Task("runs", runs, 0.1, runs.end), Task("new mail", listener, 0.1, listener.end)])
    worker.start()
    try:
        yield
    finally:
        worker.stop()


@pytest.fixture
def server() -> Iterator[NastyImap]:
    with nasty_imap(capabilities=IDLING) as server:
        yield server


@pytest.fixture
def post(house: House, people: People, server: NastyImap) -> Post:
    """A mailbox that has been read, and is not due for ten minutes."""
    return read_once(mailbox_on(house, people.user(), server, fresh_address()))


def read_once(post: Post) -> Post:
    assert checked(post) == "active"
    post.sync()
    assert post.mailbox.due_at is not None
    assert post.mailbox.due_at > now() + timedelta(minutes=9)
    return post


def row(post: Post) -> MailboxListening:
    (found,) = (row for row in post.rows(MailboxListening) if row.mailbox_id == post.mailbox_id)
    return found


def heard(post: Post) -> bool:
    with post.house.database.reading() as session:
        return is_heard(session, post.mailbox)


def arrives(server: NastyImap, subject: str) -> None:
    server.put(letter(subject))
    server.tell(b"* %d EXISTS\r\n" % len(server.letters))


def logins(server: NastyImap) -> int:
    return len(server.said(rb"^(LOGIN|AUTHENTICATE)"))


def stays(is_so: Callable[[], bool], seconds: float = 1.0) -> None:
    """It is so, and goes on being so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert is_so()
        time.sleep(0.02)


def test_a_letter_shows_within_seconds(house: House, people: People, dovecot: Dovecot) -> None:
    """The whole worker, at its own pace; the next run is planned in ten minutes."""
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    post = read_once(mailbox_on(house, people.user(), dovecot, address))
    worker = Worker(house)
    worker.start()
    try:
        wait_until(lambda: heard(post), 30)
        dovecot.append(address, letter("At once"), received_at=now())
        wait_until(lambda: post.subjects() == ["At once"], 10)
    finally:
        worker.stop()
    assert not heard(post)
    assert [flags - {"\\Recent"} for flags in dovecot.flags(address).values()] == [set()]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_it_listens_over_tls(tmp_path: Path, dovecot: Dovecot, security: str) -> None:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    port = dovecot.imaps_port if security == "tls" else dovecot.imap_port
    with opened_house(tmp_path, CA_FILE=str(dovecot.ca_file)) as house:
        user = People(house).user()
        assert user.id is not None
        with house.database.session_scope() as session:
            facts = {"host": "localhost", "port": port, "security": security, "login": address}
            credential = make_credential(session, house, user.id, SECRET, **facts)
            mailbox = connect_mailbox(session, user.id, credential)
        assert mailbox.id is not None
        post = read_once(Post(house, user, mailbox.id, address))
        with working(house, pace=replace(QUICK, renew=0.3)):
            wait_until(lambda: heard(post))
            time.sleep(1)  # some IDLEs
            dovecot.append(address, letter("Safe"), received_at=now())
            wait_until(lambda: post.subjects() == ["Safe"], 10)
        assert post.mailbox.failures == 0


def test_it_opens_read_only_and_loads_nothing(house: House, post: Post, server: NastyImap) -> None:
    before = len(server.commands)
    with working(house):
        wait_until(lambda: heard(post))
    said = [command.split()[0] for command in server.commands[before:]]
    assert [word for word in said if word not in (b"CAPABILITY", b"ID")] == [
        *(b"AUTHENTICATE", b"EXAMINE", b"IDLE", b"DONE", b"LOGOUT")
    ]


def test_what_came_while_nobody_listened_is_noticed(house: House, post: Post, server: NastyImap) -> None:
    server.put(letter("Before"))
    with working(house):
        wait_until(lambda: post.subjects() == ["Before"], 10)
        wait_until(lambda: heard(post) and server.idling)
        server.put(letter("Meanwhile"))
        server.tell(CUT)
        wait_until(lambda: post.subjects() == ["Before", "Meanwhile"], 10)


def test_news_before_the_server_idles(house: House, post: Post, server: NastyImap) -> None:
    def script(server: NastyImap, _tag: bytes, command: bytes) -> bytes | None:
        if command != b"IDLE" or server.letters:
            return None
        server.put(letter("Early"))
        return b"* 1 EXISTS\r\n+ idling\r\n"

    server.script = script
    with working(house):
        wait_until(lambda: post.subjects() == ["Early"], 10)


def test_chatter_is_no_news(house: House, post: Post, server: NastyImap) -> None:
    with working(house):
        wait_until(lambda: heard(post) and server.idling)
        for said in (b"* OK Still here\r\n", b"* 1 FETCH (FLAGS (\\Seen))\r\n", b"* 0 EXISTS\r\n", b"\xff\r\n", b"* 0"):
            server.tell(said)
        stays(lambda: logins(server) == 3)
        arrives(server, "News")  # after half a line
        wait_until(lambda: heard(post))
        server.tell(b"* 2 EXISTS\r\n")
        wait_until(lambda: post.subjects() == ["News"], 10)


def test_a_flood_makes_few_runs(house: House, post: Post, server: NastyImap) -> None:
    with working(house, pace=replace(QUICK, between_runs=3.0)):
        wait_until(lambda: heard(post) and server.idling)
        before = logins(server)
        server.put(letter("One"))
        for burst in range(20):
            server.tell(b"".join(b"* %d EXISTS\r\n* 5 RECENT\r\n" % (burst * 500 + n) for n in range(1, 500)))
        wait_until(lambda: post.subjects() == ["One"], 10)
        server.tell(b"* 20000 EXISTS\r\n")
        stays(lambda: logins(server) == before + 1)
        wait_until(lambda: logins(server) == before + 2, 10)
        stays(lambda: logins(server) == before + 2)
    assert post.subjects() == ["One"]


def test_a_line_that_never_ends_talking_is_ended(house: House, post: Post, server: NastyImap) -> None:
    with working(house, pace=replace(QUICK, most_drops=1)):
        wait_until(lambda: heard(post) and server.idling)
        with suppress(OSError):  # the line is cut while we talk
            for _ in range(200):
                server.tell(b"* OK " + b"x" * 60_000 + b"\r\n")
        wait_until(lambda: row(post).not_before is not None)
    assert_untouched(post)


def test_a_server_that_drops_lines_is_forgiven(house: House, post: Post, server: NastyImap) -> None:
    """Yandex does it at random. It is no failure of the mailbox."""
    with working(house):
        for number in range(4):
            wait_until(lambda: heard(post) and server.idling, 10)
            server.tell(CUT if number % 2 else b"* BYE Autologout\r\n" + CUT)
            wait_until(lambda: not heard(post), 10)
        wait_until(lambda: heard(post) and server.idling, 10)
        arrives(server, "After all that")
        wait_until(lambda: post.subjects() == ["After all that"], 10)
    assert (post.mailbox.state, post.mailbox.failures, post.told()) == ("active", 0, [])


def assert_untouched(post: Post) -> None:
    mailbox = post.mailbox
    assert (mailbox.state, mailbox.failures, mailbox.login_failures, mailbox.sync_wanted) == ("active", 0, 0, False)
    assert mailbox.due_at is not None
    assert mailbox.due_at > now() + timedelta(minutes=8)
    assert post.told() == []


def left_alone(post: Post) -> bool:
    soon = now() + timedelta(hours=5)
    rows = [row for row in post.rows(MailboxListening) if row.mailbox_id == post.mailbox_id]
    return any(row.owner is None and row.not_before is not None and row.not_before > soon for row in rows)


def test_after_many_drops_it_is_left_alone_for_hours(house: House, post: Post, server: NastyImap) -> None:
    server.script = lambda server, tag, command: b"+ idling\r\n" + CUT if command == b"IDLE" else None
    before = logins(server)
    with working(house, pace=replace(QUICK, most_drops=4)):
        wait_until(lambda: left_alone(post), 20)
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
def test_a_server_that_refuses_is_asked_once(house: House, post: Post, server: NastyImap, answer: bytes) -> None:
    server.script = lambda server, tag, command: answer.replace(b"%s", tag) if command == b"IDLE" else None
    with working(house):
        wait_until(lambda: left_alone(post), 10)
        stays(lambda: len(server.said(rb"^IDLE")) == 1, 0.5)
    assert_untouched(post)


def test_a_server_that_refuses_a_second_line_is_left_alone(house: House, post: Post, server: NastyImap) -> None:
    refusal = b" NO [LIMIT] Too many simultaneous connections\r\n"
    server.script = lambda server, tag, command: tag + refusal if command.startswith(b"AUTHENTICATE") else None
    before = logins(server)
    with working(house):
        wait_until(lambda: left_alone(post), 10)
        stays(lambda: logins(server) == before + 1, 0.5)
    assert_untouched(post)


def test_where_runs_are_throttled_the_listener_gives_way(house: House, post: Post, server: NastyImap) -> None:
    with working(house):
        wait_until(lambda: heard(post) and server.idling)
        post.change(state="throttled")
        wait_until(lambda: left_alone(post) and not server.idling)


def test_a_dead_line_is_noticed(house: House, post: Post, server: NastyImap) -> None:
    """Nobody answers DONE: a router has forgotten the line."""
    dead = [True]
    server.script = lambda server, tag, command: b"" if command == b"DONE" and dead[0] else None
    before = logins(server)
    with working(house, pace=replace(QUICK, renew=0.3, answer=0.5)):
        wait_until(lambda: logins(server) >= before + 2, 10)
        dead[0] = False
        wait_until(lambda: heard(post) and len(server.said(rb"^IDLE")) > 6, 10)
        arrives(server, "Alive")
        wait_until(lambda: post.subjects() == ["Alive"], 10)
    assert (post.mailbox.state, post.mailbox.failures) == ("active", 0)


def test_two_workers_one_listener(house: House, post: Post, server: NastyImap) -> None:
    with working(house, "test:2"):
        with working(house, "test:1"):
            wait_until(lambda: heard(post) and server.idling)
            stays(lambda: len(server.idling) <= 1)
            first = row(post).owner
        # One of them has gone, politely.
        wait_until(lambda: heard(post) and server.idling, 5)
        assert row(post).owner == "test:2"
        assert first in ("test:1", "test:2")
    assert (row(post).owner, row(post).until) == (None, None)


def held_by(owner: str, post: Post, seconds: float) -> MailboxListening:
    until = now() + timedelta(seconds=seconds)
    return MailboxListening(mailbox_id=post.mailbox_id, owner=owner, since=now(), until=until)


def test_a_worker_elsewhere_is_followed_after_its_lease(house: House, post: Post, server: NastyImap) -> None:
    with house.database.session_scope() as session:
        session.add(held_by("elsewhere:1", post, seconds=2))
    with working(house):
        stays(lambda: not server.idling, 0.8)
        wait_until(lambda: row(post).owner == "test:1" and heard(post), 10)


def test_a_worker_that_lost_its_lease_leaves(house: House, post: Post, server: NastyImap) -> None:
    with working(house):
        wait_until(lambda: heard(post) and server.idling)
        with house.database.session_scope() as session:
            listened = session.get_one(MailboxListening, post.mailbox_id)
            listened.owner, listened.until = "elsewhere:1", now() + timedelta(minutes=1)
        wait_until(lambda: not server.idling)
        assert server.said(rb"^LOGOUT")
    assert row(post).owner == "elsewhere:1"


@pytest.mark.timeout(180)
def test_killed_while_listening_the_next_one_listens(house: House, post: Post, server: NastyImap) -> None:
    with worker_process(house) as process:
        wait_until(lambda: heard(post), 60)
        assert row(post).owner == f"{socket.gethostname()}:{process.pid}"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert heard(post), "nobody has said that it ended"
    with worker_process(house):
        wait_until(lambda: len(server.idling) == 1 and heard(post), 30)
        arrives(server, "Still heard")
        wait_until(lambda: post.subjects() == ["Still heard"], 20)


def test_other_pid_namespaces_do_not_hold_our_own_name(house: House, post: Post) -> None:
    """In a container that started again we have the number that we had before."""
    with house.database.session_scope() as session:
        session.add(held_by("test:1", post, seconds=300))
    with working(house):
        wait_until(lambda: heard(post))


def switch_off(post: Post) -> None:
    with post.house.database.session_scope() as session:
        change_mailbox(session, session.get_one(Mailbox, post.mailbox_id), credential_of(session, post), active=False)


def remove(post: Post) -> None:
    with post.house.database.session_scope() as session:
        remove_mailbox(session, session.get_one(Mailbox, post.mailbox_id))


def change_password(post: Post) -> None:
    with post.house.database.session_scope() as session:
        credential = credential_of(session, post)
        change_credential(session, post.house, credential, "another")
        credential_changed(session, credential)


def change_folders(post: Post) -> None:
    with post.house.database.session_scope() as session:
        mailbox = session.get_one(Mailbox, post.mailbox_id)
        change_mailbox(session, mailbox, credential_of(session, post), folders=["Sales"])


@pytest.mark.parametrize("change", [switch_off, remove, change_password, change_folders])
def test_changes_end_the_line(house: House, post: Post, server: NastyImap, change: Callable[[Post], None]) -> None:
    with working(house):
        wait_until(lambda: heard(post) and server.idling)
        (line,) = server.idling
        change(post)
        wait_until(lambda: line not in server.idling, 3)
        assert server.said(rb"^LOGOUT")
        if change is not change_password:  # then the mailbox is tested, and listened to again
            wait_until(lambda: not heard(post))


def test_it_listens_to_the_folder_that_is_read_now(house: House, post: Post, server: NastyImap) -> None:
    server.folders += (b'* LIST () "/" Sales\r\n',)
    with working(house):
        wait_until(lambda: heard(post) and server.idling)
        change_folders(post)
        wait_until(lambda: server.idled_in[-1] == b"Sales" and heard(post), 10)
        with house.database.session_scope() as session:
            mailbox = session.get_one(Mailbox, post.mailbox_id)
            change_mailbox(session, mailbox, credential_of(session, post), folders=["Sales", "Inbox"])
        wait_until(lambda: server.idled_in[-1] == b"INBOX" and heard(post), 10)


def test_a_server_without_idle_is_never_asked(house: House, people: People) -> None:
    with nasty_imap() as server:
        post = read_once(mailbox_on(house, people.user(), server, fresh_address()))
        before = server.lines
        with working(house):
            stays(lambda: server.lines == before)
            assert post.rows(MailboxListening) == []
            post.change(capabilities=["IDLE", "IMAP4REV1"])  # it had it once
            wait_until(lambda: left_alone(post), 10)
        assert server.said(rb"^IDLE") == []
    assert_untouched(post)


def test_a_refused_sign_in_is_not_tried_again(house: House, post: Post, server: NastyImap) -> None:
    """The password was changed at the provider, which may lock the account of whoever tries on."""
    with working(house, pace=replace(QUICK, refused_rest=0.1)):
        wait_until(lambda: heard(post) and server.idling)
        refuse = b" NO [AUTHENTICATIONFAILED] Invalid credentials\r\n"
        server.script = lambda server, tag, command: tag + refuse if command.startswith(b"AUTHENTICATE") else None
        before = logins(server)
        server.tell(CUT)
        wait_until(lambda: row(post).refused_at is not None)
        stays(lambda: logins(server) == before + 1)
        assert_untouched(post)
        server.script = lambda server, tag, command: None
        stays(lambda: logins(server) == before + 1, 0.5)
        post.change(due_at=now())  # an ordinary run finds that it works
        wait_until(lambda: heard(post), 10)
        assert row(post).refused_at is None
        assert logins(server) == before + 3


def test_no_more_than_the_operator_allows(house: House, people: People, post: Post, server: NastyImap) -> None:
    other = read_once(mailbox_on(house, people.user("Bob"), server, fresh_address()))
    with working(house, most=0):
        stays(lambda: not server.idling and post.rows(MailboxListening) == [], 0.5)
    with working(house, most=1):
        wait_until(lambda: heard(post) and server.idling)
        stays(lambda: len(server.idling) == 1, 0.5)
        switch_off(post)
        wait_until(lambda: heard(other), 5)


def test_pauses_of_runs_are_not_shortened(house: House, post: Post) -> None:
    later = now() + timedelta(minutes=5)
    for trouble in ({"failures": 1}, {"login_failures": 1}, {"state": "throttled"}, {"active": False}):
        post.change(due_at=later, **trouble)
        assert want_run(house, post.mailbox_id)
        assert (post.mailbox.due_at, post.mailbox.sync_wanted) == (later, False)
        post.change(failures=0, login_failures=0, state="active", active=True)
    post.change(lease_owner="a run", lease_until=later)
    assert not want_run(house, post.mailbox_id), "it is being read"
    assert (post.mailbox.due_at, post.mailbox.sync_wanted) == (later, False)
    post.change(lease_until=None)
    assert want_run(house, post.mailbox_id)
    assert post.mailbox.sync_wanted


def test_news_during_a_run_makes_another(house: House, post: Post, server: NastyImap) -> None:
    with working(house):
        wait_until(lambda: heard(post) and server.idling)
        post.change(lease_owner="a run", lease_until=now() + timedelta(seconds=1.5))
        arrives(server, "Just missed")
        stays(lambda: not post.subjects(), 0.8)
        wait_until(lambda: post.subjects() == ["Just missed"], 10)
