"""What is done to a message ends alike by page and API: what is stored, what open pages are told, who looked."""

from collections.abc import Callable

import httpx
import pytest
from sqlmodel import select

from tests.actions.conftest import Person, Workspace, refusal
from tracker.models import Delivery, DeliveryStatus, Message, MessageBody, Recipient, TrackingView

Act = Callable[[Person, Message], httpx.Response]


def page(path: str, **form: str) -> Act:
    return lambda person, message: person.browser.post(f"/mail/{message.public_id}/{path}", data=form)


def api(method: str, path: str) -> Act:
    return lambda person, message: person.api(method, f"/messages/{message.public_id}/{path}")


@pytest.mark.parametrize(
    ("mute", "unmute"),
    [
        (page("mute", muted="yes"), page("mute", muted="no")),
        (api("POST", "mute"), api("DELETE", "mute")),
    ],
    ids=["page", "api"],
)
def test_muting_is_stored_and_announced(workspace: Workspace, bob: Person, mute: Act, unmute: Act) -> None:
    message = workspace.message(bob)
    assert mute(bob, message).status_code in (200, 303)
    assert workspace.read(message).muted
    assert workspace.announced(bob) == [("message", message.public_id)]
    unmute(bob, message)
    assert not workspace.read(message).muted
    assert len(workspace.announced(bob)) == 2


CANCEL = {"page": page("cancellation"), "api": api("POST", "cancellation")}


@pytest.mark.parametrize("cancel", CANCEL.values(), ids=CANCEL)
def test_taking_back_what_waits_makes_a_draft_of_it(workspace: Workspace, bob: Person, cancel: Act) -> None:
    message = workspace.message(bob, state="queued", sent_at=None)
    with workspace.context.database.session_scope() as session:
        session.add(MessageBody(message_id=message.id or 0, text="Hello"))
        session.exec(select(Delivery)).one().status = DeliveryStatus.QUEUED
    assert cancel(bob, message).status_code in (200, 303)
    assert workspace.read(message).state == "draft"
    assert workspace.rows(Delivery) == []
    assert workspace.announced(bob) == [("message", message.public_id)]


@pytest.mark.parametrize("cancel", CANCEL.values(), ids=CANCEL)
def test_what_was_handed_over_is_not_taken_back(workspace: Workspace, bob: Person, cancel: Act) -> None:
    message = workspace.message(bob)
    answer = cancel(bob, message)
    assert answer.status_code == 303 or refusal(answer) == ("conflict", [])
    assert workspace.read(message) == message
    assert workspace.announced(bob) == []


EVERY_ACT = {
    "mute page": page("mute", muted="yes"),
    "mute api": api("POST", "mute"),
    "cancel page": page("cancellation"),
    "cancel api": api("POST", "cancellation"),
    "remind page": page("reminder", days="3"),
    "stop page": page("tracking-end"),
}


@pytest.mark.parametrize("act", EVERY_ACT.values(), ids=EVERY_ACT)
def test_the_message_of_somebody_else_is_not_there(workspace: Workspace, alice: Person, bob: Person, act: Act) -> None:
    message = workspace.message(bob)
    assert refusal(act(alice, message))[0] == "not_found"
    assert workspace.read(message) == message


@pytest.mark.parametrize("days", ["", "x", "-1", "366", "٣"])
def test_a_reminder_in_no_number_of_days(workspace: Workspace, bob: Person, days: str) -> None:
    message = workspace.message(bob)
    assert refusal(page("reminder", days=days)(bob, message))[0] == "invalid"
    assert workspace.read(message).follow_up_at is None


def test_a_reminder_is_set_and_taken_back(workspace: Workspace, bob: Person) -> None:
    message = workspace.message(bob)
    page("reminder", days="3")(bob, message)
    assert workspace.read(message).follow_up_at is not None
    page("reminder", days="0")(bob, message)
    assert workspace.read(message).follow_up_at is None
    assert workspace.announced(bob) == [("message", message.public_id)] * 2


def test_tracking_ends_on_every_copy_with_the_rule_that_says_so(workspace: Workspace, bob: Person) -> None:
    message = workspace.message(bob)
    page("tracking-end")(bob, message)
    (copy,) = workspace.rows(Delivery)
    assert (copy.opens_on, copy.opens_rule, copy.clicks_rule) == (False, "switched_off", "unknown")
    assert workspace.read(message).opens_tracked == 0
    assert workspace.announced(bob) == [("message", message.public_id)]


LOOKS: dict[str, Act] = {
    "message page": lambda person, message: person.browser.get(f"/mail/{message.public_id}"),
    "panel of opens": lambda person, message: person.browser.get(f"/mail/{message.public_id}/activity/opens"),
    "panel of clicks": lambda person, message: person.browser.get(f"/mail/{message.public_id}/activity/clicks"),
    "api": lambda person, message: person.api("GET", f"/messages/{message.public_id}"),
    "api of events": lambda person, message: person.api("GET", f"/messages/{message.public_id}/events"),
    "api that mutes": api("POST", "mute"),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_whoever_is_shown_opens_is_written_down_once_a_day(workspace: Workspace, bob: Person, look: Act) -> None:
    message = workspace.message(bob, "luc@example.org")
    for _ in range(2):
        assert look(bob, message).status_code == 200
    (luc,) = workspace.rows(Recipient, lookup="luc@example.org")
    seen = [(view.user_id, view.recipient_id, view.what) for view in workspace.rows(TrackingView)]
    assert seen == [(bob.id, luc.id, "message")]


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_nothing_is_written_down_of_a_copy_that_is_not_measured(workspace: Workspace, bob: Person, look: Act) -> None:
    message = workspace.message(bob)
    with workspace.context.database.session_scope() as session:
        session.exec(select(Delivery)).one().opens_on = False
    look(bob, message)
    assert workspace.rows(TrackingView) == []
