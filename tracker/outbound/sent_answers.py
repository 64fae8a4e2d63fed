"""Answers that were written in another mail program: the Sent folder of each account is looked at for them, and for nothing else.

Only while somebody waits for an answer, and only header fields; nothing of them is stored but how far the folder was read.
"""

import imaplib
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from email.utils import getaddresses, parsedate_to_datetime

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError
from sqlalchemy import or_
from sqlmodel import Session, col, select

from tracker.crm.answers import WAITED_FOR, AnswerElsewhere, note_answered_elsewhere
from tracker.mail.account_servers import imap_server
from tracker.mail.addresses import lookup_or_none
from tracker.mail.connections import ConnectError
from tracker.mail.folders import folder_for
from tracker.mail.imap_answers import Value
from tracker.mail.imap_commands import fetch
from tracker.mail.imap_session import imap
from tracker.mail.mime.fields import fields
from tracker.mail.smtp_submission import OPENING_SECONDS
from tracker.models import Account, EnquiryStatus, Message
from tracker.outbound.account_pool import WaitingAccount
from tracker.outbound.accounts import TROUBLED
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline, Shutdown
from tracker.runtime.lease import is_free

log = logging.getLogger(__name__)

LEASE = "sent_folder"
EVERY = timedelta(minutes=10)
AFTER_TROUBLE = timedelta(hours=1)
MOST_AT_ONCE = 500
"""Messages of one folder that are looked at in one turn, the newest first."""
MOST_RECIPIENTS = 20
"""What goes to more people than that is a mail-out, and no answer."""
_FETCHED = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID TO CC BCC DATE AUTO-SUBMITTED PRECEDENCE LIST-ID LIST-UNSUBSCRIBE)]"
_MASS = frozenset({"list-id", "list-unsubscribe"})
_TROUBLE = (OSError, IMAPClientError, imaplib.IMAP4.error, ValueError, LookupError, TypeError)


def accounts_to_look_at(session: Session, moment: datetime) -> Sequence[WaitingAccount]:
    """The accounts whose Sent folder is due, as long as somebody waits for an answer."""
    if not _is_waited_for(session, moment):
        return []
    due = or_(col(Account.sent_read_at).is_(None), col(Account.sent_read_at) <= moment)
    free = is_free(LEASE, col(Account.id), moment)
    rows = session.exec(
        select(Account).where(due, free, col(Account.imap_host).is_not(None), col(Account.removed_at).is_(None))
    )
    return [
        WaitingAccount(row.id, row.user_id, row.imap_host or "", row.state in TROUBLED, row.sent_read_at or moment)
        for row in rows
    ]


def next_sent_folder(session: Session) -> datetime | None:
    """When the next Sent folder is due; None while nobody waits."""
    if not _is_waited_for(session, now()):
        return None
    there = (col(Account.imap_host).is_not(None), col(Account.removed_at).is_(None))
    first = select(Account).where(*there).order_by(col(Account.sent_read_at).asc().nulls_first()).limit(1)
    account = session.exec(first).first()
    return None if account is None else account.sent_read_at or now()


def _is_waited_for(session: Session, moment: datetime) -> bool:
    since = col(EnquiryStatus.waiting_since) > moment - WAITED_FOR
    return session.exec(select(EnquiryStatus.letter_id).where(since).limit(1)).first() is not None


def look_for_answers(context: AppContext, account_id: int | None, shutdown: Shutdown) -> int:
    """Reads what is new in the Sent folder of one account. Returns how many enquiries turn out to be answered."""
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, LEASE, account_id)
        account = session.get(Account, account_id)
    if lease is None or account is None:
        return 0
    answers, changed = None, 0
    try:
        with Deadline(OPENING_SECONDS) as deadline, shutdown.watching(deadline):
            answers = _read(context, account, deadline)
    except (ConnectError, *_TROUBLE) as error:
        log.info("account %s: the Sent folder could not be read (%s)", account.public_id, type(error).__name__)
    finally:
        with context.database.session_scope() as session:
            if context.leases.release(session, lease):
                changed = _note(session, account, answers, shutdown)
    return changed


