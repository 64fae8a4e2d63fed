"""Push: what a browser is handed through its push service, once, and to nobody who should not hear."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, delete, select, update

from tests.fixtures.contexts import People
from tests.servers import PushService, SmtpSink, push_service
from tracker.commands.keys import _reseal
from tracker.models import Notification, PushDelivery, PushKey, PushSubscription, User, UserSession
from tracker.notifications.notify import correct, mark_all_read, notify
from tracker.notifications.push import NewPushSubscription, browser_of, push_key, subscribe
from tracker.notifications.push_encryption import (
    PushTarget,
    encrypt,
    from_base64url,
    key_from_number,
    number_of,
    point_of,
    to_base64url,
)
from tracker.outbound.push_queue import push_to_browser, subscriptions_due
from tracker.privacy.erase import erase
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.keyring import Keyring, new_token, token_digest
from tracker.runtime.localized_text import ActionError, LocalizedText


def test_a_message_is_encrypted_as_the_example_of_rfc_8291_has_it() -> None:
    browser = PushTarget(
        "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
    )
    key = key_from_number(from_base64url("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
    body = encrypt(b"When I grow up, I want to be a watermelon", browser, key, from_base64url("DGv6ra1nlYgDCS1FRnbzlw"))
    assert to_base64url(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3"
        "jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


class World:
    """Alice with one browser."""

    def __init__(self, context: AppContext, people: People, service: PushService) -> None:
        self.context, self.people, self.service = context, people, service
        self.alice = people.user("Alice")
        self.subscription = self.subscribe(self.alice, service)

    def subscribe(self, user: User, service: PushService) -> PushSubscription:
        with self.context.database.session_scope() as session:
            sign_in = UserSession(user_id=user.id or 0, token_digest=new_token(), expires_at=now() + timedelta(days=1))
            session.add(sign_in)
            session.flush()
            return subscribe(session, self.context, user, sign_in, NewPushSubscription(**service.keys))

    def ring(
        self, subject: str = "problem:1", kind: str = "problem", words: str = "The account is broken", **facts: Any
    ) -> str:
        with self.context.database.session_scope() as session:
            detail = LocalizedText(words)
            return notify(session, self.alice.id or 0, subject, kind, now(), detail=detail, **facts).public_id

    def work(self) -> int:
        """What the worker's task does once. Returns how many messages were tried."""
        with self.context.database.reading() as session:
            due = subscriptions_due(session, now())
        return sum(push_to_browser(self.context, each.account_id, Shutdown()) for each in due)

    def change(self, model: type[Any], **values: object) -> None:
        with self.context.database.session_scope() as session:
            session.execute(update(model).values(**values))

    def count(self, model: type[Any]) -> int:
        with self.context.database.reading() as session:
            return len(session.exec(select(model)).all())


@pytest.fixture
def world(context: AppContext, people: People) -> Iterator[World]:
    with push_service() as service:
        yield World(context, people, service)


def test_news_reach_the_browser_once_encrypted_and_signed(world: World) -> None:
    line = world.ring()
    assert world.work() == 1
    (message,) = world.service.messages
    assert (message["id"], message["kind"], message["text"]) == (line, "problem", "The account is broken")
    assert message["page"] == "/settings/accounts"
    headers, body = world.service.requests[0]
    assert b"account" not in body
    assert (headers["content-encoding"], headers["ttl"], headers["topic"]) == ("aes128gcm", "86400", line)
    claims, key = world.service.claims()
    assert claims["aud"] == world.service.url.removesuffix("/push/a-browser")
    assert 0 < claims["exp"] - now().timestamp() < 86400
    assert claims["sub"].startswith(("mailto:", "https:"))
    with world.context.database.session_scope() as session:
        assert key == to_base64url(point_of(push_key(session, world.context)))
    assert (world.work(), world.count(PushDelivery)) == (0, 0)


def test_a_push_opens_the_message_it_tells_of(world: World, smtp_sink: SmtpSink) -> None:
    world.people.account(world.alice, smtp_sink)
    message = world.people.send(world.alice, "luc@other.example")
    world.ring("message:1", "follow_up", message_id=message.id)
    world.work()
    (pushed,) = world.service.messages
    assert pushed["page"] == f"/mail/{message.public_id}"
    assert "luc@other.example" in pushed["text"]


