"""The connection test of a sending account; and the proof that its address is somebody's own: a code sent to it, typed in on
its page.
"""

import hmac
import imaplib
import smtplib
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from string import digits

from imapclient.exceptions import IMAPClientError
from sqlmodel import Session

from tracker.locale import _
from tracker.mail.account_servers import PAGE_SECONDS, imap_server, smtp_server, submit_at_once
from tracker.mail.addresses import domain_of
from tracker.mail.connections import ConnectError
from tracker.mail.folders import folder_for
from tracker.mail.imap_session import imap
from tracker.mail.smtp_submission import SmtpConnection, smtp
from tracker.models import Account
from tracker.outbound.accounts import retry_now, state_after
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline
from tracker.runtime.localized_text import ActionError, LocalizedText


@dataclass(frozen=True)
class CheckResult:
    """How the connection test went. ``imap_ok`` is None when no IMAP is set up."""

    smtp_ok: bool
    smtp_text: str
    imap_ok: bool | None
    imap_text: str
    needs_sign_in: bool = False

    @property
    def problem(self) -> str:
        """What is wrong, on either side or on both; empty when nothing is."""
        wrong = [t for ok, t in ((self.smtp_ok, self.smtp_text), (self.imap_ok, self.imap_text)) if not ok and t]
        if len(wrong) == 2 and wrong[0] != wrong[1]:
            return LocalizedText("%(first)s %(second)s", first=wrong[0], second=wrong[1])
        return wrong[0] if wrong else ""

    @property
    def ok(self) -> bool:
        return self.smtp_ok and self.imap_ok is not False


def check_account(context: AppContext, account_id: int) -> CheckResult:
    """Signs in to the servers of an account and notes on it how that went. Holds no transaction while it waits."""
    with context.database.reading() as session:
        account = session.get_one(Account, account_id)
    smtp_ok, smtp_text, code = _try_smtp(context, account)
    imap_ok, imap_text, sent_folder = _try_imap(context, account)
    result = CheckResult(smtp_ok, smtp_text, imap_ok, imap_text, needs_sign_in=code == "needs_sign_in")
    with context.database.session_scope() as session:
        _note(session, account_id, result, sent_folder)
    return result


def _try_smtp(context: AppContext, account: Account) -> tuple[bool, str, str]:
    try:
        with Deadline(PAGE_SECONDS) as deadline, smtp(context, smtp_server(context, account), deadline) as line:
            refusal = _sender_refused(line, account)
    except ConnectError as error:
        return False, error.sentence, error.code
    except (OSError, smtplib.SMTPException) as error:
        return (
            False,
            LocalizedText("The connection broke during the test: %(problem)s", problem=type(error).__name__),
            "",
        )
    return (False, refusal, "") if refusal else (True, LocalizedText("Sending works."), "")


def _sender_refused(line: SmtpConnection, account: Account) -> str:
    """Whether the server would take mail from this address: asked, and taken back. Empty when it would, or does not know now."""
    if not account.address.isascii():
        return ""
    code, said = line.mail(account.address)
    line.rset()
    if code // 100 != 5:
        return ""
    words = " ".join(said.decode(errors="replace").split())[:300]
    if code == 530 and not account.smtp_login and account.oauth_grant_id is None:
        return LocalizedText("The server wants a login and password. It said: “%(said)s”", said=words)
    return LocalizedText(
        "The server does not let this login send as %(address)s. It said: “%(said)s”",
        address=account.address,
        said=words,
    )


def _try_imap(context: AppContext, account: Account) -> tuple[bool | None, str, str | None]:
    if not account.imap_host:
        return None, "", None
    try:
        with Deadline(PAGE_SECONDS) as deadline, imap(context, imap_server(context, account), deadline) as client:
            folder = folder_for(client, "sent")
    except ConnectError as error:
        return False, error.sentence, None
    except (OSError, IMAPClientError, imaplib.IMAP4.error) as error:
        return (
            False,
            LocalizedText("The list of folders could not be read: %(problem)s", problem=str(error)[:300]),
            None,
        )
    if folder is None:
        return (
            False,
            LocalizedText("No folder for sent mail was found. Make one named “Sent” in your mail program."),
            None,
        )
    return True, LocalizedText("The Sent folder is “%(folder)s”.", folder=str(folder)), folder


def _note(session: Session, account_id: int, result: CheckResult, sent_folder: str | None) -> None:
    account = session.get_one(Account, account_id)
    account.state = "works" if result.ok else state_after(result.needs_sign_in)
    account.state_detail = result.problem
    account.checked_at = now()
    account.sent_folder = sent_folder or account.sent_folder
    if result.smtp_ok:
        retry_now(session, account)


DIGITS = 8
SPAN = timedelta(hours=1)


def send_code(context: AppContext, account: Account) -> None:
    """Sends the code to the address, through the account itself. Raises :class:`ActionError` when it could not be sent."""
    mail = EmailMessage()
    mail["From"] = mail["To"] = account.address
    mail["Subject"] = _("Your code for Inkling: %(code)s", code=_code_of(context, account, now()))
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=domain_of(account.address))
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(
        _(
            "Type this code on the page of your address in Inkling within an hour. If you did not ask for it, do nothing."
        )
    )
    outcome = submit_at_once(context, account, account.address, mail.as_bytes(policy=SMTP))
    if not outcome.is_accepted:
        raise ActionError("conflict", LocalizedText("The code could not be sent: %(reason)s", reason=outcome.reply))


def confirm_account(context: AppContext, session: Session, account: Account, typed: str) -> None:
    """The address is its owner's, when the code is that of this hour or of the hour before. Raises :class:`ActionError`."""
    plain = "".join(c for c in typed if c in digits)
    if not any(hmac.compare_digest(plain, _code_of(context, account, now() - ago)) for ago in (timedelta(), SPAN)):
        text = LocalizedText("This is not the code, or it is older than an hour. Look at the newest mail from Inkling.")
        raise ActionError("invalid", text, "code")
    account.confirmed_at = now()
    session.add(account)


def _code_of(context: AppContext, account: Account, at: datetime) -> str:
    """The code of this account, address and hour. Nothing is stored: only our keys can make it."""
    hour = int(at.timestamp() // SPAN.total_seconds())
    digest = context.keyring.digest(f"address code {account.public_id} {account.address} {hour}")
    return str(int(digest, 16) % 10**DIGITS).zfill(DIGITS)
