"""The feed as a program sees it: hints arrive, in order, once, to their own person, and none is missed after a gap."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
from sqlmodel import Session, col, delete, select

from tests.servers import wait_until
from tests.web.conftest import ClientOf
from tracker import users
from tracker.models import FeedItem, User, UserSession
from tracker.notifications.notify import announce, notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.notifications import feed


@dataclass(frozen=True)
class Heard:
    """One event as it came."""

    id: int
    event: str
    about: str


class StreamReader:
    """Reads a feed event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()
        assert next(self._lines) == f"retry: {feed.RETRY_MILLISECONDS}"
        next(self._lines)

    def next(self) -> Heard | None:
        """The next event; None for a heartbeat or the end."""
        fields = dict(line.split(": ", 1) for line in iter(lambda: next(self._lines, ""), ""))
        if "id" not in fields:
            return None
        data = json.loads(fields["data"])
        assert data["kind"] == fields["event"]
        return Heard(int(fields["id"]), fields["event"], data["id"])


@contextmanager
def listening(client: httpx.Client, path: str = "/feed", **headers: str) -> Iterator[StreamReader]:
    with client.stream("GET", path, headers=headers, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield StreamReader(answer)


def tell(context: AppContext, user: User, *subjects: str, kind: str = "message") -> list[int]:
    assert user.id is not None
    with context.database.session_scope() as session:
        for subject in subjects:
            announce(session, user.id, kind, subject)
        session.flush()
        query = select(FeedItem).where(col(FeedItem.subject).in_(subjects)).order_by(col(FeedItem.id))
        return [item.id or 0 for item in session.exec(query)]


def test_a_hint_reaches_the_open_page(client: httpx.Client, context: AppContext, alice: User) -> None:
    with listening(client) as connection:
        ids = tell(context, alice, "one", "two")
        assert [connection.next(), connection.next()] == [
            Heard(ids[0], "message", "one"),
            Heard(ids[1], "message", "two"),
        ]


def test_a_bell_line_is_announced(client: httpx.Client, context: AppContext, alice: User) -> None:
    assert alice.id is not None
    with listening(client) as connection:
        with context.database.session_scope() as session:
            line = notify(session, alice.id, "account:1", "problem", now(), detail="x")
        heard = connection.next()
    assert heard is not None
    assert (heard.event, heard.about) == ("notification", line.public_id)


def test_nobody_hears_what_is_anothers(client_of: ClientOf, context: AppContext, alice: User, bob: User) -> None:
    with listening(client_of(bob)) as connection:
        tell(context, alice, "secret")
        ids = tell(context, bob, "own")
        assert connection.next() == Heard(ids[0], "message", "own")


def test_after_a_gap_everything_missed_comes_first_and_once(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    with listening(client) as connection:
        tell(context, alice, "one")
        heard = connection.next()
        assert heard is not None
    tell(context, alice, "two", "three")
    with listening(client, **{"last-event-id": str(heard.id)}) as connection:
        assert [e.about for e in (connection.next(), connection.next()) if e] == ["two", "three"]
        tell(context, alice, "four")
        later = connection.next()
    assert later is not None
    assert later.about == "four"


def test_a_page_asks_from_what_it_already_shows(client: httpx.Client, context: AppContext, alice: User) -> None:
    shown = tell(context, alice, "shown")[0]
    assert f'data-feed-after="{shown}"' in client.get("/settings/profile").text
    tell(context, alice, "since")
    with listening(client, f"/feed?after={shown}") as connection:
        heard = connection.next()
    assert heard is not None
    assert heard.about == "since"


def test_more_than_a_batch_missed_is_still_all_of_it(
    client: httpx.Client, context: AppContext, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BATCH", 10)
    names = [f"m{number}" for number in range(35)]
    tell(context, alice, *names)
    with listening(client, "/feed?after=0") as connection:
        assert [heard.about for heard in (connection.next() for _ in names) if heard] == names


def test_a_number_that_was_committed_late_is_not_lost(client: httpx.Client, context: AppContext, alice: User) -> None:
    assert alice.id is not None
    tell(context, alice, *(f"m{number}" for number in range(5)))
    with context.database.session_scope() as session:
        early = session.exec(select(FeedItem).where(FeedItem.subject == "m2")).one()
        number = early.id
        session.delete(early)
    with listening(client) as connection:
        tell(context, alice, "newer")
        first = connection.next()
        with context.database.session_scope() as session:
            session.add(FeedItem(id=number, user_id=alice.id, kind="message", subject="late"))
        second = connection.next()
    assert first is not None
    assert second is not None
    assert (first.about, second.about) == ("newer", "late")
    assert second.id == first.id, "the number to resume from never goes back"


def test_a_listener_is_sent_away_after_a_while_and_hears_heartbeats(
    client: httpx.Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(feed, "STAY_SECONDS", 0.3)
    with client.stream("GET", "/feed", timeout=20) as answer:
        text = answer.read().decode()
    assert ": still here" in text


def test_a_visit_that_ended_hears_no_more(
    client: httpx.Client, context: AppContext, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BEAT_SECONDS", 0.1)
    with client.stream("GET", "/feed", timeout=20) as answer:
        with context.database.session_scope() as session:
            session.exec(delete(UserSession))
        assert answer.read()


def switch_off(session: Session, user: User) -> None:
    users.disable(session, session.get_one(User, user.id))


def change_password(session: Session, user: User) -> None:
    users.set_password(session, session.get_one(User, user.id), "another long one")


def sign_out(session: Session, user: User) -> None:
    users.end_sessions(session, user)


@pytest.mark.parametrize("leave", [switch_off, change_password, sign_out])
def test_whoever_may_no_longer_come_in_hears_no_more_at_once(
    client_of: ClientOf, context: AppContext, alice: User, bob: User, leave: Callable[[Session, User], None]
) -> None:
    with client_of(bob).stream("GET", "/feed", timeout=10) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry")
        with context.database.session_scope() as session:
            leave(session, bob)
        began = time.monotonic()
        tell(context, bob, "secret")
        rest = "".join(lines)
    assert time.monotonic() - began < 5
    assert "secret" not in rest


def test_a_revoked_token_hears_no_more_at_once(
    address: str, client_of: ClientOf, context: AppContext, alice: User, bob: User
) -> None:
    with context.database.session_scope() as session:
        row, token = users.add_token(session, session.get_one(User, bob.id), "CRM")
    headers = {"authorization": f"Bearer {token}"}
    with httpx.stream("GET", f"{address}/api/v1/feed", headers=headers, timeout=10) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry")
        with context.database.session_scope() as session:
            users.revoke_token(session, session.merge(row))
        began = time.monotonic()
        list(lines)
    assert time.monotonic() - began < 5


def test_others_stay(client_of: ClientOf, context: AppContext, alice: User, bob: User) -> None:
    with listening(client_of(bob)) as bobs:
        with context.database.session_scope() as session:
            users.end_sessions(session, alice)
        (number,) = tell(context, bob, "m1")
        assert bobs.next() == Heard(number, "message", "m1")


def test_of_two_who_come_at_once_one_begins_to_ask_the_database(context: AppContext) -> None:
    async def come_and_go() -> tuple[int, int]:
        broadcaster, before = feed.Broadcaster(context), asyncio.all_tasks()
        listeners = [feed.Listener(1, lambda: True) for _ in range(2)]
        await asyncio.gather(*map(broadcaster.join, listeners))
        asking = asyncio.all_tasks() - before
        for listener in listeners:
            broadcaster.leave(listener)
        _, asking_on = await asyncio.wait(asking, timeout=10)
        return len(asking), len(asking_on)

    assert asyncio.run(come_and_go()) == (1, 0), "and it ends when both have left"


def test_a_listener_that_cannot_keep_up_is_dropped(context: AppContext) -> None:
    slow = feed.Listener(1, lambda: True)
    for number in range(feed.QUEUE + 1):
        feed._enqueue(slow, FeedItem(id=number, user_id=1, kind="message", subject="x"))
    assert slow.dropped
    assert slow.queue.qsize() == feed.QUEUE


def test_one_person_cannot_take_all_the_lines(
    client: httpx.Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_LISTENERS", 1)
    with listening(client) as connection:
        assert client.get("/feed").status_code == 429
        assert connection is not None  # it is forgotten with its last mention

    def free() -> bool:
        with client.stream("GET", "/feed", timeout=20) as answer:
            return answer.status_code == 200

    assert wait_until(free)


def test_the_feed_is_for_signed_in_people(visitor: httpx.Client, alice: User) -> None:
    assert visitor.get("/feed", headers={"sec-fetch-dest": "empty"}).status_code == 401


@pytest.mark.parametrize("garbage", ["-1", "abc", "9" * 30, "1;drop", "１"])
def test_a_garbled_number_to_resume_from_means_from_now_on(
    client: httpx.Client, context: AppContext, alice: User, garbage: str
) -> None:
    tell(context, alice, "old")
    with listening(client, httpx.URL("/feed", params={"after": garbage}).__str__()) as connection:
        tell(context, alice, "new")
        heard = connection.next()
    assert heard is not None
    assert heard.about == "new"
