"""The journey of arriving letters, from the bytes that a server gave to everything they change. One transaction: the caller's.

    place known?  →  understood  →  our own notice?  →  identity known?  →  stored
    →  what does it answer, or what came back?  →  does it ask not to be tracked?
    →  does it count as an enquiry?  →  whose customer is it?  →  who is told

Nothing that a letter holds can make this raise; what does raise (a database that is away) leaves nothing behind and is tried again.
"""

import hashlib
import logging
from collections.abc import Sequence

from sqlmodel import Session, select

from tracker.consent.pending_opt_outs import begin_pause
from tracker.consent.rules import asks_not_to_be_tracked, may_ask
from tracker.crm.answers import note_copies, who_writes_from
from tracker.crm.bind_letters import bind_letters
from tracker.crm.candidates import is_own_address
from tracker.inbound.answering import AnsweredMessage, answer_of, answers_ours, note_answer, notice_answered
from tracker.inbound.enquiry import decide_enquiries
from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter
from tracker.inbound.letter_notifications import add_letter_notice, add_loop_notices, loops, note_problems
from tracker.inbound.own_addresses import is_colleague, own_addresses
from tracker.inbound.parse.category import Judged, categorise
from tracker.inbound.parse.dates import receipt
from tracker.inbound.parse.forwarded import inner_sender, is_forwarded
from tracker.inbound.parse.identity import content_hash, identity
from tracker.inbound.parse.letter import ParsedLetter
from tracker.inbound.parse.reports import read_report
from tracker.inbound.received_letter import ReceivedLetter
from tracker.inbound.report_effects import note_report
from tracker.inbound.storing import keep_places, known_places, make_letters, store_letters, store_unread
from tracker.mail.addresses import Address as Person
from tracker.mail.message_ids import NOTICE_HEADER, is_notice
from tracker.models import Category, Delivery, Letter, Mailbox, Notification, Recipient
from tracker.notifications.notify import announce, notify
from tracker.notifications.webhooks import emit
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import LocalizedText
from tracker.sites.letters import OwnAddresses, attribute_letters, own_addresses_of_rules

log = logging.getLogger(__name__)
_MOST_ASKED_IN = 20_000
_ANSWERS = frozenset(
    {Category.HUMAN, Category.AUTO_REPLY, Category.AUTO_GENERATED, Category.BULK, Category.MDN, Category.REACTION}
)
"""Kinds of letters that are tied to the message of ours whose Message-ID they bear."""


