"""Letters to look at: mailboxes with enquiries, repeats and everything else as accepting would have left them."""

import zlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlmodel import Session, select

from tracker.mail.addresses import lookup_form
from tracker.models import EnquiryKey, Letter, LetterBody, LetterRaw, Mailbox, MailboxState, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


@dataclass(frozen=True)
class Came:
    """One letter. ``under`` is the subject of the enquiry that it repeats."""

    subject: str
    sender: str = "anna.petit@atelier-petit.example"
    name: str = "Anna Petit"
    ago: timedelta = timedelta(hours=1)
    counted: bool = True
    under: str = ""
    category: str = "human"
    text: str = "Hello, do you have these chairs in oak?"
    html: str | None = None
    raw: bytes = b""
    columns: dict[str, Any] = field(default_factory=dict)


def make_mailbox(context: AppContext, user: User, address: str = "info@shop.example", **facts: Any) -> Mailbox:
    """A connected mailbox that works."""
    fields = {"state": MailboxState.ACTIVE, "good_run_at": now(), "run_ended_at": now(), **facts}
    with context.database.session_scope() as session:
        mailbox = Mailbox(user_id=user.id or 0, address=address, canonical=address, **fields)
        session.add(mailbox)
    return mailbox


def receive(context: AppContext, mailbox: Mailbox, *letters: Came) -> list[Letter]:
    with context.database.session_scope() as session:
        return [_receive(session, mailbox, letter) for letter in letters]


def _receive(session: Session, mailbox: Mailbox, came: Came) -> Letter:
    sender = lookup_form(came.sender)
    enquiry = None
    if came.under:
        of_it = select(Letter.id).where(Letter.subject == came.under, Letter.mailbox_id == mailbox.id)
        enquiry = session.exec(of_it).one()
    letter = Letter(
        user_id=mailbox.user_id,
        mailbox_id=mailbox.id or 0,
        identity=f"{came.subject} {came.ago.total_seconds()} {sender}"[:64],
        message_id=f"{abs(hash((came.subject, came.ago)))}@atelier.example",
        received_at=now() - came.ago,
        sender=sender,
        sender_address=came.sender,
        sender_name=came.name,
        recipient=mailbox.address,
        to=[[mailbox.address, ""]],
        subject=came.subject,
        snippet=came.text[:200],
        size=len(came.raw) or 1000,
        category=came.category,
        counted=came.counted and not came.under and came.category == "human",
        enquiry_key_id=_key(session, mailbox, sender) if came.category == "human" else None,
        repeat_of_id=enquiry,
        **came.columns,
    )
    session.add(letter)
    session.flush()
    session.add(
        LetterBody(letter_id=letter.id or 0, text=came.text, html=came.html, headers=f"Subject: {came.subject}")
    )
    if came.raw:
        session.add(LetterRaw(letter_id=letter.id or 0, number=0, content=zlib.compress(came.raw)))
    return letter


def _key(session: Session, mailbox: Mailbox, sender: str) -> int:
    same = (EnquiryKey.mailbox_id == mailbox.id, EnquiryKey.sender == sender, EnquiryKey.recipient == mailbox.address)
    key = session.exec(select(EnquiryKey).where(*same)).first()
    if key is None:
        key = EnquiryKey(mailbox_id=mailbox.id or 0, sender=sender, recipient=mailbox.address)
        session.add(key)
        session.flush()
    return key.id or 0


KEN: dict[str, Any] = {"sender": "ken.watanabe@northwind.example", "name": "Ken Watanabe"}
GALLERY = (
    Came("Twelve oak chairs", ago=timedelta(minutes=40)),
    Came("Re: Twelve oak chairs", ago=timedelta(minutes=20), under="Twelve oak chairs", text="And a table?"),
    Came(
        "Прайс-лист",
        "marina.orlova@zavod.example",
        "Марина Орлова",
        timedelta(hours=3),
        text="Пришлите, пожалуйста, цены.",
    ),
    Came("Samples", **KEN, ago=timedelta(days=2), columns={"has_attachments": True, "read_at": now()}),
    Came("Out of office: Offer 12", **KEN, ago=timedelta(hours=5), category="auto_reply"),
    Came("Delivery Status Notification", "mailer-daemon@mx.example", "", timedelta(hours=6), category="bounce"),
    Came("Autumn sale", "news@letters.example", "Letters", timedelta(hours=7), category="bulk"),
)
