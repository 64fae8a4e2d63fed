"""A run over one mailbox: claimed, read, and noted how it ended. What is new comes in, once, whatever happens on the way."""

import logging
import time
from collections.abc import Callable

from sqlalchemy import bindparam
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select, update

from tracker.inbound.credentials import server_of
from tracker.inbound.fetch.check import TROUBLE, check_mailbox, meaning
from tracker.inbound.fetch.imap_connection import ImapConnection, MailboxRefused
from tracker.inbound.fetch.imap_run import ImapRun
from tracker.inbound.fetch.letter_importer import ImportStopped, LetterImporter, StoreLetters
from tracker.inbound.fetch.pop3_run import Pop3Run
from tracker.inbound.fetch.quiet_runs import QuietRun, note_quiet_run
from tracker.inbound.fetch.refusals import ServerRefusal
from tracker.inbound.fetch.schedule import Claim, back_off, ended_badly, ended_well, others_wait
from tracker.mail.connections import ConnectError, Server
from tracker.models import Credential, Mailbox, MailboxFolder, MailboxState
from tracker.notifications.notify import add_notice
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline, Shutdown
from tracker.runtime.localized_text import LocalizedText

log = logging.getLogger(__name__)

RUN_SECONDS = 15 * 60.0
TURN_SECONDS = 3 * 60.0
"""How long a run goes on while other mailboxes wait."""
CUT_SECONDS = 20 * 60.0
"""When the lines of a run are cut, whatever it is waiting for."""
_WITH_CREDENTIAL = (
    select(Mailbox, Credential)
    .outerjoin(Credential, col(Credential.id) == col(Mailbox.credential_id))
    .where(col(Mailbox.id) == bindparam("number"))
)


def sync_mailbox(context: AppContext, claim: Claim, take: StoreLetters, shutdown: Shutdown | None = None) -> int:
    """Runs over a claimed mailbox, until ``shutdown`` is requested: then the mailbox is given free, and stays due.

    Returns how many letters are new. Raises only what the database raises.
    """
    if claim.checking and not _works(context, claim):
        return 0
    importer = LetterImporter(context, claim.mailbox_id, claim.lease, take, shutdown or Shutdown())
    try:
        complete, refusal = _read(context, claim, importer)
    except ImportStopped:
        _note(context, claim, importer, lambda mailbox, session: None)
        return importer.loaded
    except SQLAlchemyError:
        raise
    except Exception as error:  # a mistake of ours in one mailbox must not hold up the others, nor this one for ever
        log.exception("mailbox %s: the run failed", claim.mailbox_id)
        text = LocalizedText("Something went wrong inside Inkling: %(problem)s", problem=type(error).__name__)
        complete, refusal = False, ServerRefusal(MailboxState.CONNECTION_ERROR, text)
    if refusal is not None:
        log.info("mailbox %s: %s", claim.mailbox_id, refusal.state)
    was_quiet = complete and refusal is None and not importer.loaded and not importer.silent
    if not (was_quiet and note_quiet_run(QuietRun(context, claim, importer.good_runs)).result()):
        _note(context, claim, importer, lambda m, s: _ended(m, s, claim, refusal, complete))
    return importer.loaded


def _works(context: AppContext, claim: Claim) -> bool:
    """The check before the first run, and after credentials changed."""
    finding = check_mailbox(context, claim.mailbox_id)

    def ended(mailbox: Mailbox, _session: Session) -> None:
        if finding.state == MailboxState.THROTTLED:
            mailbox.due_at = now() + back_off(2)

    works = finding.state == MailboxState.ACTIVE
    if not works:
        _note(context, claim, None, ended)
    return works


def _read(context: AppContext, claim: Claim, importer: LetterImporter) -> tuple[bool, ServerRefusal | None]:
    """Whether the run came to its end, and why it failed if it did."""
    with context.database.reading() as session:
        mailbox, credential = session.exec(_WITH_CREDENTIAL, params={"number": claim.mailbox_id}).one()
    if credential is None or importer.shutdown.is_requested:
        raise ImportStopped
    server: Server | None = None
    try:
        server = server_of(context, credential)
        with Deadline(CUT_SECONDS) as deadline, importer.shutdown.watching(deadline):
            if credential.protocol == "pop3":
                return Pop3Run(context, mailbox, server, importer, _is_over(context), deadline).read(), None
            return _read_imap(context, mailbox, server, importer, deadline), None
    except MailboxRefused as error:
        return False, error.refusal
    except (ConnectError, *TROUBLE) as error:
        if importer.shutdown.is_requested:  # it was we who cut the line
            raise ImportStopped from None
        return False, meaning(server, error)


def _read_imap(
    context: AppContext, mailbox: Mailbox, server: Server, importer: LetterImporter, deadline: Deadline
) -> bool:
    connection = ImapConnection(context, server, deadline)
    try:
        return ImapRun(context, mailbox, connection, importer, _is_over(context)).read()
    finally:
        connection.close()


def _is_over(context: AppContext) -> Callable[[], bool]:
    """Whether a run that begins now has taken its time: less of it while others wait."""
    begun = time.monotonic()

    def is_over() -> bool:
        taken = time.monotonic() - begun
        return taken > RUN_SECONDS or (taken > TURN_SECONDS and others_wait(context))

    return is_over


def _note(
    context: AppContext, claim: Claim, importer: LetterImporter | None, ended: Callable[[Mailbox, Session], None]
) -> None:
    with context.database.session_scope() as session:
        # Held, so that nobody's change comes between our look and what we write.
        mailbox = session.get_one(Mailbox, claim.mailbox_id, with_for_update={"key_share": True})
        if importer is not None and importer.silent:
            subject = f"mailbox:{mailbox.id}:{now():%Y-%m-%dT%H:%M:%S.%f}"
            facts = {"letters": importer.silent}
            add_notice(session, "first_load", subject, mailbox.user_id, mailbox.id, facts=facts)
        if context.leases.release(session, claim.lease):
            for folder, began in importer.good_runs.items() if importer is not None else ():
                session.exec(update(MailboxFolder).where(col(MailboxFolder.id) == folder).values(good_run_at=began))
            mailbox.run_loaded = importer.loaded if importer is not None else 0
            ended(mailbox, session)


def _ended(mailbox: Mailbox, session: Session, claim: Claim, refusal: ServerRefusal | None, complete: bool) -> None:
    if not mailbox.active or mailbox.removed_at is not None or mailbox.state == MailboxState.CHECKING:
        return  # it was switched off or changed meanwhile: nothing is said about it
    if refusal is not None:
        ended_badly(mailbox, session, refusal)
    else:
        ended_well(mailbox, claim, session, complete=complete)
