"""Webhooks out, to a real server on this machine: traps W1–W13."""

import hashlib
import hmac
import json
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlmodel import select

from tests.crm.shop_world import ShopWorld
from tracker.crm.customers import CustomerChange, create_customer, merge_customers, put_customer
from tracker.models import Customer, User, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tracker.notifications.webhooks import (
    EndpointChange,
    NewEndpoint,
    change_endpoint,
    check_url,
    create_endpoint,
    emit,
    replay,
    rotate_secret,
)
from tracker.outbound import webhook_queue
from tracker.outbound.account_pool import AccountPool
from tracker.outbound.webhook_queue import _retry_after, deliver_to_endpoint, endpoints_due
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.localized_text import ActionError


@dataclass
class Receiver:
    """A web server that remembers what it was told. ``answers`` are statuses, the last one for good."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"thank you"
    drips: bool = False
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    sent: int = 0


@contextmanager
def receiver() -> Iterator[Receiver]:
    endpoint = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            endpoint.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = endpoint.answers.pop(0) if len(endpoint.answers) > 1 else endpoint.answers[0]
            self.send_response(status)
            for name, value in endpoint.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for start in range(0, len(endpoint.body), 65536):
                    endpoint.sent += self.wfile.write(endpoint.body[start : start + 65536])
                while endpoint.drips:
                    self.wfile.write(b".")
                    time.sleep(0.05)
            except OSError:
                pass

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.drips = False
        server.shutdown()
        server.server_close()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as endpoint:
        yield endpoint


def connect(shop: ShopWorld, hook: Receiver, *kinds: Any) -> tuple[WebhookEndpoint, bytes]:
    with shop.context.database.session_scope() as session:
        wanted: list[Any] = [*kinds] or ["customer.created", "customer.assigned"]
        new = NewEndpoint(url=hook.url, kinds=wanted)
        endpoint, secret = create_endpoint(session, shop.context, session.get_one(User, shop.olga.id), new)
    return endpoint, b64decode(secret.removeprefix("whsec_"))


def deliver(shop: ShopWorld, endpoint: WebhookEndpoint) -> int:
    return deliver_to_endpoint(shop.context, endpoint.id, Shutdown())


def deliveries(shop: ShopWorld) -> list[WebhookDelivery]:
    with shop.context.database.reading() as session:
        return list(session.exec(select(WebhookDelivery)))


def stored(shop: ShopWorld, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    with shop.context.database.reading() as session:
        return session.get_one(WebhookEndpoint, endpoint.id)


def make_due(shop: ShopWorld, **facts: Any) -> None:
    with shop.context.database.session_scope() as session:
        for row in session.exec(select(WebhookDelivery)):
            row.due_at = now() - timedelta(seconds=1)
            for name, value in facts.items():
                setattr(row, name, value)
            session.add(row)


def signatures(secret: bytes, headers: dict[str, str], body: bytes) -> bool:
    """As the specification of Standard Webhooks has it, written anew."""
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    return f"v1,{expected}" in headers["webhook-signature"].split(" ")


def test_w1_the_signature_is_over_the_bytes_sent_and_the_time_is_utc(
    shop: ShopWorld, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Yekaterinburg")
    time.tzset()
    try:
        endpoint, secret = connect(shop, hook)
        shop.customer("ivan@client.example", name="Иван “Ё” 漢字")
        assert deliver(shop, endpoint) == 1
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    ((headers, body),) = hook.requests
    assert signatures(secret, headers, body)
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 30
    payload = json.loads(body)
    assert (payload["type"], payload["data"]["name"]) == ("customer.created", "Иван “Ё” 漢字")
    assert payload["timestamp"].endswith("Z")


def test_w3_a_retry_and_a_replay_have_the_same_id_and_body(shop: ShopWorld, hook: Receiver) -> None:
    endpoint, secret = connect(shop, hook)
    hook.answers = [500, 200]
    shop.customer("ivan@client.example")
    assert deliver(shop, endpoint) == 1
    make_due(shop)
    assert deliver(shop, endpoint) == 1
    with shop.context.database.session_scope() as session:
        assert replay(session, session.get_one(WebhookEndpoint, endpoint.id), since=now() - timedelta(hours=1)) == 1
    assert deliver(shop, endpoint) == 1
    assert len({(headers["webhook-id"], body) for headers, body in hook.requests}) == 1
    assert len(hook.requests) == 3
    assert all(signatures(secret, headers, body) for headers, body in hook.requests)


@pytest.mark.parametrize(
    "url",
    [
        "http://[::ffff:10.0.0.1]/x", "http://100.64.0.1/x", "http://10.1.2.3/", "http://192.168.0.1:8080/", "http://[fe80::1]/",
        "ftp://example.com/", "https://", "javascript:alert(1)", "http://user:pass@example.com/", "http://169.254.169.254/latest",
    ],
)  # fmt: skip
def test_w4_private_hosts_and_what_is_no_web_address_are_refused_when_saved(shop: ShopWorld, url: str) -> None:
    with pytest.raises(ActionError) as refusal:
        check_url(shop.context, url)
    assert refusal.value.field == "url"


def test_w4_a_redirect_is_not_followed_and_a_name_is_judged_at_each_attempt(shop: ShopWorld, hook: Receiver) -> None:
    endpoint, _secret = connect(shop, hook)
    hook.answers, hook.headers = [307], {"Location": "http://10.0.0.1/"}
    shop.customer("ivan@client.example")
    deliver(shop, endpoint)
    with shop.context.database.session_scope() as session:
        session.get_one(WebhookEndpoint, endpoint.id).url = "http://10.0.0.1/"  # the name leads elsewhere now
    make_due(shop)
    deliver(shop, endpoint)
    with shop.context.database.reading() as session:
        attempts = session.exec(select(WebhookAttempt)).all()
    assert [attempt.status for attempt in attempts] == [307, None]
    assert len(hook.requests) == 1


def test_w5_an_endpoint_that_drips_delays_no_other(
    shop: ShopWorld, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_queue, "ANSWER_SECONDS", 4)
    with receiver() as slow:
        slow.drips, slow.body = True, b""
        connect(shop, slow)
        connect(shop, hook)
        for number in range(5):
            shop.customer(f"c{number}@client.example")
        pool = AccountPool(endpoints_due, deliver_to_endpoint)
        started = time.monotonic()
        pool(shop.context)
        while len(hook.requests) < 5 and time.monotonic() - started < 20:
            time.sleep(0.02)
        assert len(hook.requests) == 5
        assert "timeout" not in problems(shop), "nobody waits for the slow one"
        pool.end(shop.context, 20)
    assert "timeout" in problems(shop)


def problems(shop: ShopWorld) -> set[str]:
    with shop.context.database.reading() as session:
        return {attempt.problem for attempt in session.exec(select(WebhookAttempt))}


def test_w6_of_a_long_answer_little_is_read(shop: ShopWorld, hook: Receiver) -> None:
    endpoint, _secret = connect(shop, hook)
    hook.body = b"x" * (64 * 1024 * 1024)
    shop.customer("ivan@client.example")
    deliver(shop, endpoint)
    assert [delivery.delivered_at is not None for delivery in deliveries(shop)] == [True]
    assert hook.sent < 16 * 1024 * 1024, "the connection was closed"


def test_w7_a_refusal_is_tried_again_gone_is_off_at_once_and_three_days_of_failures_are_off(
    shop: ShopWorld, hook: Receiver
) -> None:
    endpoint, _secret = connect(shop, hook)
    hook.answers = [401]
    shop.customer("ivan@client.example")
    deliver(shop, endpoint)
    assert stored(shop, endpoint).active
    with shop.context.database.session_scope() as session:
        session.get_one(WebhookEndpoint, endpoint.id).failing_since = now() - timedelta(days=3, minutes=1)
    make_due(shop, first_try_at=now() - timedelta(days=3, minutes=1))
    deliver(shop, endpoint)
    assert not stored(shop, endpoint).active
    assert [delivery.due_at for delivery in deliveries(shop)] == [None]
    assert shop.bell(shop.olga) == ["problem"]
    with shop.context.database.session_scope() as session:
        row = session.get_one(WebhookEndpoint, endpoint.id)
        change_endpoint(session, shop.context, row, EndpointChange(active=True))
    hook.answers = [410]
    shop.customer("next@client.example")
    deliver(shop, endpoint)
    assert not stored(shop, endpoint).active


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("3600", 3600),
        ("999999999999", 86400),
        ("soon", None),
        ("²", None),
        ("9" * 5000, None),
        ("-5", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_w8_what_retry_after_says_is_kept_to_a_day(words: str, seconds: int | None) -> None:
    assert _retry_after(words) == (None if seconds is None else timedelta(seconds=seconds))


def test_w8_not_sooner_than_asked_for(shop: ShopWorld, hook: Receiver) -> None:
    endpoint, _secret = connect(shop, hook)
    hook.answers, hook.headers = [429], {"Retry-After": "3600"}
    shop.customer("ivan@client.example")
    deliver(shop, endpoint)
    (delivery,) = deliveries(shop)
    assert delivery.due_at is not None
    assert delivery.due_at > now() + timedelta(seconds=3500)


def test_w9_nothing_is_sent_to_an_endpoint_that_was_deleted(shop: ShopWorld, hook: Receiver) -> None:
    endpoint, _secret = connect(shop, hook)
    for number in range(50):
        shop.customer(f"c{number}@client.example")
    with shop.context.database.session_scope() as session:
        session.delete(session.get_one(WebhookEndpoint, endpoint.id))
    assert deliver(shop, endpoint) == 0
    assert (hook.requests, deliveries(shop)) == ([], [])


def test_w10_a_change_that_is_rolled_back_is_told_of_to_nobody(shop: ShopWorld, hook: Receiver) -> None:
    connect(shop, hook)

    def fail() -> None:
        with shop.context.database.session_scope() as session:
            create_customer(session, CustomerChange(addresses=["ivan@client.example"]), None)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail()
    with shop.context.database.reading() as session:
        assert session.exec(select(WebhookEvent)).all() == []
    shop.customer("ivan@client.example")
    assert len(deliveries(shop)) == 1


def test_w11_a_put_with_what_stands_is_no_event(shop: ShopWorld, hook: Receiver) -> None:
    connect(shop, hook)
    max_ = shop.person("Max")
    change = CustomerChange(name="Ivan", addresses=["ivan@client.example"], manager=max_.public_id)
    for _ in range(3):
        with shop.context.database.session_scope() as session:
            put_customer(session, "x-1", change, None)
    with shop.context.database.reading() as session:
        assert [event.kind for event in session.exec(select(WebhookEvent))] == ["customer.created", "customer.assigned"]


def test_w12_after_a_rotation_both_secrets_sign_until_the_overlap_ends(shop: ShopWorld, hook: Receiver) -> None:
    endpoint, before = connect(shop, hook)
    shop.customer("ivan@client.example")
    with shop.context.database.session_scope() as session:
        secret = rotate_secret(session, shop.context, session.get_one(WebhookEndpoint, endpoint.id))
    after = b64decode(secret.removeprefix("whsec_"))
    deliver(shop, endpoint)
    with shop.context.database.session_scope() as session:
        session.get_one(WebhookEndpoint, endpoint.id).secret_before_until = now() - timedelta(seconds=1)
    make_due(shop)
    deliver(shop, endpoint)
    signed = [[signatures(item, *request) for item in (before, after)] for request in hook.requests]
    assert signed == [[True, True], [False, True]]


def test_w13_a_growing_version_tells_the_order(shop: ShopWorld, hook: Receiver) -> None:
    connect(shop, hook)
    a, b = shop.person("Ann"), shop.person("Ben")
    for manager in (a, b, a):
        with shop.context.database.session_scope() as session:
            put_customer(session, "x-1", CustomerChange(manager=manager.public_id), None)
    with shop.context.database.reading() as session:
        events = [json.loads(event.body)["data"] for event in session.exec(select(WebhookEvent).order_by("id"))]
    versions = [event["version"] for event in events if event["manager"]]
    assert versions == sorted(set(versions)) or versions[1:] == sorted(set(versions[1:]))


def test_who_gets_a_manager_by_a_merge_is_told_of(shop: ShopWorld, hook: Receiver) -> None:
    ann = shop.person("Ann")
    without, other = shop.customer("a@x.example"), shop.customer("b@x.example", manager=ann.public_id)
    third = shop.customer("c@x.example")
    connect(shop, hook)
    for merged in (other, third):
        with shop.context.database.session_scope() as session:
            merge_customers(session, session.get_one(Customer, without.id), session.get_one(Customer, merged.id))
        with shop.context.database.reading() as session:
            payloads = [json.loads(event.body) for event in session.exec(select(WebhookEvent).order_by("id"))]
        assert len(payloads) == 1
    assert payloads[0]["type"] == "customer.assigned"
    assert (payloads[0]["data"]["manager"], payloads[0]["data"]["addresses"]) == (
        ann.public_id,
        ["a@x.example", "b@x.example"],
    )


def test_what_is_one_person_s_is_told_to_that_person_s_endpoints_alone(shop: ShopWorld, hook: Receiver) -> None:
    connect(shop, hook, "letter.received", "enquiry.created")
    with shop.context.database.session_scope() as session:
        emit(session, "letter.received", {"id": "x"}, shop.person("Ben").id)
    assert deliveries(shop) == []
    shop.letter("new@else.example")
    with shop.context.database.reading() as session:
        assert [event.kind for event in session.exec(select(WebhookEvent))] == ["letter.received", "enquiry.created"]
