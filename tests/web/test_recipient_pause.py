"""The question on a recipient's page: who sees it, who may answer."""

import httpx
import pytest
from sqlmodel import col, select

from tests.web.conftest import ClientOf
from tests.web.mail_world import agree
from tests.web.reading import every, text_at
from tracker.consent.ledger import ledger
from tracker.consent.pending_opt_outs import begin_pause
from tracker.models import Letter, Mailbox, Notification, Recipient, TrackingPause, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

WORDS = 'Do not track me <script>alert("x")</script>'


@pytest.fixture
def pause(context: AppContext, bob: User) -> TrackingPause:
    """Anna wrote to Bob."""
    agree(context, "anna@example.org", name="Anna Petit")
    with context.database.session_scope() as session:
        mailbox = Mailbox(user_id=bob.id or 0, address="b@example.com", canonical="b@example.com", state="active")
        session.add(mailbox)
        session.flush()
        letter = Letter(
            user_id=bob.id or 0,
            mailbox_id=mailbox.id or 0,
            identity="i",
            content_hash="c",
            received_at=now(),
            loaded_at=now(),
        )
        session.add(letter)
        session.flush()
        anna = session.exec(select(Recipient)).one()
        begin_pause(session, anna, letter, WORDS)
        return session.exec(select(TrackingPause)).one()


def anna_of(context: AppContext) -> Recipient:
    with context.database.reading() as session:
        return session.exec(select(Recipient)).one()


def test_whoever_got_the_letter_sees_the_words_and_answers_from_the_bell(
    context: AppContext, client_of: ClientOf, bob: User, pause: TrackingPause
) -> None:
    client = client_of(bob)
    with context.database.reading() as session:
        line = session.exec(select(Notification)).one()
    reading = client.post(f"/notifications/{line.public_id}/reading")
    page = f"/recipients/{anna_of(context).public_id}"
    assert reading.headers["location"] == f"{page}/rights#pause"
    shown = client.get(f"{page}/rights")
    assert every(shown, 'a[href^="/asking"]') == [], "whoever asked to be left alone is not asked"
    assert WORDS in text_at(shown, "#pause blockquote")
    assert "<script>alert" not in shown.text
    assert "please by" in text_at(shown, "#pause")
    answered = client.post(f"{page}/pauses/{pause.public_id}", data={"decision": "withdrawn"})
    assert answered.status_code == 303
    assert every(client.get(f"{page}/rights"), "#pause") == []
    with context.database.reading() as session:
        assert [entry.state for entry in ledger(session, anna_of(context))][-2:] == ["withdrawn", "withdrawn"]


def test_others_learn_that_it_is_paused_and_neither_words_nor_say(
    context: AppContext, client: httpx.Client, pause: TrackingPause
) -> None:
    page = f"/recipients/{anna_of(context).public_id}"
    shown = client.get(f"{page}/rights")
    assert "A colleague has to decide" in text_at(shown, "#pause")
    assert "Do not track me" not in shown.text
    for who in (anna_of(context).public_id, "nobody"):
        answered = client.post(f"/recipients/{who}/pauses/{pause.public_id}", data={"decision": "continued"})
        assert answered.status_code == 404
    assert anna_of(context).paused_at is not None


@pytest.mark.parametrize("decision", ["", "maybe", "withdrawn\0"])
def test_no_answer_decides_nothing(
    context: AppContext, client_of: ClientOf, bob: User, pause: TrackingPause, decision: str
) -> None:
    page = f"/recipients/{anna_of(context).public_id}"
    client_of(bob).post(f"{page}/pauses/{pause.public_id}", data={"decision": decision})
    with context.database.reading() as session:
        assert session.exec(select(TrackingPause).where(col(TrackingPause.decided_at).is_(None))).one()
