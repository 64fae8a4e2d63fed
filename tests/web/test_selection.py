"""Several rows of a list at once: the action of each row, in one request; what one refuses stops no other; what was done is undone
by one press."""

import httpx
import pytest
from sqlmodel import col, select

from tests.web.conftest import ClientOf
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import ANNA, Written, make_account, write
from tests.web.reading import attribute, every, only, text_at
from tracker.crm.bind_letters import open_enquiries_of
from tracker.models import EnquiryStatus, Letter, Message, MessageState, User
from tracker.runtime.context import AppContext
from tracker.web.http.selection import MOST


@pytest.fixture
def sent(context: AppContext, alice: User) -> list[Message]:
    make_account(context, alice)
    return write(context, alice, *(Written(f"Offer {n}", (ANNA,)) for n in range(3)))


@pytest.fixture
def enquiries(context: AppContext, alice: User) -> list[Letter]:
    box = make_mailbox(context, alice)
    letters = receive(context, box, *(Came(f"Question {n}", f"c{n}@customer.example") for n in range(3)))
    with context.database.session_scope() as session:
        open_enquiries_of(session, [letter.id or 0 for letter in letters])
    return letters


def messages(context: AppContext) -> list[Message]:
    with context.database.reading() as session:
        return list(session.exec(select(Message).order_by(col(Message.id))))


def chosen(act: str, rows: list[Message] | list[Letter], **more: str) -> dict[str, object]:
    return {"act": act, "id": [row.public_id for row in rows], **more}


def undo(client: httpx.Client, page: str) -> httpx.Response:
    return client.post(attribute(only(client.get(page), "[data-flash] form"), "action"))


def test_each_row_has_a_box_that_belongs_to_the_bar(client: httpx.Client, sent: list[Message]) -> None:
    page = client.get("/mail?state=sent")
    boxes = every(page, "[data-select]")
    assert {attribute(box, "value") for box in boxes} == {message.public_id for message in sent}
    assert {attribute(box, "form") for box in boxes} == {attribute(only(page, "[data-selection]"), "id")}
    assert attribute(boxes[0], "aria-label") == "Select “Offer 2”"
    assert attribute(only(page, "[data-selection] [name=back]"), "value") == "/mail?state=sent"


@pytest.mark.parametrize(
    ("act", "fact", "after"),
    [
        ("mute", "muted", [True, True, False]),
        ("remind", "follow_up_at", [True, True, False]),
        ("done", "handled_at", [True, True, False]),
    ],
)
def test_what_is_done_with_several_messages_is_undone_by_one_press(
    client: httpx.Client, context: AppContext, sent: list[Message], act: str, fact: str, after: list[bool]
) -> None:
    def facts() -> list[bool]:
        return [bool(getattr(message, fact)) for message in messages(context)]

    assert facts() == [False, False, False]
    answer = client.post("/mail/selection", data=chosen(act, sent[:2], back="/mail?state=sent"))
    assert answer.headers["location"] == "/mail?state=sent"
    assert facts() == after
    assert undo(client, "/mail?state=sent").headers["location"] == "/mail?state=sent"
    assert facts() == [False, False, False]


def test_tracking_of_several_messages_ends(client: httpx.Client, context: AppContext, sent: list[Message]) -> None:
    client.post("/mail/selection", data=chosen("stop", sent))
    assert [(message.track_opens, message.track_links) for message in messages(context)] == [(False, False)] * 3


def test_what_one_row_refuses_stops_no_other(
    client: httpx.Client, context: AppContext, alice: User, sent: list[Message]
) -> None:
    (draft,) = write(context, alice, Written("Draft", (ANNA,), state=MessageState.DRAFT))
    client.post("/mail/selection", data=chosen("discard", [*sent, draft]))
    assert text_at(client.get("/mail"), "[data-flash]") == "1 changed. Not all: Only drafts can be deleted."
    assert len(messages(context)) == 3
    (draft,) = write(context, alice, Written("Draft", (ANNA,), state=MessageState.DRAFT))
    client.post("/mail/selection", data=chosen("mute", [draft, sent[0]]))
    assert [message.muted for message in messages(context)] == [True, False, False, False]


@pytest.mark.parametrize("path", ["/mail", "/enquiries"])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"act": "done"}, "Select something first."),
        ({"act": "explode", "id": "x"}, "Select something first."),
        ({"id": "x"}, "Select something first."),
        ({"act": "done", "id": [f"{n:011}" for n in range(MOST + 1)]}, "Select at most 200 at once."),
        ({"act": "done", "id": ["", "x" * 5000, "мимо"]}, "There is no such"),
    ],
)
def test_what_is_no_selection_changes_nothing(
    client: httpx.Client, path: str, values: dict[str, object], words: str
) -> None:
    answer = client.post(f"{path}/selection", data={**values, "back": "//evil.example"})
    assert answer.headers["location"] == path
    assert words in text_at(client.get(path), "[data-flash]")


def test_of_somebody_elses_rows_nothing_is_changed(
    client_of: ClientOf, context: AppContext, bob: User, sent: list[Message], enquiries: list[Letter]
) -> None:
    client_of(bob).post("/mail/selection", data=chosen("mute", sent))
    client_of(bob).post("/enquiries/selection", data=chosen("done", enquiries))
    assert not any(message.muted for message in messages(context))
    with context.database.reading() as session:
        assert not any(status.done_at for status in session.exec(select(EnquiryStatus)))


@pytest.mark.parametrize(("act", "fact"), [("done", "done_at"), ("snooze", "snoozed_until")])
def test_what_is_done_with_several_enquiries_is_undone_by_one_press(
    client: httpx.Client, context: AppContext, enquiries: list[Letter], act: str, fact: str
) -> None:
    def facts() -> list[bool]:
        with context.database.reading() as session:
            statuses = session.exec(select(EnquiryStatus).order_by(col(EnquiryStatus.letter_id)))
            return [bool(getattr(status, fact)) for status in statuses]

    client.post("/enquiries/selection", data=chosen(act, enquiries[1:]))
    assert facts() == [False, True, True]
    undo(client, "/enquiries")
    assert facts() == [False, False, False]


def test_several_enquiries_are_taken_or_are_spam(
    client: httpx.Client, context: AppContext, alice: User, enquiries: list[Letter]
) -> None:
    client.post("/enquiries/selection", data=chosen("take", enquiries[:2]))
    client.post("/enquiries/selection", data=chosen("spam", enquiries[2:]))
    with context.database.reading() as session:
        statuses = session.exec(select(EnquiryStatus).order_by(col(EnquiryStatus.letter_id)))
        assert [status.manager_id for status in statuses] == [alice.id, alice.id, None]
        letters = session.exec(select(Letter).order_by(col(Letter.id)))
        assert [letter.withdrawn_at is not None for letter in letters] == [False, False, True]
    undo(client, "/enquiries")
    with context.database.reading() as session:
        assert not any(letter.withdrawn_at for letter in session.exec(select(Letter)))
