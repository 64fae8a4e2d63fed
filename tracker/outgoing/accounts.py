"""Sending accounts: secrets and the connection test."""

import imaplib
import smtplib
from dataclasses import dataclass

from imapclient.exceptions import IMAPClientError
from sqlmodel import Session, col, select, update

from tracker.connect import ConnectError, Server, imap, smtp
from tracker.db import now
from tracker.house import House
from tracker.mail_folders import folder_for
from tracker.mail_services import PRESETS, SECURITIES, Preset
from tracker.models import Account, Delivery, DeliveryStatus, Message, OAuthGrant
from tracker.oauth import forget_unused
from tracker.secrets import Undecryptable
from tracker.sentences import Sentence

__all__ = [
    "PRESETS",
    "SECURITIES",
    "CheckResult",
    "Preset",
    "check_account",
    "imap_server",
    "new_by_provider",
    "set_secret",
    "sign_in_by",
    "smtp_server",
    "state_after",
]


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
            return Sentence("%(first)s %(second)s", first=wrong[0], second=wrong[1])
        return wrong[0] if wrong else ""

    @property
    def ok(self) -> bool:
        return self.smtp_ok and self.imap_ok is not False


def set_secret(house: House, account: Account, kind: str, secret: str | None) -> None:
    """Stores (or with None clears) the secret of ``smtp`` or ``imap``, encrypted and bound to this account."""
    sealed = house.ring.encrypt(secret.encode(), _record(account, kind)) if secret else None
    setattr(account, f"{kind}_secret", sealed)


def new_by_provider(user_id: int, provider: str, address: str) -> Account:
    """A new account of the service that this provider signs in to."""
    name = next(name for name, preset in PRESETS.items() if preset.oauth == provider)
    preset = PRESETS[name]
    return Account(
        user_id=user_id,
        address=address,
        preset=name,
        files_own_copy=preset.files_own_copy,
        smtp_host=preset.smtp_host,
        smtp_port=preset.smtp_port,
        smtp_security=preset.smtp_security,
        imap_host=preset.imap_host,
        imap_port=preset.imap_port,
        imap_security=preset.imap_security,
    )


def sign_in_by(house: House, session: Session, account: Account, grant: OAuthGrant) -> None:
    """From now on the account signs in with this grant on both servers; its passwords are forgotten."""
    before, account.oauth_grant_id = account.oauth_grant_id, grant.id
    for kind in ("smtp", "imap"):
        set_secret(house, account, kind, None)
    account.smtp_login = grant.address
    account.imap_login = grant.address if account.imap_host else None
    account.state, account.state_detail, account.checked_at = "unchecked", "", None
    session.add(account)
    if before != grant.id:
        forget_unused(session, before)


def smtp_server(house: House, account: Account) -> Server:
    """Raises :class:`ConnectError` when the secret is missing or cannot be opened."""
    if account.oauth_grant_id is not None:
        return Server(account.smtp_host, account.smtp_port, account.smtp_security, "", "", account.oauth_grant_id)
    secret = _secret(house, account, "smtp") if account.smtp_login else ""
    return Server(account.smtp_host, account.smtp_port, account.smtp_security, account.smtp_login, secret)


def imap_server(house: House, account: Account) -> Server:
    """Raises :class:`ConnectError` when no IMAP is set up or its secret cannot be opened."""
    if not account.imap_host:
        raise ConnectError("no_imap", Sentence("No IMAP server is set up for this account."), permanent=True)
    if account.oauth_grant_id is not None:
        return Server(
            account.imap_host, account.imap_port or 993, account.imap_security or "tls", "", "", account.oauth_grant_id
        )
    login = account.imap_login or account.smtp_login
    secret = _secret(house, account, "imap")  # never the other server's: a changed host must not be given it
    return Server(account.imap_host, account.imap_port or 993, account.imap_security or "tls", login, secret)


