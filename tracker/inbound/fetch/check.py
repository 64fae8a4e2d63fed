"""The check of a mailbox: sign in, look, sign out. No letter is loaded, no flag is changed."""

import imaplib
import poplib
from dataclasses import dataclass, field

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tracker.inbound.credentials import server_of
from tracker.inbound.fetch.pop3 import pop3
from tracker.inbound.fetch.refusals import ServerRefusal, read_refusal
from tracker.inbound.mailboxes import set_state
from tracker.mail.connections import ConnectError, Server
from tracker.mail.folders import Folder, folders_of
from tracker.mail.imap_commands import open_folder
from tracker.mail.imap_session import imap
from tracker.models import Credential, Mailbox, MailboxState
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline
from tracker.runtime.localized_text import LocalizedText

STEP_SECONDS = 8.0
WHOLE_SECONDS = 30.0
TROUBLE = (OSError, IMAPClientError, imaplib.IMAP4.error, poplib.error_proto, ValueError)
"""What a talk with a mail server may end in."""


@dataclass(frozen=True)
class MailboxCheck:
    """How the check went: a state of :class:`MailboxState` and, unless it is ``active``, what to do about it."""

    state: str
    detail: str = ""
    folders: list[str] = field(default_factory=list)
    letters: int | None = None
    capabilities: list[str] = field(default_factory=list)


def check_mailbox(context: AppContext, mailbox_id: int) -> MailboxCheck:
    """Signs in, opens the folders read-only, and notes on the row how that went. Holds no transaction while it waits."""
    with context.database.reading() as session:
        mailbox = session.get_one(Mailbox, mailbox_id)
        credential = session.get(Credential, mailbox.credential_id) if mailbox.credential_id else None
    finding = try_to_read(context, mailbox, credential)
    with context.database.session_scope() as session:
        _note(session.get_one(Mailbox, mailbox_id), finding)
    return finding


def try_to_read(context: AppContext, mailbox: Mailbox, credential: Credential | None) -> MailboxCheck:
    if credential is None:
        return MailboxCheck(MailboxState.NO_CREDENTIALS, LocalizedText("Choose the credentials to sign in with."))
    server = None
    try:
        server = server_of(context, credential)
        with Deadline(WHOLE_SECONDS) as deadline:
            if credential.protocol == "pop3":
                with pop3(context, server, deadline, STEP_SECONDS) as line:
                    finding = MailboxCheck(MailboxState.ACTIVE, letters=len(line.uidls()), folders=["INBOX"])
                    line.quit()
                    return finding
            with imap(context, server, deadline, STEP_SECONDS) as client:
                return _look(client, mailbox)
    except ConnectError as error:
        refusal = meaning(server, error)
        return MailboxCheck(refusal.state, refusal.hint)
    except TROUBLE as error:
        refusal = meaning(server, error)
        return MailboxCheck(refusal.state, refusal.hint)


def _look(client: IMAPClient, mailbox: Mailbox) -> MailboxCheck:
    folders = folders_of(client)
    names = [folder.name for folder in folders]
    capabilities = sorted(c.decode("ascii", "replace") for c in client.capabilities())
    letters = 0
    for name in ["INBOX"] if mailbox.all_folders else mailbox.folders:
        folder = next((f for f in folders if f.is_named(name)), None)
        opened = _open(client, folder) if folder is not None else None
        if opened is None:
            return MailboxCheck(MailboxState.FOLDER_MISSING, _missing(name), names, None, capabilities)
        letters += opened
    return MailboxCheck(MailboxState.ACTIVE, "", names, letters, capabilities)


def _open(client: IMAPClient, folder: Folder) -> int | None:
    """How many letters there are; None when the server refuses to open it."""
    try:
        return open_folder(client, folder.raw).letters
    except imaplib.IMAP4.abort:
        raise
    except (IMAPClientError, imaplib.IMAP4.error, ValueError):
        return None


def _missing(name: str) -> LocalizedText:
    return LocalizedText("The folder “%(folder)s” cannot be opened. Choose one of the folders found.", folder=name)


def meaning(server: Server | None, error: Exception) -> ServerRefusal:
    """What a failure means for the state of a mailbox, with words for its person. Never holds the secret."""
    words = str(error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else error)
    words = _without_secret(server, words)
    code = error.code if isinstance(error, ConnectError) else ""
    host = server.host if server is not None else ""
    if server is not None and server.grant is not None and isinstance(error, ConnectError) and code == "login_refused":
        return ServerRefusal(MailboxState.AUTH_ERROR, _clean(server, error))
    login = code in ("login_refused", "needs_oauth")
    said = error.sentence.values.get("said", words) if login and isinstance(error, ConnectError) and isinstance(
        error.sentence, LocalizedText) else words  # fmt: skip
    refusal = read_refusal(host, _without_secret(server, str(said)), login=login)
    if refusal is not None:
        return refusal
    if isinstance(error, ConnectError):
        return ServerRefusal(_STATES.get(code, MailboxState.CONNECTION_ERROR), _clean(server, error))
    text = LocalizedText(
        "The connection to %(host)s broke off: %(problem)s.", host=host, problem=" ".join(words.split())[:300]
    )
    return ServerRefusal(MailboxState.CONNECTION_ERROR, text)


_STATES = {
    "no_secret": MailboxState.NO_CREDENTIALS,
    "undecryptable": MailboxState.AUTH_ERROR,
    "needs_sign_in": MailboxState.NEEDS_OAUTH,
}


def _clean(server: Server | None, error: ConnectError) -> LocalizedText:
    sentence = error.sentence
    if not isinstance(sentence, LocalizedText):
        return LocalizedText(_without_secret(server, sentence).replace("%", "%%"))
    values = {n: _without_secret(server, v) if type(v) is str else v for n, v in sentence.values.items()}
    return LocalizedText(sentence.msgid, **values)


def _without_secret(server: Server | None, words: str) -> str:
    return words.replace(server.secret, "****") if server is not None and server.secret else words


def _note(mailbox: Mailbox, finding: MailboxCheck) -> None:
    set_state(mailbox, finding.state if mailbox.active else MailboxState.PAUSED, finding.detail)
    mailbox.checked_at = now()
    if finding.folders:
        mailbox.found_folders = finding.folders[:1000]
    if finding.capabilities:
        mailbox.capabilities = finding.capabilities
        mailbox.gmail = "X-GM-EXT-1" in finding.capabilities
    if finding.letters is not None:
        mailbox.letters_on_server = finding.letters
    if not mailbox.active or finding.state not in (MailboxState.ACTIVE, MailboxState.THROTTLED):
        mailbox.due_at = None
