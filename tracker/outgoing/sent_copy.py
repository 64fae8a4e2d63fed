"""The one clean copy in the sender's Sent folder: no pixel, original links, so that the sender's own reading never counts.

Where the service files a copy of what was submitted (Gmail, Microsoft 365) there is none of ours, unless the person wants that
copy replaced: then ours is filed first and theirs removed after, so that a crash in between loses nothing.
"""

import imaplib
import logging
from datetime import timedelta

from imapclient import SEEN, IMAPClient
from imapclient.exceptions import IMAPClientError
from sqlmodel import col, select, update

from tracker.connect import ConnectError
from tracker.db import now
from tracker.house import House
from tracker.imap_session import imap
from tracker.limits import MAX_GIVE_UP_HOURS
from tracker.mail_folders import folder_for
from tracker.models import Account, Message, MessageBody
from tracker.notify import announce
from tracker.outgoing.accounts import imap_server
from tracker.sentences import Sentence, Told

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
TRIES_FOR_THEIRS = 4
"""So often, half an hour in all, the service's copy is waited for; then ours is filed without."""


class _Waits(Told):
    """Not now, and nobody's fault."""


def append_due(house: House) -> int:
    """Files one clean copy that is due. Returns 1 when there was one, else 0."""
    claimed = _claim(house)
    if claimed is None:
        return 0
    message, account, raw = claimed
    try:
        with imap(house, imap_server(house, account)) as client:
            _file(client, account, message, raw)
        _note(house, message, "done", "")
    except _Waits as wait:
        _later(house, message, wait.sentence)
    except (ConnectError, OSError, IMAPClientError, imaplib.IMAP4.error) as error:
        log.warning("message %s: no copy in Sent yet (%s)", message.public_id, type(error).__name__)
        _later(house, message, error.sentence if isinstance(error, ConnectError) else str(error)[:500])
    return 1


def _claim(house: House) -> tuple[Message, Account, bytes] | None:
    """The next message that wants its copy, put off for the time of the lease, so that no other worker takes it too."""
    with house.database.session_scope() as session:
        moment = now()
        due = (col(Message.sent_copy) == "wanted") & (col(Message.sent_copy_at) <= moment)
        message = session.exec(select(Message).where(due).order_by(col(Message.sent_copy_at)).limit(1)).first()
        if message is None:
            return None
        claim = update(Message).where(col(Message.id) == message.id, due).values(sent_copy_at=moment + LEASE)
        if session.exec(claim).rowcount != 1:
            return None
        account = session.get(Account, message.account_id) if message.account_id else None
        body = session.get(MessageBody, message.id)
        if account is None or account.imap_host is None or body is None or body.raw is None:
            message.sent_copy = "none"
            session.add(message)
            return None
        return message, account, body.raw


def _file(client: IMAPClient, account: Account, message: Message, raw: bytes) -> None:
    folder = account.sent_folder or folder_for(client, "sent")
    if folder is None:
        raise _Waits(Sentence("No folder for sent mail was found. Make one named “Sent” in your mail program."))
    client.select_folder(folder)
    # After a crash between APPEND and our commit the copy is there already.
    there = client.search(["HEADER", "Message-ID", message.message_id])
    if account.files_own_copy:
        _replace(client, folder, message, raw, there)
    elif not there:
        client.append(folder, raw, flags=(SEEN,), msg_time=message.sent_at)


def _replace(client: IMAPClient, folder: str, message: Message, raw: bytes, there: list[int]) -> None:
    """Ours in the place of those that the service filed. One that is as it was written is left alone."""
    copies = {uid: client.fetch([uid], ["BODY.PEEK[]"])[uid].get(b"BODY[]", b"") for uid in there}
    theirs = [uid for uid, copy in copies.items() if not _same_body(copy, raw)]
    if not copies and message.sent_copy_tries < TRIES_FOR_THEIRS:
        raise _Waits(Sentence("The service has not filed its copy yet."))
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


def _note(house: House, message: Message, state: str, detail: str) -> None:
    with house.database.session_scope() as session:
        row = session.get_one(Message, message.id)
        row.sent_copy, row.sent_copy_detail = state, detail
        session.add(row)
        announce(session, row.user_id, "message", row.public_id)


def _later(house: House, message: Message, detail: str) -> None:
    given_up = message.sent_at is not None and now() - message.sent_at > timedelta(hours=MAX_GIVE_UP_HOURS)
    with house.database.session_scope() as session:
        row = session.get_one(Message, message.id)
        row.sent_copy_tries += 1
        row.sent_copy = "failed" if given_up else "wanted"
        row.sent_copy_detail = detail
        row.sent_copy_at = now() + timedelta(minutes=min(2**row.sent_copy_tries, 120))
        session.add(row)
