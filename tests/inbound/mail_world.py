"""Makes credentials, mailboxes and letters for tests of the reading side."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

from sqlmodel import Session, col, select

from tests.servers import Dovecot
from tests.servers_nasty import NastyImap
from tracker.db import now
from tracker.house import House
from tracker.inbound.check import check_mailbox
from tracker.inbound.credentials import make_credential
from tracker.inbound.mailboxes import connect_mailbox
from tracker.models import Credential, Letter, Mailbox, User

SECRET = "pässword “with” quotes\\"


@dataclass
class Post:
    """One person's mailbox on a real server, and the product's side of it."""

    house: House
    user: User
    mailbox_id: int
    address: str

    @property
    def mailbox(self) -> Mailbox:
        with self.house.database.reading() as session:
            return session.get_one(Mailbox, self.mailbox_id)

    def change(self, **columns: Any) -> None:
        with self.house.database.session_scope() as session:
            row = session.get_one(Mailbox, self.mailbox_id)
            for name, value in columns.items():
                setattr(row, name, value)
            session.add(row)

    def letters(self) -> list[Letter]:
        with self.house.database.reading() as session:
            mine = select(Letter).where(Letter.mailbox_id == self.mailbox_id).order_by(col(Letter.id))
            return list(session.exec(mine).all())

    def subjects(self) -> list[str]:
        return [letter.subject for letter in self.letters()]


def fresh_address(name: str = "info") -> str:
    return f"{name}-{uuid4().hex[:10]}@firm.example"


def mailbox_on(
    house: House, user: User, server: Dovecot | NastyImap, login: str, *, protocol: str = "imap", **choices: Any
) -> Post:
    """Connects ``login`` on the server, unchecked."""
    port = (
        server.port if isinstance(server, NastyImap) else server.imap_port if protocol == "imap" else server.pop3_port
    )
    assert user.id is not None
    with house.database.session_scope() as session:
        credential = make_credential(
            session, house, user.id, secret=SECRET, preset="other", protocol=protocol, host=server.host, port=port,
            security="none", login=login,
        )  # fmt: skip
        mailbox = connect_mailbox(session, user.id, credential, **choices)
    assert mailbox.id is not None
    return Post(house, user, mailbox.id, login)


def checked(post: Post) -> str:
    return check_mailbox(post.house, post.mailbox_id).state


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
        **more,
    }
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"{head}\r\n{body}\r\n".encode()


def hours_ago(hours: float) -> datetime:
    return now() - timedelta(hours=hours)


def imap_date(moment: datetime) -> str:
    return moment.strftime("%d-%b-%Y %H:%M:%S +0000")
