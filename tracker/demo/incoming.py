"""What arrives in the demo: an enquiry written three times, a newsletter, what becomes of Marina's mail (a reply, an absence
note, one that came back), and the enquiries of the month before, answered after a time as people take. The same every time
but for the clock.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from random import Random

from sqlmodel import Session, col, select, update

from tracker.crm.answers import AnswerElsewhere, note_answered_elsewhere
from tracker.demo.history import PEOPLE, working_hour
from tracker.demo.world import World, answer
from tracker.inbound.accept import accept
from tracker.inbound.credentials import make_credential
from tracker.inbound.fetch.fetched_letter import FetchedLetter, LetterLocation
from tracker.inbound.mailbox_input import NewCredentials
from tracker.inbound.mailboxes import connect_mailbox, sync_now
from tracker.models import EnquiryStatus, Letter, Mailbox, MailboxFolder, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

WAIT_SECONDS = 30.0
"""Seconds to wait for a letter to be handed over before its answer is given up."""
EVA = ("Eva Lindqvist <eva@lindqvist.example>", "lindqvist.example")
_ENQUIRY = (
    (
        "Oak desks for a small studio",
        "Hello,\n\ndo you make desks in oak, 160 cm wide? We need six of them.\n\nEva Lindqvist",
    ),
    ("Re: Oak desks for a small studio", "One more thing: could they be delivered before Christmas?\n\nEva"),
    ("Oak desks", "Sorry to write again. Here is our telephone number: +46 8 123 45 67.\n\nEva"),
)
_NEWS = ("Office Trends <news@trends.example>", "trends.example")


def connect(session: Session, context: AppContext, world: World, user: User, secret: str) -> Mailbox:
    """The seller's own mailbox, read from now on."""
    server = NewCredentials(
        name="Sandbox", host=world.host, port=world.imap_port, security="none", login=user.email, secret=secret
    )
    return connect_mailbox(session, user.id, make_credential(session, context, user.id, server))


def deliver_enquiries(world: World, to: str) -> None:
    """Somebody new writes three times, and a newsletter comes between."""
    for subject, text in _ENQUIRY:
        world.deliver(make_letter(EVA, to, subject, text), to)
    news = make_letter(_NEWS, to, "Ten chairs of the year", "This month: ten chairs that everybody talks about.")
    world.deliver(b"List-Unsubscribe: <https://trends.example/u>\r\nPrecedence: bulk\r\n" + news, to)


def deliver_answers(world: World, is_over: Callable[[], bool]) -> None:
    """Anna replies, Tomás is away, and what was sent to Luc comes back."""
    for address, respond in (
        ("anna@bergbau.example", _reply),
        ("tomas@ortega.example", _absence),
        ("luc@moreau.example", _report),
    ):
        raw = _wait_for_letter(world, address, is_over)
        if raw is not None:
            respond(world, address, raw)


def poll_now(context: AppContext) -> None:
    """Nobody in a demo waits ten minutes: every mailbox that works is read now."""
    with context.database.session_scope() as session:
        for mailbox in session.exec(select(Mailbox).where(col(Mailbox.removed_at).is_(None))):
            if mailbox.state == "active" and mailbox.active:
                sync_now(session, mailbox)


def make_letter(who: tuple[str, str], to: str, subject: str, text: str, at: datetime | None = None) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = who[0], to, subject
    message["Date"], message["Message-ID"] = format_datetime(at or datetime.now(UTC)), make_msgid(domain=who[1])
    message.set_content(text)
    return message.as_bytes()


def _wait_for_letter(world: World, address: str, is_over: Callable[[], bool]) -> bytes | None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and not is_over():
        letters = world.mailbox(address).letters()
        if letters:
            return letters[-1].raw
        time.sleep(0.2)
    return None


def _reply(world: World, address: str, raw: bytes) -> None:
    text = "Dear Marina,\n\nthank you, that looks good. Could you do the same price for fifty?\n\nAnna"
    octets, to = answer(raw, address, "Anna Berg", text, datetime.now(UTC))
    world.deliver(octets, to)


def _absence(world: World, address: str, raw: bytes) -> None:
    text = "I am out of the office until Monday and will answer then.\n\nTomás Ortega"
    octets, to = answer(raw, address, "Tomás Ortega", text, datetime.now(UTC))
    world.deliver(b"Auto-Submitted: auto-replied\r\n" + octets, to)


