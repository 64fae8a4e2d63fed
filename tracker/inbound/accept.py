"""The journey of an arriving letter, from the bytes that a server gave to everything they change. One transaction: the caller's.

    copy seen?  →  understood  →  our own notice?  →  identity known?  →  stored
    →  what does it answer, or what came back?  →  does it ask not to be tracked?
    →  does it count as an enquiry?  →  who is told

Nothing that a letter holds can make this raise; what does raise (a database that is away) leaves nothing behind and is tried again.
"""

import hashlib
import logging

from sqlmodel import Session

from tracker.addresses import Mailbox as Person
from tracker.house import House
from tracker.inbound.answering import answer_of, note_answer
from tracker.inbound.asked_to_stop import pause_if_asked
from tracker.inbound.bounce import read_report
from tracker.inbound.category import Judged, judge
from tracker.inbound.dates import receipt
from tracker.inbound.enquiry import decide_enquiry
from tracker.inbound.fetched import Accepted, Fetched
from tracker.inbound.forwarded import inner_sender, is_forwarded
from tracker.inbound.identity import content_hash, identity
from tracker.inbound.own import is_colleague, own_addresses
from tracker.inbound.parse import Parsed, parse
from tracker.inbound.returned import note_returned
from tracker.inbound.storing import Arrived, keep_copy, known_copy, make_letter, store_letter, store_unread
from tracker.inbound.telling import is_loop, note_problems, tell
from tracker.message_ids import NOTICE_HEADER, is_notice
from tracker.models import Category, Letter, Mailbox
from tracker.notify import announce

log = logging.getLogger(__name__)


def accept(session: Session, house: House, mailbox: Mailbox, fetched: Fetched) -> Accepted:
    """Takes a letter of ``mailbox`` in, once, however often and from wherever it is fetched. The caller commits.

    Two workers with the same letter make one: the second waits for the first's commit, then adds its copy.
    """
    known = known_copy(session, fetched.place)
    if known is not None:
        return _known(known)
    raw = fetched.read()
    if fetched.unparsed:
        return _unread(session, mailbox, fetched, raw)
    arrived = _understood(session, house, mailbox, fetched, raw)
    if arrived is None:
        return Accepted("dropped", touch=False)
    letter, is_new = make_letter(session, arrived)
    keep_copy(session, letter, fetched.place, fetched.fetched_at)
    if not is_new:
        return _known(letter)
    store_letter(session, letter, arrived)
    _follow(session, house, arrived, letter)
    announce(session, letter.user_id, "letter", letter.public_id)
    return Accepted("new", letter.id, touch=True)


def _known(letter: Letter) -> Accepted:
    return Accepted("deleted" if letter.deleted_at else "known", letter.id, touch=not letter.unparsed)


def _unread(session: Session, mailbox: Mailbox, fetched: Fetched, raw: bytes) -> Accepted:
    """Understanding it failed again and again: its bytes are kept, and its person is told."""
    letter, is_new = store_unread(session, mailbox, fetched, raw, hashlib.sha256(raw).hexdigest())
    keep_copy(session, letter, fetched.place, fetched.fetched_at)
    if is_new:
        note_problems(session, letter, fetched)
        announce(session, letter.user_id, "letter", letter.public_id)
    return Accepted("new" if is_new else "known", letter.id, touch=False)


def _understood(session: Session, house: House, mailbox: Mailbox, fetched: Fetched, raw: bytes) -> Arrived | None:
    """The letter with what it is and when it came; None for our own notice."""
    parsed = parse(raw)
    mark = parsed.value(NOTICE_HEADER.lower())
    if mark and is_notice(house.ring, parsed.message_id, mark):
        return None
    own = own_addresses(session, mailbox)
    judged = judge(parsed, own, False)
    came = receipt(fetched.internal_date, parsed.values("received"), parsed.sent_at, fetched.fetched_at)
    content = content_hash(parsed)
    flags = _flags(parsed, judged, fetched)
    return Arrived(
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
        inner=_inner(session, mailbox, raw, parsed) if "forwarded" in flags else None,
    )


def _flags(parsed: Parsed, judged: Judged, fetched: Fetched) -> list[str]:
    forwarded = judged.category == Category.HUMAN and is_forwarded(parsed)
    return sorted({*fetched.tags, *(["forwarded"] if forwarded else [])})


def _inner(session: Session, mailbox: Mailbox, raw: bytes, parsed: Parsed) -> Person | None:
    """Whose letter a colleague hands on, where the mailbox asks for it; the sender otherwise stays who sent it."""
    if not mailbox.unwrap_forwarded or parsed.sender is None or not is_colleague(session, parsed.sender.address):
        return None
    return inner_sender(raw, parsed)


def _follow(session: Session, house: House, arrived: Arrived, letter: Letter) -> None:
    """What the letter means for our messages, for the count, and for people."""
    quiet = letter.recovered or letter.backfilled
    loops = is_loop(session, letter)
    answers = None
    if letter.category in (Category.HUMAN, Category.AUTO_REPLY):
        answers = answer_of(session, house, arrived, letter)
        if answers is not None:
            note_answer(session, letter, answers, rings=not (quiet or loops))
    elif letter.category == Category.BOUNCE:
        note_returned(session, house, letter, read_report(arrived.raw), rings=not quiet)
    if letter.category == Category.HUMAN and (answers is not None or not quiet):
        pause_if_asked(session, arrived, letter, answers)
    if letter.category == Category.HUMAN and not quiet:
        decide_enquiry(session, arrived, letter)
    note_problems(session, letter, arrived.fetched)
    if not quiet:
        tell(session, arrived.mailbox, letter, loops=loops, told=answers is not None and answers.marks)