@pytest.mark.parametrize("status", [429, 500, 503, 408])
def test_a_service_in_trouble_is_tried_again_later(world: World, status: int) -> None:
    world.service.statuses, world.service.headers = [status, 201], {"retry-after": "120"}
    world.ring()
    assert world.work() == 1
    assert world.work() == 0, "not at once"
    with world.context.database.reading() as session:
        row = session.exec(select(PushDelivery)).one()
        assert row.due_at >= now() + timedelta(seconds=100)
    world.change(PushDelivery, due_at=now())
    assert world.work() == 1
    assert len(world.service.requests) == 2
    assert world.count(PushDelivery) == 0


def test_nobody_is_tried_for_longer_than_a_day(world: World) -> None:
    world.service.statuses = [503]
    world.ring()
    world.change(PushSubscription, failing_since=now() - timedelta(hours=25))
    world.work()
    assert (world.count(PushDelivery), world.count(PushSubscription)) == (0, 1)


@pytest.mark.parametrize(("status", "browsers"), [(404, 0), (410, 0), (400, 1), (413, 1), (403, 1), (301, 1)])
def test_a_browser_that_is_gone_is_forgotten_and_a_refused_message_is_dropped(
    world: World, status: int, browsers: int
) -> None:
    world.service.statuses = [status]
    world.ring()
    assert world.work() == 1
    assert (world.count(PushSubscription), world.count(PushDelivery)) == (browsers, 0)


def test_newer_news_of_a_line_replace_what_is_on_its_way(world: World) -> None:
    world.ring(words="Once")
    world.ring(words="Twice")
    assert world.work() == 1
    assert [message["text"] for message in world.service.messages] == ["Twice"]
    world.ring(words="Three times")
    assert world.work() == 1, "what comes after is new"


def test_only_what_rings_is_pushed(world: World) -> None:
    world.change(User, quiet_kinds=["trouble"])
    world.ring()
    assert world.count(PushDelivery) == 0
    world.change(User, quiet_kinds=[])
    world.ring("problem:2")
    with world.context.database.session_scope() as session:
        mark_all_read(session, session.get_one(User, world.alice.id))
    assert world.work() == 0, "it was read meanwhile"
    world.ring("problem:3", "open")
    with world.context.database.session_scope() as session:
        correct(session, world.alice.id or 0, "problem:3", kind="corrected")
    assert world.work() == 0, "it was taken back meanwhile"
    assert (world.service.requests, world.count(PushDelivery)) == ([], 0)


def test_what_quiet_hours_hold_is_pushed_at_their_end_all_at_once(world: World) -> None:
    world.change(User, quiet_from=0, quiet_until=1439, timezone="UTC")
    world.ring("problem:1")
    world.ring("problem:2")
    with world.context.database.reading() as session:
        held = [line.held_until for line in session.exec(select(Notification))]
        assert [row.due_at for row in session.exec(select(PushDelivery))] == held
    if held[0] is None:
        pytest.skip("it is the one minute of the day that is not quiet")
    assert world.work() == 0
    past = now() - timedelta(minutes=1)
    world.change(Notification, held_until=past)
    world.change(PushDelivery, due_at=past)
    assert world.work() == 1
    (message,) = world.service.messages
    assert (message["text"], message["page"]) == ("While it was quiet: 2 things happened", "/notifications")
    assert world.count(PushDelivery) == 0


@pytest.mark.parametrize("end", ["signed out", "sign-in over", "switched off"])
def test_whoever_may_not_come_in_hears_nothing(world: World, end: str) -> None:
    world.ring()
    if end == "signed out":
        with world.context.database.session_scope() as session:
            session.exec(delete(UserSession))
        assert world.count(PushSubscription) == 0
    elif end == "sign-in over":
        world.change(UserSession, expires_at=now())
    else:
        world.change(User, active=False)
    assert (world.work(), world.service.requests, world.count(PushDelivery)) == (0, [], 0)


