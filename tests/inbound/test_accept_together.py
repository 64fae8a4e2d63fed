"""Letters that are taken in together become what they become one by one (DECISIONS.md, “Small letters share a question”)."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session, col, select

from tests.fixtures.contexts import People
from tests.inbound.arrivals import Arrivals, connected
from tests.inbound.corpus import DATA, simple
from tracker.inbound.accept import accept_all
from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter
from tracker.models import Letter, LetterAttachment, LetterBody, LetterCopy, LetterRaw, Mailbox, MailboxProblem, Notice
from tracker.runtime.context import AppContext

SEED = 20261127
OWN = {"id", "public_id", "user_id", "mailbox_id", "enquiry_key_id", "repeat_of_id"}


def load() -> list[tuple[bytes, float]]:
    """The corpus, people who write again and again, the same letter twice, and one Message-ID on two letters, in any order."""
    chance = random.Random(SEED)
    some = [(path.read_bytes(), chance.uniform(0, 400)) for path in sorted(DATA.glob("*.eml"))]
    for number in range(60):
        sender = f"client{number % 7}@client.example"
        some.append((simple(f"Subject: {number}", body=f"What of {number}?", sender=sender), chance.uniform(0, 2000)))
    some += [(simple(body="Twice."), 1.0), (simple(body="Twice."), 1.0)]
    some += [(simple("Message-ID: <one@client.example>", body=body), 2.0) for body in ("One.", "Another.")]
    some += [(simple(body=f"I am a machine: {number}", sender="robot@machine.example"), 3.0) for number in range(25)]
    chance.shuffle(some)
    return some


def take(inbox: Arrivals, some: Sequence[FetchedLetter]) -> list[Accepted]:
    with inbox.context.database.session_scope() as session:
        return accept_all(session, inbox.context, session.get_one(Mailbox, inbox.mailbox.id), some)


@pytest.fixture
def two(context: AppContext, people: People) -> list[Arrivals]:
    """Two people's mailboxes that are written to by one name."""
    boxes = [connected(context, people.user(name), f"{name}@site.example") for name in ("Ivy", "Bob")]
    for box in boxes:
        box.change(address="info@site.example")
    return boxes


def story(inbox: Arrivals) -> list[dict[str, Any]]:
    """Everything that is kept of the mailbox's letters, without numbers."""
    with inbox.context.database.reading() as session:
        mine = select(Letter).where(Letter.mailbox_id == inbox.mailbox.id).order_by(col(Letter.id))
        letters = session.exec(mine).all()
        names: dict[int | None, str] = {letter.id: letter.identity for letter in letters}
        return [_told(session, letter, names) for letter in letters]


def _told(session: Session, letter: Letter, names: dict[int | None, str]) -> dict[str, Any]:
    def of(table: Any) -> list[dict[str, Any]]:
        rows = session.exec(select(table).where(table.letter_id == letter.id).order_by(col(table.id))).all()
        return [
            row.model_dump(exclude=OWN | {"letter_id", "folder_id", "subject", "due_at", "made_at", "at"})
            for row in rows
        ]

    body = session.get_one(LetterBody, letter.id).model_dump(exclude={"letter_id"})
    raw = session.exec(select(LetterRaw.content).where(LetterRaw.letter_id == letter.id)).all()
    return {
        **letter.model_dump(exclude=OWN | {"loaded_at"}),
        "repeat_of": names.get(letter.repeat_of_id),
        "body": body,
        "raw": raw,
        "files": of(LetterAttachment),
        "places": of(LetterCopy),
        "problems": [problem["code"] for problem in of(MailboxProblem)],
        "notices": [notice["event"] for notice in of(Notice)],
    }


@pytest.mark.parametrize("share", [7, 50])
def test_together_is_as_one_by_one(two: list[Arrivals], share: int) -> None:
    alone, together = two
    some = load()
    one_by_one = [alone.take(alone.fetched(raw, hours)).outcome for raw, hours in some]
    fetched = [together.fetched(raw, hours) for raw, hours in some]
    shares = [fetched[begin : begin + share] for begin in range(0, len(fetched), share)]
    assert [accepted.outcome for share in shares for accepted in take(together, share)] == one_by_one
    result, expected = story(together), story(alone)
    assert len(result) == len(expected) > 100
    for actual, there in zip(result, expected, strict=True):
        assert actual == there


def test_known_places_and_new_letters_in_one_load(inbox: Arrivals) -> None:
    first, second, third = (inbox.fetched(simple(body=f"Letter {number}")) for number in range(3))
    take(inbox, [second])
    again = replace(second, content=b"never read")
    assert [item.outcome for item in take(inbox, [first, again, third])] == ["new", "known", "new"]
    assert len(inbox.letters()) == 3


def test_one_that_failed_for_the_last_time_among_others(inbox: Arrivals) -> None:
    some = [inbox.fetched(simple(body=f"Letter {number}")) for number in range(3)]
    some[1] = replace(some[1], unparsed="ValueError: what a letter")
    assert [(item.outcome, item.touch) for item in take(inbox, some)] == [("new", True), ("new", False), ("new", True)]
    assert [letter.unparsed for letter in sorted(inbox.letters(), key=lambda row: row.id or 0)].count(True) == 1


def test_a_load_has_few_statements(inbox: Arrivals) -> None:
    """What letters cost together does not grow with their number, as long as they answer nothing of ours."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def counted(some: Sequence[FetchedLetter]) -> int:
        statements.clear()
        take(inbox, some)
        return len(statements)

    def fresh(number: int, of: int) -> list[FetchedLetter]:
        sender = "client{}@client.example"
        return [
            inbox.fetched(simple(body=f"{number} of {of}: {item}", sender=sender.format(item)), silent=True)
            for item in range(number)
        ]

    event.listen(inbox.context.database.engine, "before_cursor_execute", note)
    try:
        assert counted(fresh(40, 1)) <= counted(fresh(2, 2)) + 2
    finally:
        event.remove(inbox.context.database.engine, "before_cursor_execute", note)
