"""The one clean copy in the sender's Sent folder: no pixel, original links, so that the sender's own reading never counts.

Where the service files a copy of what was submitted (Gmail, Microsoft 365) there is none of ours, unless the person wants that
copy replaced: then ours is filed first and theirs removed after, so that a crash in between loses nothing.
"""

import imaplib
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imapclient import SEEN, IMAPClient
from imapclient.exceptions import IMAPClientError
from sqlalchemy import ColumnElement, literal
from sqlalchemy import select as columns
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select, update

from tracker.mail.account_servers import imap_server
from tracker.mail.connections import ConnectError
from tracker.mail.folders import folder_for
from tracker.mail.imap_commands import body_of, fetch
from tracker.mail.imap_session import imap
from tracker.mail.mime.build import add_addresses
from tracker.mail.smtp_submission import CONTENT_SECONDS, OPENING_SECONDS, SLOWEST_BYTES
from tracker.models import Account, Delivery, Message, MessageBody
from tracker.notifications.notify import announce
from tracker.outbound.account_pool import Turn, WaitingAccount
from tracker.outbound.accounts import TROUBLED
from tracker.outbound.draft_form import written_mailboxes
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline, Shutdown
from tracker.runtime.lease import HeldLease, is_free
from tracker.runtime.limits import MAX_GIVE_UP_HOURS
from tracker.runtime.localized_text import LocalizedError, LocalizedText

log = logging.getLogger(__name__)

FILED = "sent_copy"
"""The kind of lease under which one copy is filed."""
WANTED = col(Message.sent_copy) == literal("wanted", literal_execute=True)
"""Spelt out in the statement: SQLite would not see otherwise that its index holds these alone."""
DEFERRED_TOGETHER = 500
"""Copies of one account that wait together when its server cannot be reached."""
TRIES_FOR_THEIRS = 4
"""So often, half an hour in all, the service's copy is waited for; then ours is filed without."""
_TROUBLE = (OSError, IMAPClientError, imaplib.IMAP4.error, ValueError, LookupError, TypeError)


class _Waits(LocalizedError):
    """Not now, and nobody's fault."""


@dataclass(frozen=True)
class ClaimedSentCopy:
    """A copy that is ours to file."""

    lease: HeldLease
    message: Message
    raw: bytes


def accounts_with_copies(session: Session, moment: datetime) -> list[WaitingAccount]:
    """The accounts that have a copy to be filed now."""
    due = select(Message.sent_copy_at).where(WANTED, col(Message.sent_copy_at) <= moment).limit(1)
    if session.exec(due).first() is None:
        return []
    facts = (col(Account.id), col(Account.user_id), col(Account.imap_host), col(Account.state), _first_due(moment))
    rows = session.connection().execute(columns(*facts))
    orphans = select(Message.sent_copy_at).where(_is_due(col(Message.account_id).is_(None), moment)).limit(1)
    return [WaitingAccount(None, 0, "", False, moment) for _ in session.exec(orphans)] + [
        WaitingAccount(id_, user_id, host or "", state in TROUBLED, since)
        for id_, user_id, host, state, since in rows
        if since is not None
    ]


def _first_due(moment: datetime) -> Any:
    """When the first copy of an account was due, as a column of its row; asked as :func:`tracker.outbound.queue._first_due` is."""
    due = _is_due(col(Message.account_id).between(col(Account.id), col(Account.id)), moment)
    order = col(Message.account_id), col(Message.sent_copy_at)
    return select(Message.sent_copy_at).where(due).order_by(*order).limit(1).correlate(Account).scalar_subquery()


def _is_due(of_account: ColumnElement[bool], moment: datetime) -> ColumnElement[bool]:
    free = is_free(FILED, col(Message.id), moment)
    return of_account & WANTED & (col(Message.sent_copy_at) <= moment) & free