def _secret(house: House, account: Account, kind: str) -> str:
    sealed: bytes | None = getattr(account, f"{kind}_secret")
    if sealed is None:
        raise ConnectError(
            "no_secret",
            Sentence(
                "The %(protocol)s password is missing. Enter it in the account’s settings.", protocol=kind.upper()
            ),
            permanent=True,
        )
    try:
        return house.ring.decrypt(sealed, _record(account, kind)).decode()
    except Undecryptable as error:
        raise ConnectError("no_secret", error.sentence, permanent=True) from None


def _record(account: Account, kind: str) -> str:
    return f"account:{account.public_id}:{kind}"


def check_account(house: House, account_id: int) -> CheckResult:
    """Signs in to the servers of an account and notes on it how that went. Holds no transaction while it waits."""
    with house.database.reading() as session:
        account = session.get_one(Account, account_id)
    smtp_ok, smtp_text, code = _try_smtp(house, account)
    imap_ok, imap_text, sent_folder = _try_imap(house, account)
    result = CheckResult(smtp_ok, smtp_text, imap_ok, imap_text, needs_sign_in=code == "needs_sign_in")
    with house.database.session_scope() as session:
        _note(session, account_id, result, sent_folder)
    return result


def _try_smtp(house: House, account: Account) -> tuple[bool, str, str]:
    try:
        with smtp(house, smtp_server(house, account)) as line:
            refusal = _sender_refused(line, account)
    except ConnectError as error:
        return False, error.sentence, error.code
    except (OSError, smtplib.SMTPException) as error:
        return False, Sentence("The line broke during the test: %(problem)s", problem=type(error).__name__), ""
    return (False, refusal, "") if refusal else (True, Sentence("Sending works."), "")


def _sender_refused(line: smtplib.SMTP, account: Account) -> str:
    """Whether the server would take mail from this address: asked, and taken back. Empty when it would, or does not know now."""
    if not account.address.isascii():
        return ""
    code, said = line.mail(account.address)
    line.rset()
    if code // 100 != 5:
        return ""
    words = " ".join(said.decode(errors="replace").split())[:300]
    if code == 530 and not account.smtp_login and account.oauth_grant_id is None:
        return Sentence("The server wants a login and password. It said: “%(said)s”", said=words)
    return Sentence(
        "The server does not let this login send as %(address)s. It said: “%(said)s”",
        address=account.address,
        said=words,
    )


def _try_imap(house: House, account: Account) -> tuple[bool | None, str, str | None]:
    if not account.imap_host:
        return None, "", None
    try:
        with imap(house, imap_server(house, account)) as client:
            folder = folder_for(client, "sent")
    except ConnectError as error:
        return False, error.sentence, None
    except (OSError, IMAPClientError, imaplib.IMAP4.error) as error:
        return False, Sentence("The list of folders could not be read: %(problem)s", problem=str(error)[:300]), None
    if folder is None:
        return False, Sentence("No folder for sent mail was found. Make one named “Sent” in your mail program."), None
    return True, Sentence("The Sent folder is “%(folder)s”.", folder=str(folder)), folder


def state_after(needs_sign_in: bool) -> str:
    return "needs_sign_in" if needs_sign_in else "broken"


def _note(session: Session, account_id: int, result: CheckResult, sent_folder: str | None) -> None:
    account = session.get_one(Account, account_id)
    account.state = "works" if result.ok else state_after(result.needs_sign_in)
    account.state_detail = result.problem
    account.checked_at = now()
    account.sent_folder = sent_folder or account.sent_folder
    session.add(account)
    if result.smtp_ok:
        _retry_now(session, account)


def _retry_now(session: Session, account: Account) -> None:
    """After the account was mended: what waits for it is due at once."""
    of_account = select(Message.id).where(Message.account_id == account.id)
    waits = (col(Delivery.status) == DeliveryStatus.DEFERRED.value) & col(Delivery.message_id).in_(of_account)
    session.exec(update(Delivery).where(waits).values(next_try_at=now()))
