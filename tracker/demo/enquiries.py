"""The enquiries of the month behind the demo, taken in as letters are, and answered after a time as people take.

The same month every time but for the clock.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from sqlmodel import Session, col, update

from tracker.crm.answers import AnswerElsewhere, note_answered_elsewhere
from tracker.demo.history import PEOPLE, working_hour
from tracker.demo.incoming import make_letter
from tracker.inbound.accept import accept
from tracker.inbound.fetch.fetched_letter import FetchedLetter, LetterLocation
from tracker.models import EnquiryStatus, Letter, Mailbox, MailboxFolder, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

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
    folder = MailboxFolder(mailbox_id=mailbox.id or 0, raw_name=_FOLDER, name=_FOLDER, cut_off=now())
    session.add(folder)
    session.flush()
    for number, at in enumerate(_times(chance)):
        name, address, order = _SENDERS[number * 7 % len(_SENDERS)]
        subject, text = _question(name, order, number)
        raw = make_letter((f"{name} <{address}>", "mail.example"), mailbox.address, subject, f"{text}\n\n{name}", at)
        place = LetterLocation(folder.id or 0, 1, number + 1)
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
