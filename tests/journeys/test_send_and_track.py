"""From the queue to the bell: real SMTP, a real edge, a real worker, on both databases."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy

import httpx
import pytest
import uvicorn
from sqlmodel import col, select

from pixel.server import server_config
from tests.fixtures.contexts import People
from tests.servers import SmtpSink, free_port, wait_until
from tracker.consent.rules import ConsentState, Purpose
from tracker.models import Delivery, Event, HitEvidence, Message, Notification, TrackedLink, User
from tracker.models import Verdict as VerdictRow
from tracker.notifications import notify
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext
from tracker.serve import create_combined_app

CHROME = {
    "user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    "accept": "image/avif,image/webp,*/*",
    "accept-language": "de-DE,de;q=0.9",
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "no-cors",
    "sec-fetch-dest": "image",
    "sec-ch-ua": '"Chromium";v="156", "Google Chrome";v="156"',
}


def html_of(raw: bytes) -> str:
    part = message_from_bytes(raw, policy=policy.default).get_body(("html",))
    assert part is not None
    return str(part.get_content())


def send_all(context: AppContext) -> None:
    while send_due(context):
        pass


@contextmanager
def running(context: AppContext) -> Iterator[str]:
    """Edge, web and worker in one process, on the address that the context's tracking URL names."""
    port = int(context.settings.tracking_url.rpartition(":")[2])
    config = server_config(create_combined_app(context), port=port)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield context.settings.tracking_url
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def context(context: AppContext) -> AppContext:
    """The context with its own port as tracking address."""
    url = f"http://127.0.0.1:{free_port()}"
    object.__setattr__(context.settings, "tracking_url", url)
    object.__setattr__(context.settings, "base_url", url.replace("127.0.0.1", "localhost"))
    return context


def test_only_who_agreed_is_tracked_and_nobody_else_is_touched(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant("anna@client.example")
    message = people.send(alice, "anna@client.example", "luc@client.example")
    send_all(context)
    by_recipient = {a.recipients[0]: a.content for a in smtp_sink.wait_for(2)}
    assert context.settings.tracking_url in html_of(by_recipient["anna@client.example"])
    assert html_of(by_recipient["anna@client.example"]).count("/c/") == 2
    untouched = by_recipient["luc@client.example"]
    assert context.settings.tracking_url.encode() not in untouched
    assert b"shop.example/offer" in untouched
    visible = [message_from_bytes(raw, policy=policy.default) for raw in by_recipient.values()]
    assert len({(m["message-id"], m["to"], m["subject"], m["date"]) for m in visible}) == 1
    with context.database.reading() as session:
        rows = {d.address: d for d in session.exec(select(Delivery))}
        assert session.get_one(Message, message.id).state == "sent"
    assert (rows["anna@client.example"].opens_on, rows["anna@client.example"].opens_rule) == (True, "granted")
    assert (rows["luc@client.example"].opens_on, rows["luc@client.example"].opens_rule) == (False, "unknown")


def test_an_open_and_a_click_ring_once_settled(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant("anna@client.example", name="Anna")
    message = people.send(alice, "anna@client.example")
    with running(context):
        html = html_of(smtp_sink.wait_for(1)[0].content)
        pixel = re.search(r'src="([^"]+/o/[^"]+)"', html)
        link = re.search(r'href="([^"]+/c/[^"]+)"', html)
        assert pixel
        assert link
        wait_until(lambda: _message(context, message).state == "sent")
        time.sleep(0.4)  # past "instant" and "early" of the shortened windows
        assert httpx.get(pixel[1], headers=CHROME).status_code == 200
        time.sleep(0.2)
        clicked = httpx.get(link[1].replace("&amp;", "&"), headers=CHROME | {"sec-fetch-user": "?1"})
        assert (clicked.status_code, clicked.headers["location"]) == (302, "https://shop.example/offer?a=1&b=2")
        wait_until(lambda: _message(context, message).clicks)
        wait_until(lambda: [(line.opens, line.clicks) for line in _bell(context, alice)] == [(1, 1)])
    seen = _message(context, message)
    assert (seen.opens, seen.clicks) == (1, 1)
    (line,) = _bell(context, alice)
    assert (line.opens, line.clicks, line.read_at) == (1, 1, None)
    with context.database.reading() as session:
        assert [link.clicks for link in session.exec(select(TrackedLink).order_by(col(TrackedLink.position)))] == [1, 0]
        events = session.exec(select(Event).order_by(col(Event.at))).all()
        assert [(e.kind, e.klass, e.counted) for e in events] == [("open", "human", True), ("click", "human", True)]
        assert len(session.exec(select(HitEvidence)).all()) == 2
        assert session.exec(select(VerdictRow)).all()


def test_withdrawal_silences_mail_already_sent(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant("anna@client.example")
    message = people.send(alice, "anna@client.example")
    send_all(context)
    html = html_of(smtp_sink.wait_for(1)[0].content)
    people.consent("anna@client.example", ConsentState.WITHDRAWN, Purpose.CLICKS)
    with running(context):
        for url in re.findall(r'(?:src|href)="([^"]+/[oc]/[^"]+)"', html):
            assert httpx.get(url, headers=CHROME).status_code in (200, 302)
        wait_until(lambda: _message(context, message).opens + _message(context, message).machine)
    with context.database.reading() as session:
        assert {e.kind for e in session.exec(select(Event))} == {"open"}


def _message(context: AppContext, message: Message) -> Message:
    with context.database.reading() as session:
        return session.get_one(Message, message.id)


def _bell(context: AppContext, user: User) -> list[Notification]:
    with context.database.reading() as session:
        return list(notify.lines(session, user))
