"""Proof that a sending address is somebody's own: a code sent to it, typed in on the page of the account."""

import hmac
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from string import digits

from sqlmodel import Session

from tracker.locale import _
from tracker.mail.account_servers import submit_at_once
from tracker.mail.addresses import domain_of
from tracker.models import Account
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText

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