def accept(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
    """Takes one letter in: :func:`accept_all`."""
    return accept_all(session, context, mailbox, [fetched])[0]


def accept_all(
    session: Session, context: AppContext, mailbox: Mailbox, letters: Sequence[FetchedLetter]
) -> list[Accepted]:
    """Takes letters of one folder of ``mailbox`` in, each once, however often and from wherever it is fetched. What became of
    each, in their order. The caller commits.

    Two workers with the same letter make one: the second waits for the first's commit, then adds its copy.
    """
    site_addresses = own_addresses_of_rules(session, mailbox.user_id)
    known = known_places(session, [fetched.place for fetched in letters])
    arrived: list[ReceivedLetter] = []
    outcomes: list[Accepted | None] = []
    for fetched in letters:
        outcome = None
        if fetched.place in known:
            outcome = _known(known[fetched.place])
        elif fetched.unparsed:
            outcome = _unread(session, mailbox, fetched)
        elif (understood := _understood(session, context, mailbox, fetched, site_addresses)) is not None:
            arrived.append(understood)
        else:
            outcome = Accepted("dropped", touch=False)
        outcomes.append(outcome)
    stored = iter(_stored(session, context, mailbox, arrived, site_addresses))
    return [outcome or next(stored) for outcome in outcomes]


def _stored(
    session: Session,
    context: AppContext,
    mailbox: Mailbox,
    arrived: Sequence[ReceivedLetter],
    site_addresses: OwnAddresses,
) -> list[Accepted]:
    """Letters that were understood: their rows, and everything that new ones change."""
    if not arrived:
        return []
    made = make_letters(session, arrived)
    places = [
        (letter, arrival.fetched.place, arrival.fetched.fetched_at)
        for (letter, _), arrival in zip(made, arrived, strict=True)
    ]
    keep_places(session, places)
    new = [(letter, arrival) for (letter, is_new), arrival in zip(made, arrived, strict=True) if is_new]
    store_letters(session, new)
    _apply_effects(session, context, mailbox, new, site_addresses)
    announce(session, mailbox.user_id, "letter", *(letter.public_id for letter, _ in new))
    return [Accepted("new", letter.id, touch=True) if is_new else _known(letter) for letter, is_new in made]


def _known(letter: Letter) -> Accepted:
    return Accepted("deleted" if letter.deleted_at else "known", letter.id, touch=not letter.unparsed)


def _unread(session: Session, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
    """Understanding it failed again and again: its bytes are kept, and its person is told."""
    raw = fetched.read()
    letter, is_new = store_unread(session, mailbox, fetched, raw, hashlib.sha256(raw).hexdigest())
    keep_places(session, [(letter, fetched.place, fetched.fetched_at)])
    if is_new:
        note_problems(session, letter, fetched)
        announce(session, letter.user_id, "letter", letter.public_id)
    return Accepted("new" if is_new else "known", letter.id, touch=False)


def _understood(
    session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter, site_addresses: OwnAddresses
) -> ReceivedLetter | None:
    """The letter with what it is and when it came; None for our own notice, and for what one of us answers to it."""
    raw, parsed = fetched.understood
    mark = parsed.value(NOTICE_HEADER.lower())
    if mark and is_notice(context.keyring, parsed.message_id, mark):
        return None
    own = own_addresses(session, mailbox)
    judged = categorise(parsed, own, False, answers_ours(context.keyring, parsed), mailbox.form_robots)
    notice = notice_answered(context.keyring, parsed)
    if notice is not None and parsed.sender is not None and is_colleague(session, parsed.sender.address):
        if judged.category in (Category.HUMAN, Category.OWN_OUTGOING):
            _tell_that_nobody_reads_it(session, who_writes_from(session, parsed.sender.address, mailbox), notice)
        return None
    came = receipt(fetched.internal_date, parsed.values("received"), parsed.sent_at, fetched.fetched_at)
    content = content_hash(parsed)
    flags = _flags(parsed, judged, fetched)
    return ReceivedLetter(
        mailbox=mailbox,
        fetched=fetched,
        raw=raw,
        parsed=parsed,
        own=own,
        judged=judged,
        receipt=came,
        content_hash=content,
        identity=identity(fetched.gmail_id, parsed.message_id, content),
        flags=flags,
        static=site_addresses.static,
        pool=site_addresses.pool,
        inner=_inner(session, mailbox, raw, parsed) if "forwarded" in flags else None,
    )


def _tell_that_nobody_reads_it(session: Session, user_id: int, notice: str) -> None:
    """Somebody answered a notice as if a customer had written it: once, and never again for the same notice."""
    subject = f"answered-notice:{notice}"
    line = select(Notification.id).where(Notification.user_id == user_id, Notification.subject == subject)
    if session.exec(line).first() is None:
        text = LocalizedText(
            "You answered a notification of Inkling. Nobody gets that: open the letter here and answer it."
        )
        notify(session, user_id, subject, "problem", now(), detail=text)


def _flags(parsed: ParsedLetter, judged: Judged, fetched: FetchedLetter) -> list[str]:
    forwarded = judged.category == Category.HUMAN and is_forwarded(parsed)
    return sorted({*fetched.tags, *(["forwarded"] if forwarded else [])})


def _inner(session: Session, mailbox: Mailbox, raw: bytes, parsed: ParsedLetter) -> Person | None:
    """Whose letter a colleague hands on, where the mailbox asks for it; the sender otherwise stays who sent it."""
    if not mailbox.unwrap_forwarded or parsed.sender is None or not is_colleague(session, parsed.sender.address):
        return None
    return inner_sender(raw, parsed)


def _apply_effects(
    session: Session,
    context: AppContext,
    mailbox: Mailbox,
    new: Sequence[tuple[Letter, ReceivedLetter]],
    site_addresses: OwnAddresses,
) -> None:
    """What new letters mean for our messages, for the count, and for people."""
    looping = loops(session, [letter for letter, _ in new])
    notified = set()
    for letter, arrived in new:
        answers = _answers(session, context, arrived, letter, rings=not (_is_quiet(letter) or letter.id in looping))
        if answers is not None and answers.marks:
            notified.add(letter.id)
    human = [letter for letter, _ in new if letter.category == Category.HUMAN and not _is_quiet(letter)]
    decide_enquiries(session, mailbox, human)
    bound = bind_letters(session, mailbox, [letter for letter, _ in new], looping=looping)
    note_copies(session, mailbox, [letter for letter, _ in new if _is_from_us(session, letter)])
    written = [(letter, arrived.parsed.fields) for letter, arrived in new if letter.category == Category.HUMAN]
    attribute_letters(session, site_addresses, written)
    for letter, arrived in new:
        note_problems(session, letter, arrived.fetched)
        _emit(session, letter)
        if not _is_quiet(letter) and letter.id not in looping:
            is_told = letter.id in notified or (letter.id in bound and bound[letter.id].is_told)
            add_letter_notice(session, mailbox, letter, announced=is_told)
    in_a_loop = [letter for letter, _ in new if letter.id in looping and not _is_quiet(letter)]
    add_loop_notices(session, mailbox, in_a_loop)


def _is_from_us(session: Session, letter: Letter) -> bool:
    """Somebody of us wrote it, and not a program."""
    if letter.category == Category.OWN_OUTGOING:
        return True
    return letter.category == Category.HUMAN and bool(letter.sender) and is_own_address(session, letter.sender)


def _emit(session: Session, letter: Letter) -> None:
    """Webhooks of the mailbox's person hear of the letter."""
    facts = {
        "id": letter.public_id,
        "received_at": letter.received_at,
        "sender": letter.sender_address,
        "subject": letter.subject,
        "category": letter.category,
        "counted": letter.counted,
        "version": 1,
    }
    emit(session, "letter.received", facts, letter.user_id)
    if letter.counted:
        emit(session, "enquiry.created", facts, letter.user_id)


def _is_quiet(letter: Letter) -> bool:
    """Old mail that was met today: stored without counting and without a word."""
    return letter.recovered or letter.backfilled


def _answers(
    session: Session, context: AppContext, arrived: ReceivedLetter, letter: Letter, *, rings: bool
) -> AnsweredMessage | None:
    """What the letter answers, or what came back with it; and whether it asks not to be tracked."""
    answers = None
    if letter.category in (Category.BOUNCE, Category.COMPLAINT):
        report = read_report(arrived.raw, arrived.parsed)
        note_report(session, context, letter, report, rings=not _is_quiet(letter))
    elif letter.category in _ANSWERS:
        answers = answer_of(session, context, arrived, letter)
        if answers is not None:
            note_answer(session, letter, answers, rings=rings)
    if letter.category == Category.HUMAN and (answers is not None or not _is_quiet(letter)):
        _pause_if_asked(session, arrived, letter, answers)
    return answers


def _pause_if_asked(session: Session, arrived: ReceivedLetter, letter: Letter, answer: AnsweredMessage | None) -> None:
    """Pauses tracking of the writer when the new text of the letter asks for it. Quotations do not count."""
    parsed = arrived.parsed
    asks = may_ask(parsed.text[:_MOST_ASKED_IN]) or (parsed.html is not None and may_ask(parsed.html[:_MOST_ASKED_IN]))
    words = asks_not_to_be_tracked(parsed.own_text[:_MOST_ASKED_IN]) if asks else None
    recipient = _writer(session, letter, answer) if words else None
    if words is not None and recipient is not None and recipient.erased_at is None:
        begin_pause(session, recipient, letter, words)


def _writer(session: Session, letter: Letter, answer: AnsweredMessage | None) -> Recipient | None:
    """Whose copy is answered, else whoever we know by this address."""
    if answer is not None and answer.whose.by_a_recipient and answer.whose.copy is not None:
        return session.get_one(Recipient, session.get_one(Delivery, answer.whose.copy).recipient_id)
    return session.exec(select(Recipient).where(Recipient.lookup == letter.sender)).first() if letter.sender else None