def _note(session: Session, read: Account, answers: Sequence[AnswerElsewhere] | None, shutdown: Shutdown) -> int:
    account = session.get(Account, read.id, with_for_update=True)
    if account is None or shutdown.is_requested:
        return 0
    account.sent_read_at = now() + (AFTER_TROUBLE if answers is None else EVERY)
    if answers is None:
        return 0
    account.sent_uidvalidity, account.sent_uid = read.sent_uidvalidity, read.sent_uid
    return note_answered_elsewhere(session, answers)


def _read(context: AppContext, account: Account, deadline: Deadline) -> list[AnswerElsewhere]:
    """The messages behind the place where the last look ended; the account bears the new place then, unsaved."""
    with imap(context, imap_server(context, account), deadline) as client:
        folder = account.sent_folder or folder_for(client, "sent")
        if folder is None:
            return []
        validity = client.select_folder(folder, readonly=True).get(b"UIDVALIDITY")
        known = account.sent_uid if validity == account.sent_uidvalidity else None
        uids = _new_uids(client, known)
        letters = fetch(client, uids, ["INTERNALDATE", _FETCHED])
    account.sent_uidvalidity, account.sent_uid = validity, max([*uids, known or 0]) or None
    written = [found_answer for item in letters.values() if (found_answer := _answer(account, item)) is not None]
    with context.database.reading() as session:
        ours = _ours(session, [message_id for message_id, _ in written])
    return [answer for message_id, answer in written if message_id not in ours]


def _new_uids(client: IMAPClient, known: int | None) -> list[int]:
    """IMAP gives the last letter for ``n:*`` even where it is older than n (RFC 9051 section 9)."""
    since = f"{now() - WAITED_FOR:%d-%b-%Y}"
    criteria = ["UID", f"{known + 1}:*"] if known else ["SINCE", since]
    return sorted(uid for uid in client.search(criteria) if uid > (known or 0))[-MOST_AT_ONCE:]


def _answer(account: Account, item: dict[bytes, Value]) -> tuple[str, AnswerElsewhere] | None:
    """A message of a person to a few others with its Message-ID; None for what a machine sent or what went to many."""
    section = next((value for key, value in item.items() if key.startswith(b"BODY[HEADER")), None)
    if not isinstance(section, bytes):
        return None
    header = list(fields(section))
    values = {field.name: field.value for field in header}
    recipients = frozenset(_recipients([field.value for field in header if field.name in ("to", "cc", "bcc")]))
    at = _sent_at(item.get(b"INTERNALDATE"), values.get("date", ""))
    by_machine = values.get("auto-submitted", "no").partition(";")[0].strip().lower() != "no"
    to_many = "precedence" in values or _MASS & values.keys() or len(recipients) > MOST_RECIPIENTS
    if at is None or not recipients or by_machine or to_many:
        return None
    return values.get("message-id", "").strip(), AnswerElsewhere(at, account.user_id, recipients)


def _recipients(values: Sequence[str]) -> Iterator[str]:
    for _, address in getaddresses([value.encode("utf-8", "replace").decode() for value in values]):
        if form := lookup_or_none(address.strip()):
            yield form


def _sent_at(internal: Value | None, date: str) -> datetime | None:
    """When the server filed it; its Date where that lies more than a day before, since it was moved here then."""
    filed, written = _moment(internal.decode("ascii", "replace") if isinstance(internal, bytes) else ""), _moment(date)
    if filed is None or (written is not None and filed - written > timedelta(days=1)):
        return written
    return filed


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _ours(session: Session, message_ids: Sequence[str]) -> set[str]:
    """Those that Inkling sent: of them it is known already whom they answered."""
    return set(session.exec(select(Message.message_id).where(col(Message.message_id).in_(message_ids))))
