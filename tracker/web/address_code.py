"""Proof that a sending address is somebody's own: a code sent to it, typed in here."""

import hmac
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from tracker.addresses import domain_of
from tracker.connect import smtp
from tracker.db import now
from tracker.house import House
from tracker.locale import gettext as _
from tracker.models import Account
from tracker.outgoing.accounts import smtp_server

DIGITS = 8
SPAN = timedelta(hours=1)


def code_of(house: House, account: Account, at: datetime) -> str:
    """The code of this account, address and hour. Nothing is stored: only our keys can make it."""
    hour = int(at.timestamp() // SPAN.total_seconds())
    digest = house.ring.digest(f"address code {account.public_id} {account.address} {hour}")
    return str(int(digest, 16) % 10**DIGITS).zfill(DIGITS)


def code_fits(house: House, account: Account, typed: str) -> bool:
    """Whether the code is the one of this hour or of the hour before."""
    plain = "".join(c for c in typed if c.isdigit())
    return any(hmac.compare_digest(plain, code_of(house, account, now() - ago)) for ago in (timedelta(), SPAN))


def send_code(house: House, account: Account) -> None:
    """Sends the code to the address, through the account itself. Raises :class:`tracker.connect.ConnectError`, ``OSError`` or
    :class:`smtplib.SMTPException`."""
    mail = EmailMessage()
    mail["From"] = mail["To"] = account.address
    mail["Subject"] = _("Your code for Inkling: %(code)s") % {"code": code_of(house, account, now())}
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=domain_of(account.address))
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(
        _(
            "Type this code on the page of your account in Inkling within an hour. If you did not ask for it, do nothing."
        )
    )
    with smtp(house, smtp_server(house, account)) as line:
        line.send_message(mail)