def file_for_account(context: AppContext, account_id: int | None, shutdown: Shutdown) -> int:
    """One turn: so many copies over one connection, each loaded when its time has come. Returns how many were tried."""
    with context.database.reading() as session:
        account = session.get(Account, account_id) if account_id is not None else None
    if account is None or account.imap_host is None:
        return _want_none(context, account_id)
    assert account_id is not None
    claimed = _claim(context, account_id)
    if claimed is None:
        return 0
    try:
        with (
            Deadline(OPENING_SECONDS) as deadline,
            shutdown.watching(deadline),
            imap(context, imap_server(context, account), deadline) as client,
        ):
            return _file_in_turn(context, account, client, deadline, claimed, shutdown)
    except ConnectError as error:
        if shutdown.is_requested:  # it was we who cut the connection
            _give_back(context, claimed)
        else:
            _defer_account(context, account_id, claimed, error)
        return 1
    except BaseException:
        _give_back(context, claimed)
        raise


def _file_in_turn(
    context: AppContext,
    account: Account,
    client: IMAPClient,
    deadline: Deadline,
    first: ClaimedSentCopy,
    shutdown: Shutdown,
) -> int:
    claimed: ClaimedSentCopy | None = first
    turn = Turn(shutdown)
    while claimed is not None:
        try:
            goes_on = _try(context, account, client, deadline, claimed, shutdown)
        except BaseException:
            _give_back(context, claimed)
            raise
        turn.done += 1
        claimed = _claim(context, account.id) if goes_on and not turn.is_over else None
    deadline.restart(OPENING_SECONDS)  # to log out
    return turn.done


def _try(
    context: AppContext,
    account: Account,
    client: IMAPClient,
    deadline: Deadline,
    claimed: ClaimedSentCopy,
    shutdown: Shutdown,
) -> bool:
    """Files one copy and notes how that went. False when the connection may be of no more use."""
    seconds = CONTENT_SECONDS + len(claimed.raw) / SLOWEST_BYTES
    deadline.restart(seconds)
    client.socket().settimeout(seconds)  # the timeout of a socket is for all that is sent at once
    try:
        _file(client, account, claimed.message, claimed.raw)
    except _Waits as wait:
        _defer(context, claimed, wait.sentence)
        return True
    except _TROUBLE as error:
        if shutdown.is_requested:  # it was we who cut the connection
            _give_back(context, claimed)
        else:
            log.warning("message %s: no copy in Sent yet (%s)", claimed.message.public_id, type(error).__name__)
            _defer(context, claimed, str(error)[:500])
        return False
    with context.database.session_scope() as session:
        message = _ours(session, context, claimed)
        if message is not None:
            message.sent_copy, message.sent_copy_detail = "done", ""
            announce(session, message.user_id, "message", message.public_id)
    return True


def _claim(context: AppContext, account_id: int) -> ClaimedSentCopy | None:
    """The next copy of the account; None when there is none. Writes nothing in vain."""
    due = select(Message.id).where(_is_due(col(Message.account_id) == account_id, now()))
    with context.database.reading() as session:
        ids = session.exec(due.order_by(col(Message.sent_copy_at)).limit(5)).all()
    for id_ in ids:
        with context.database.session_scope() as session:
            lease = context.leases.claim(session, FILED, id_)
            message = session.get(Message, id_, with_for_update=True) if lease is not None else None
            if lease is None:
                continue
            if message is not None and message.sent_copy == "wanted":
                body = session.get(MessageBody, id_, execution_options={"inkling_binary": True})
                if body is not None and body.raw is not None:
                    return ClaimedSentCopy(lease, message, _with_bcc(session, message, body))
                message.sent_copy = "none"
            context.leases.release(session, lease)  # somebody has just filed it, or there is nothing to file
    return None


def _with_bcc(session: Session, message: Message, body: MessageBody) -> bytes:
    """The sender's own copy, and that alone, says who was in Bcc (RFC 5322 section 3.6.3)."""
    assert body.raw is not None
    hidden = select(Delivery.address).where(Delivery.message_id == message.id, Delivery.role == "bcc")
    addresses = [address for address in session.exec(hidden.order_by(col(Delivery.position))) if address]
    mailboxes = written_mailboxes(body, "bcc", addresses)
    return add_addresses(body.raw, "Bcc", mailboxes) if mailboxes else body.raw


def _want_none(context: AppContext, account_id: int | None) -> int:
    """Without an account, or without its IMAP, there is no Sent folder."""
    with context.database.session_scope() as session:
        wanted = update(Message).where(col(Message.account_id).is_not_distinct_from(account_id), WANTED)
        return session.exec(wanted.values(sent_copy="none")).rowcount


