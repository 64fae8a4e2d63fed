"""Makes credentials, mailboxes and letters for tests of the reading side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar
from uuid import uuid4

from sqlmodel import Session, SQLModel, col, select

from tests.fixtures.leases import free
from tests.servers import Dovecot
from tests.servers.nasty import NastyImap
from tests.servers.nasty_pop3 import NastyPop3
from tracker.inbound.accept import accept_all
from tracker.inbound.credentials import make_credential
from tracker.inbound.fetch.check import check_mailbox
from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter
from tracker.inbound.fetch.letter_importer import StoreLetters
from tracker.inbound.fetch.schedule import Claim, claim_due
from tracker.inbound.fetch.sync import sync_mailbox
from tracker.inbound.mailbox_input import MailboxChange, NewCredentials
from tracker.inbound.mailboxes import change_mailbox, connect_mailbox
from tracker.models import Credential, Letter, Mailbox, MailboxFolder, Notice, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

SECRET = "pässword “with” quotes\\"


StoreOne = Callable[[Session, AppContext, Mailbox, FetchedLetter], Accepted]
Row = TypeVar("Row", bound=SQLModel)


def each(take: StoreOne) -> StoreLetters:
    """Takes letters in one after the other, so that a test can put something between them."""

    def take_all(
        session: Session, context: AppContext, mailbox: Mailbox, some: Sequence[FetchedLetter]
    ) -> list[Accepted]:
        return [take(session, context, mailbox, item) for item in some]

    return take_all


@dataclass
class Post:
    """One person's mailbox on a real server, and the product's side of it."""

    context: AppContext
    user: User
    mailbox_id: int
    address: str

    @property
    def mailbox(self) -> Mailbox:
        with self.context.database.reading() as session:
            return session.get_one(Mailbox, self.mailbox_id)

    def choose(self, **choices: Any) -> None:
        """What its person chooses on its page."""
        with self.context.database.session_scope() as session:
            change_mailbox(session, session.get_one(Mailbox, self.mailbox_id), None, MailboxChange(**choices))

    def change(self, **columns: Any) -> None:
        with self.context.database.session_scope() as session:
            row = session.get_one(Mailbox, self.mailbox_id)
            for name, value in columns.items():
                setattr(row, name, value)
            session.add(row)

    def letters(self) -> list[Letter]:
        with self.context.database.reading() as session:
            mine = select(Letter).where(Letter.mailbox_id == self.mailbox_id).order_by(col(Letter.id))
            return list(session.exec(mine).all())

    def subjects(self) -> list[str]:
        return [letter.subject for letter in self.letters()]

    def sync(self, *, take: StoreOne | None = None) -> int:
        """Runs over the mailbox at once, as the worker does. Gives how many letters are new."""
        before = len(self.letters())
        free(self.context, "mailbox", self.mailbox_id)
        self.change(due_at=now())
        claim = self.claim()
        assert claim is not None, self.mailbox
        sync_mailbox(self.context, claim, each(take) if take else accept_all)
        return len(self.letters()) - before

    def claim(self) -> Claim | None:
        return claim_due(self.context)

    def folder(self, name: str = "INBOX") -> MailboxFolder:
        with self.context.database.reading() as session:
            query = select(MailboxFolder).where(MailboxFolder.mailbox_id == self.mailbox_id, MailboxFolder.name == name)
            return session.exec(query).one()

    def notice_events(self) -> list[str]:
        """What was said of the mailbox itself, apart from its letters."""
        return [notice.event for notice in self.rows(Notice) if notice.event != "letter"]

    def rows(self, table: type[Row]) -> list[Row]:
        with self.context.database.reading() as session:
            return list(session.exec(select(table)).all())


def fresh_address(name: str = "info") -> str:
    return f"{name}-{uuid4().hex[:10]}@firm.example"


def mailbox_on(
    context: AppContext,
    user: User,
    server: Dovecot | NastyImap | NastyPop3,
    login: str,
    *,
    protocol: str = "imap",
    security: str = "none",
    **choices: Any,
) -> Post:
    """Connects ``login`` on the server, unchecked."""
    if isinstance(server, NastyImap | NastyPop3):
        port = server.port
    else:
        port = server.imap_port if protocol == "imap" else server.pop3_port
    assert user.id is not None
    with context.database.session_scope() as session:
        place: Any = {"protocol": protocol, "host": server.host, "port": port, "security": security, "login": login}
        credential = make_credential(session, context, user.id, NewCredentials(secret=SECRET, **place))
        mailbox = connect_mailbox(session, user.id, credential, MailboxChange(**choices))
    assert mailbox.id is not None
    return Post(context, user, mailbox.id, login)


def checked(post: Post) -> str:
    return check_mailbox(post.context, post.mailbox_id).state


def credential_of(session: Session, post: Post) -> Credential:
    mailbox = session.get_one(Mailbox, post.mailbox_id)
    return session.get_one(Credential, mailbox.credential_id)


def letter(
    subject: str = "Price?",
    sender: str = "Anna <anna@client.example>",
    to: str = "info@firm.example",
    body: str = "Good day, what does it cost?",
    at: datetime | None = None,
    **more: str,
) -> bytes:
    """A letter of its own: another Message-ID each time."""
    fields = {
        "From": sender,
        "To": to,
        "Subject": subject,
        "Date": format_datetime(at or now()),
        "Message-ID": f"<{uuid4().hex}@client.example>",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{head}\r\n{body}\r\n".encode()


def hours_ago(hours: float) -> datetime:
    return now() - timedelta(hours=hours)


def imap_date(moment: datetime) -> str:
    return moment.strftime("%d-%b-%Y %H:%M:%S +0000")


def put(dovecot: Dovecot, post: Post, subject: str, at: datetime | None = None, **more: str) -> int:
    """A letter that the server has in the mailbox, from now on. Gives its UID."""
    return dovecot.append(post.address, letter(subject), received_at=at or now(), **more)
