"""What is done to a message on its page: undone, muted, no longer tracked, judged, followed up."""

from datetime import timedelta
from typing import Any

import httpx
from sqlmodel import Session, col, select

from tests.web.conftest import ClientOf
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import ANNA, GALLERY, LUC, OFFER, Seen, Written, queued, the_offer, write
from tests.web.reading import attribute, every, only, text_at, words
from tracker.models import Delivery, Event, Message, MessageState, Notification, User, Verdict
from tracker.notifications.notify import notify
from tracker.runtime.context import AppContext


def test_undo_makes_it_a_draft_again(context: AppContext, client: httpx.Client, alice: User) -> None:
    message = queued(context, alice, undo_seconds=30)
    assert "Undo sending" in client.get(f"/mail/{message.public_id}").text
    answer = client.post(f"/mail/{message.public_id}/cancellation")
    assert answer.headers["location"] == f"/compose/{message.public_id}"
    assert "anna@example.org" in attribute(only(client.get(answer.headers["location"]), "#to"), "value")


def test_too_late_to_undo_is_said(context: AppContext, client: httpx.Client, alice: User) -> None:
    offer = the_offer(context, alice)
    answer = client.post(f"/mail/{offer.public_id}/cancellation")
    assert answer.headers["location"] == f"/mail/{offer.public_id}"
    assert "Too late" in text_at(client.get(answer.headers["location"]), ".flash")
    with context.database.reading() as session:
        assert session.get_one(Message, offer.id).state == MessageState.SENT


def test_stop_tracking_stops_every_copy_and_keeps_what_is_known(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    offer = the_offer(context, alice)
    client.post(f"/mail/{offer.public_id}/tracking-end")
    with context.database.reading() as session:
        copies = session.exec(
            select(Delivery).where(Delivery.message_id == offer.id).order_by(col(Delivery.position))
        ).all()
        assert [(c.opens_on, c.clicks_on, c.opens_rule) for c in copies] == [
            (False, False, "switched_off"),
            (False, False, "unknown"),
        ]
        assert session.get_one(Message, offer.id).opens == 2
    assert "Stop tracking" not in client.get(f"/mail/{offer.public_id}").text


def test_mute_and_unmute(context: AppContext, client: httpx.Client, alice: User) -> None:
    offer = the_offer(context, alice)
    for muted, wanted in (("yes", True), ("no", False)):
        client.post(f"/mail/{offer.public_id}/mute", data={"muted": muted})
        with context.database.reading() as session:
            assert session.get_one(Message, offer.id).muted is wanted


def test_looking_reads_the_bell_but_a_get_changes_nothing(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    offer = the_offer(context, alice)
    with context.database.session_scope() as session:
        notify(session, alice.id or 0, "delivery:1", "open", offer.listed_at, message_id=offer.id)

    def unread() -> bool:
        with context.database.reading() as session:
            return session.exec(select(Notification)).one().read_at is None

    client.get(f"/mail/{offer.public_id}")
    assert unread()
    assert client.post(f"/mail/{offer.public_id}/reading").status_code == 204
    assert not unread()


def verdicts(session: Session, event: Event) -> list[str]:
    rows = session.exec(select(Verdict).where(Verdict.event_id == event.id).order_by(col(Verdict.version)))
    return [row.klass for row in rows]


def test_the_user_knows_better(context: AppContext, client: httpx.Client, alice: User) -> None:
    (message,) = write(
        context, alice, Written("x", (ANNA,), (Seen("open", "human", 90, client="Outlook"),), ago=timedelta(hours=1))
    )
    form = only(client.get(f"/mail/{message.public_id}"), ".event-why form")
    assert "This was not a person" in form.text
    client.post(attribute(form, "action"), data={"human": "no"})
    with context.database.reading() as session:
        event = session.exec(select(Event)).one()
        assert event.overruled
        assert verdicts(session, event)[-1] == "unknown"
        assert session.get_one(Message, message.id).opens == 0
    again = only(client.get(f"/mail/{message.public_id}"), ".event")
    assert "your own verdict" in again.text
    assert "This was a person" in again.text


def test_a_verdict_on_somebody_elses_event_is_not_there(
    context: AppContext, alice: User, bob: User, client_of: ClientOf
) -> None:
    write(context, alice, Written("of Alice", (ANNA,), (Seen("open", "human", 90),)))
    (mine,) = write(context, bob, Written("of Bob", (LUC,), links=OFFER))
    with context.database.reading() as session:
        event = session.exec(select(Event)).one()
    answer = client_of(bob).post(f"/mail/{mine.public_id}/events/{event.public_id}/verdict", data={"human": "no"})
    assert answer.status_code == 404


def test_a_reminder_is_set_changed_and_taken_back(
    context: AppContext, client: httpx.Client, alice: User, bob: User, client_of: ClientOf
) -> None:
    (message,) = write(context, alice, GALLERY[2])
    path = f"/mail/{message.public_id}"
    client.post(f"{path}/reminder", data={"days": "3"})
    assert "You will be reminded" in text_at(client.get(path), ".message-people")
    assert client_of(bob).post(f"{path}/reminder", data={"days": "3"}).status_code == 404
    for nonsense in ("", "-1", "x", "366", "99999999999999999999"):
        assert client.post(f"{path}/reminder", data={"days": nonsense}).status_code == 422
    client.post(f"{path}/reminder", data={"days": "0"})
    assert "You will be reminded" not in text_at(client.get(path), ".message-people")


def test_the_first_button_follows_up_and_the_next_answers_the_newest_letter(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    (message,) = write(context, alice, Written("offer", (ANNA,)))
    first = only(client.get(f"/mail/{message.public_id}"), ".message-actions > a")
    assert (words(first), attribute(first, "href")) == ("Follow up", f"/compose?reply={message.public_id}")
    facts: dict[str, Any] = {"columns": {"in_reply_to_message_id": message.id}}
    _older, newer, _automatic = receive(
        context,
        make_mailbox(context, alice),
        Came("Re: offer", ago=timedelta(hours=2), **facts),
        Came("Re: offer!", ago=timedelta(hours=1), **facts),
        Came("Out of office", ago=timedelta(minutes=1), category="auto_reply", **facts),
    )
    page = client.get(f"/mail/{message.public_id}")
    first = every(page, ".message-actions > a")[0]
    assert (words(first), attribute(first, "href")) == ("Follow up", f"/compose?reply={message.public_id}")
    reply = only(page, '.message-actions a[data-key="r"]')
    assert (words(reply), attribute(reply, "href")) == ("Reply", f"/compose?letter={newer.public_id}")
