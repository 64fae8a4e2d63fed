"""Letters that arrive in a mailbox of a context, without a server: what the engine would hand over, given straight to accept."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tests.inbound.corpus import simple
from tracker.inbound.accept import accept
from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter, LetterLocation
from tracker.models import Letter, Mailbox, MailboxFolder, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


@dataclass
class Arrivals:
    """One mailbox; ``arrive`` takes a letter in, in a transaction of its own."""

    context: AppContext
    mailbox: Mailbox
    folder: MailboxFolder
    _uids: Iterator[int] = field(default_factory=lambda: count(1))

    def fetched(self, raw: bytes, hours: float = 0, **facts: Any) -> FetchedLetter:
        fields: dict[str, Any] = {
            "place": LetterLocation(self.folder.id or 0, 1, next(self._uids)),
            "content": raw,
            "path": None,
            "size": len(raw),
            "internal_date": at(hours),
            "fetched_at": at(24 * 400),
            **facts,
        }
        return FetchedLetter(**fields)

    def take(self, fetched: FetchedLetter) -> Accepted:
        with self.context.database.session_scope() as session:
            return accept(session, self.context, session.get_one(Mailbox, self.mailbox.id), fetched)

    def arrive(self, raw: bytes, hours: float = 0, **facts: Any) -> Letter:
        """The letter as it is after it was taken in."""
        done = self.take(self.fetched(raw, hours, **facts))
        assert done.letter_id is not None
        return self.letter(done.letter_id)

    def enquiry(self, hours: float, text: str = "", sender: str = "anna@client.example", **facts: Any) -> Letter:
        """A letter of a person, unlike any other."""
        return self.arrive(simple(body=text or f"How much are chairs? {hours}", sender=sender), hours, **facts)

    def letter(self, id_: int) -> Letter:
        with self.context.database.reading() as session:
            return session.get_one(Letter, id_)

    def letters(self) -> list[Letter]:
        with self.context.database.reading() as session:
            mine = select(Letter).where(Letter.mailbox_id == self.mailbox.id)
            return list(session.exec(mine.order_by(Letter.received_at, Letter.id)))  # type: ignore[arg-type]

    def change(self, **facts: object) -> None:
        with self.context.database.session_scope() as session:
            mailbox = session.get_one(Mailbox, self.mailbox.id)
            for name, value in facts.items():
                setattr(mailbox, name, value)
            session.add(mailbox)


def connected(context: AppContext, user: User, address: str = "info@site.example") -> Arrivals:
    """A connected mailbox of this person's, with an INBOX."""
    with context.database.session_scope() as session:
        mailbox = Mailbox(user_id=user.id or 0, address=address, canonical=address, state="active")
        session.add(mailbox)
        session.flush()
        folder = MailboxFolder(mailbox_id=mailbox.id or 0, raw_name="INBOX", name="INBOX", cut_off=now())
        session.add(folder)
    return Arrivals(context, mailbox, folder)


@pytest.fixture
def alice(people: People) -> User:
    return people.user()


@pytest.fixture
def inbox(context: AppContext, alice: User) -> Arrivals:
    return connected(context, alice)