def _report(world: World, address: str, raw: bytes) -> None:
    """A delivery report as RFC 3464 has it, with the header section of what came back."""
    heads = raw.partition(b"\r\n\r\n")[0]
    fields = [
        line
        for line in heads.split(b"\r\n")
        if line.lower().startswith((b"message-id:", b"subject:", b"from:", b"to:"))
    ]
    sender = parseaddr(next(line for line in fields if line.lower().startswith(b"from:")).decode()[5:])[1]
    status = (
        f"Reporting-MTA: dns; mx.moreau.example\r\n\r\nFinal-Recipient: rfc822; {address}\r\nAction: failed\r\n"
        "Status: 5.2.2\r\nDiagnostic-Code: smtp; 552 5.2.2 The mailbox is full\r\n"
    )
    parts = [
        b"Content-Type: text/plain\r\n\r\nYour message could not be delivered: the mailbox is full.\r\n",
        b"Content-Type: message/delivery-status\r\n\r\n" + status.encode(),
        b"Content-Type: text/rfc822-headers\r\n\r\n" + b"\r\n".join(fields) + b"\r\n",
    ]
    head = (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.moreau.example\r\nTo: {sender}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        f"Date: {format_datetime(datetime.now(UTC))}\r\nMessage-ID: {make_msgid(domain='mx.moreau.example')}\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="=_report"\r\n\r\n'
    )
    body = b"".join(b"--=_report\r\n" + part + b"\r\n" for part in parts) + b"--=_report--\r\n"
    world.deliver(head.encode() + body, sender)


MONTH = 36
"""Letters."""
_DAYS = 30
_FOLDER = "Archive"
_CUSTOMERS = (
    ("Anna Berg", "anna@bergbau.example", "3098"),
    ("Nadia Rossi", "nadia@rossi.example", "3120"),
    ("Мария Белова", "maria@belova.example", "А-17"),
    ("Office Nord", "info@nord.example", ""),
)
_SENDERS = (*_CUSTOMERS, *((person.name, person.email, "") for person in PEOPLE))
_ORDERS = (
    ("[#{order}] The invoice", "Could you send us the invoice once more?"),
    ("[#{order}] Когда привезёте?", "Подскажите, на какой день назначена доставка?"),
)
_QUESTIONS = (
    ("Desks for six people", "What would six desks cost, with delivery?"),
    ("Shelves for the archive", "We have a wall of four metres. What do you advise?"),
    ("Samples of the fabric", "Could you send samples of the grey and of the green?"),
    ("A chair that wobbles", "One of the twelve chairs wobbles. Whom do I ask?"),
)
_RUSSIAN = (
    ("Чертежи переговорной", "Пришлите, пожалуйста, чертежи стола для переговорной."),
    ("Срок изготовления", "За сколько недель вы сделаете двенадцать стульев?"),
    ("Стулья с подлокотниками", "Есть ли у вас такие же стулья с подлокотниками?"),
)
_MINUTES = (4, 9, 12, 18, 25, 31, 40, 55, 70, 95, 130, 170, 260, 390, 1180, 1500, 4300)
"""After which somebody answers."""


def add_enquiries(session: Session, context: AppContext, mailbox: Mailbox, team: list[User]) -> None:
    """Letters of customers and of strangers; the two newest, and one of nine, wait for an answer still."""
    chance = Random(11)  # noqa: S311  (the same month every time)
    folder = MailboxFolder(mailbox_id=mailbox.id, raw_name=_FOLDER, name=_FOLDER, cut_off=now())
    session.add(folder)
    session.flush()
    for number, at in enumerate(_times(chance)):
        name, address, order = _SENDERS[number * 7 % len(_SENDERS)]
        subject, text = _question(name, order, number)
        raw = make_letter((f"{name} <{address}>", "mail.example"), mailbox.address, subject, f"{text}\n\n{name}", at)
        place = LetterLocation(folder.id, 1, number + 1)
        fetched = FetchedLetter(place, raw, None, len(raw), internal_date=at, fetched_at=at, silent=True)
        taken = accept(session, context, mailbox, fetched)
        if number % 9 != 4 and number < MONTH - 2:
            answered = at + timedelta(minutes=chance.choice(_MINUTES))
            by = team[number % 3 % len(team)].id or 0
            note_answered_elsewhere(session, [AnswerElsewhere(answered, by, frozenset({address}))])
            _complete(session, taken.letter_id or 0, answered)


def _question(name: str, order: str, number: int) -> tuple[str, str]:
    is_russian = name[0] > "Z"
    if order:
        subject, text = _ORDERS[is_russian]
        return subject.replace("{order}", order), text
    questions = _RUSSIAN if is_russian else _QUESTIONS
    return questions[number % len(questions)]


def _times(chance: Random) -> Iterator[datetime]:
    return iter(sorted(working_hour(chance, (number + 1) * _DAYS / MONTH) for number in range(MONTH)))


def _complete(session: Session, letter: int, at: datetime) -> None:
    session.exec(update(Letter).where(col(Letter.id) == letter).values(read_at=at))
    session.exec(
        update(EnquiryStatus).where(col(EnquiryStatus.letter_id) == letter).values(done_at=at + timedelta(minutes=1))
    )