def _ours(session: Session, context: AppContext, claimed: ClaimedSentCopy) -> Message | None:
    """The message, unless another worker has taken it over or it is gone."""
    if not context.leases.release(session, claimed.lease):
        return None
    return session.get(Message, claimed.message.id, with_for_update=True)


def _defer(context: AppContext, claimed: ClaimedSentCopy, detail: str) -> None:
    with context.database.session_scope() as session:
        message = _ours(session, context, claimed)
        if message is not None:
            _try_later(session, message, detail)


def _defer_account(context: AppContext, account_id: int, claimed: ClaimedSentCopy, error: ConnectError) -> None:
    """There is no connection: everything that is due of the account waits."""
    log.warning("message %s: no copy in Sent yet (%s)", claimed.message.public_id, error.code)
    with context.database.session_scope() as session:
        if not context.leases.release(session, claimed.lease):
            return
        due = select(Message).where(_is_due(col(Message.account_id) == account_id, now()))
        for message in session.exec(due.limit(DEFERRED_TOGETHER).with_for_update(skip_locked=True)):
            _try_later(session, message, error.sentence)


def _try_later(session: Session, message: Message, detail: str) -> None:
    given_up = message.sent_at is not None and now() - message.sent_at > timedelta(hours=MAX_GIVE_UP_HOURS)
    message.sent_copy_tries += 1
    message.sent_copy = "failed" if given_up else "wanted"
    message.sent_copy_detail = detail
    message.sent_copy_at = now() + timedelta(minutes=min(2**message.sent_copy_tries, 120))
    session.add(message)


def _give_back(context: AppContext, claimed: ClaimedSentCopy) -> None:
    """Others may take it at once, unless it was noted."""
    with suppress(DBAPIError), context.database.session_scope() as session:
        context.leases.release(session, claimed.lease)


def _file(client: IMAPClient, account: Account, message: Message, raw: bytes) -> None:
    folder = account.sent_folder or folder_for(client, "sent")
    if folder is None:
        raise _Waits(LocalizedText("No folder for sent mail was found. Make one named “Sent” in your mail program."))
    client.select_folder(folder)
    # After a crash between APPEND and our commit the copy is there already.
    there = client.search(["HEADER", "Message-ID", message.message_id])
    if account.files_own_copy:
        _replace(client, folder, message, raw, there)
    elif not there:
        client.append(folder, raw, flags=(SEEN,), msg_time=message.sent_at)


def _replace(client: IMAPClient, folder: str, message: Message, raw: bytes, there: list[int]) -> None:
    """Ours in the place of those that the service filed. One that is as it was written is left alone."""
    copies = {uid: body_of(fetch(client, [uid], ["BODY.PEEK[]"]).get(uid, {})) or b"" for uid in there}
    theirs = [uid for uid, copy in copies.items() if not _same_body(copy, raw)]
    if not copies and message.sent_copy_tries < TRIES_FOR_THEIRS:
        raise _Waits(LocalizedText("The service has not filed its copy yet."))
    if len(theirs) == len(copies):
        client.append(folder, raw, flags=(SEEN,), msg_time=message.sent_at)
    if theirs:
        _remove(client, theirs, message.message_id)


def _same_body(copy: bytes, raw: bytes) -> bool:
    """Services add header fields of their own; what was rewritten for tracking is in the body."""
    return _body(copy) == _body(raw)


def _body(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip()


def _remove(client: IMAPClient, uids: list[int], message_id: str) -> None:
    """For good. Gmail only archives what is deleted in a folder, except in its bin; elsewhere without UIDPLUS an EXPUNGE would
    take what others marked, so the mark must do."""
    bin_ = folder_for(client, "trash") if client.has_capability("X-GM-EXT-1") else None
    if bin_ is not None and client.has_capability("MOVE"):
        client.move(uids, bin_)
        client.select_folder(bin_)
        uids = client.search(["HEADER", "Message-ID", message_id])
    if uids:
        client.delete_messages(uids)
        if client.has_capability("UIDPLUS"):
            client.uid_expunge(uids)