def test_each_hears_their_own_news_in_each_browser_and_in_their_language(world: World) -> None:
    with push_service() as second, push_service() as bobs:
        world.subscribe(world.alice, second)
        world.subscribe(world.people.user("Bob"), bobs)
        world.change(User, locale="ru", quiet_from=None)
        world.ring("delivery:1", "problem", "A byte of this row cannot be read.")
        assert world.work() == 2
        assert world.service.messages == second.messages
        assert second.messages[0]["text"] == "В этой строке есть нечитаемый символ."
        assert bobs.requests == []


def test_one_browser_is_subscribed_once_by_whoever_signed_in_last(world: World) -> None:
    bob = world.people.user("Bob")
    world.subscribe(bob, world.service)
    with world.context.database.reading() as session:
        (row,) = session.exec(select(PushSubscription)).all()
        assert row.user_id == bob.id
        assert world.service.url.encode() not in row.sealed
        assert browser_of(world.context, row).endpoint == world.service.url


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"endpoint": "http://10.0.0.1/push"}, "url"),
        ({"endpoint": "http://169.254.169.254/latest"}, "url"),
        ({"endpoint": "ftp://127.0.0.1/push"}, "url"),
        ({"endpoint": "nonsense"}, "url"),
        ({"p256dh": "AAAA"}, "p256dh"),
        ({"p256dh": "B" + "A" * 86}, "p256dh"),
        ({"p256dh": "é" * 20}, "p256dh"),
        ({"auth": "AAAA"}, "p256dh"),
        ({"auth": "%%%%"}, "p256dh"),
    ],
)
def test_what_is_no_browser_of_the_open_net_is_refused(world: World, change: dict[str, str], field: str) -> None:
    new = NewPushSubscription(**{**world.service.keys, **change})
    with world.context.database.session_scope() as session:
        sign_in = session.exec(select(UserSession)).one()
        with pytest.raises(ActionError) as refused:
            subscribe(session, world.context, world.alice, sign_in, new)
    assert refused.value.field == field


def test_a_name_that_leads_into_a_private_network_later_is_not_asked(world: World) -> None:
    object.__setattr__(world.context.settings, "allow_private_hosts", ())
    world.ring()
    assert world.work() == 1
    assert world.service.requests == []
    assert world.count(PushDelivery) == 1


def test_erasing_a_person_takes_what_is_on_its_way_about_them(world: World, smtp_sink: SmtpSink) -> None:
    world.people.account(world.alice, smtp_sink)
    message = world.people.send(world.alice, "luc@other.example")
    world.ring("message:1", "follow_up", message_id=message.id)
    assert world.count(PushDelivery) == 1
    erase(world.context, "luc@other.example", f"user:{world.alice.id}")
    assert (world.work(), world.service.requests) == (0, [])


def test_keys_that_change_take_the_subscriptions_with_them(world: World) -> None:
    with world.context.database.session_scope() as session:
        number = number_of(push_key(session, world.context))
    old, new = world.context.keyring, Keyring(("new-0123456789-abcdefghijklmnopqrstuvwxyz",))
    _done, left = _reseal(world.context, new)
    assert left == 0
    object.__setattr__(world.context, "keyring", new)
    world.ring()
    assert world.work() == 1
    with world.context.database.session_scope() as session:
        assert number_of(push_key(session, world.context)) == number
    object.__setattr__(world.context, "keyring", old)
    with world.context.database.session_scope() as session:
        assert number_of(push_key(session, world.context)) != number, "what nothing opens is made anew"
    assert (world.count(PushSubscription), world.count(PushKey)) == (0, 1)


def test_no_more_than_twenty_browsers_of_one_person_are_kept(world: World) -> None:
    url = world.service.url
    for number in range(25):
        world.service.url = f"{url}{number}"
        world.subscribe(world.alice, world.service)
    assert world.count(PushSubscription) == 20
    with world.context.database.reading() as session:
        newest = session.exec(select(PushSubscription).order_by(col(PushSubscription.id).desc())).first()
        assert newest is not None
        assert newest.endpoint_digest == token_digest(world.service.url)
