"""How the servers of a sending account are reached: where they are, and the secrets that open them."""

import math
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ScalarSelect
from sqlmodel import Session, col, select

from tracker.mail.connections import ConnectError, Server
from tracker.mail.smtp_submission import Outcome, deferred, submit
from tracker.models import Account, User
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Shutdown
from tracker.runtime.keyring import Undecryptable
from tracker.runtime.localized_text import LocalizedText


def working_account(session: Session, user: User) -> Account | None:
    """The person's first account whose last test or hand-over went well."""
    mine = (col(Account.user_id) == user.id) & col(Account.removed_at).is_(None) & (col(Account.state) == "works")
    return session.exec(select(Account).where(mine).order_by(col(Account.id)).limit(1)).first()


PAGE_SECONDS = 30.0


class WaitingSender(NamedTuple):
    """Somebody for whom mail of ours is to leave through an account of their own, and may have to wait for its server."""

    user_id: int
    host: str
    is_troubled: bool
    since: datetime


def working_host(user_id: Any) -> ScalarSelect[str]:
    """The server of :func:`working_account`, for whoever's key stands in a column."""
    mine = (col(Account.user_id) == user_id) & col(Account.removed_at).is_(None) & (col(Account.state) == "works")
    return select(Account.smtp_host).where(mine).order_by(col(Account.id)).limit(1).scalar_subquery()


def set_secret(context: AppContext, account: Account, kind: str, secret: str | None) -> None:
    """Stores (or with None clears) the secret of ``smtp`` or ``imap``, encrypted and bound to this account."""
    sealed = context.keyring.encrypt(secret.encode(), record_of(account, kind)) if secret else None
    setattr(account, f"{kind}_secret", sealed)


def smtp_server(context: AppContext, account: Account) -> Server:
    """Raises :class:`ConnectError` when the secret is missing or cannot be opened."""
    if account.oauth_grant_id is not None:
        return Server(account.smtp_host, account.smtp_port, account.smtp_security, "", "", account.oauth_grant_id)
    secret = _secret(context, account, "smtp") if account.smtp_login else ""
    return Server(account.smtp_host, account.smtp_port, account.smtp_security, account.smtp_login, secret)


def submit_from(
    context: AppContext,
    account: Account,
    recipient: str,
    raw: bytes,
    shutdown: Shutdown | None = None,
    seconds: float = math.inf,
) -> Outcome:
    """Hands one message over through the account, on a connection of its own, as
    :func:`tracker.mail.smtp_submission.submit` does. Never raises: an account that cannot be used puts it off."""
    try:
        server = smtp_server(context, account)
    except ConnectError as error:
        return deferred(error)
    return submit(context, server, account.address, recipient, raw, shutdown, seconds)


def submit_at_once(context: AppContext, account: Account, recipient: str, raw: bytes) -> Outcome:
    """The same for a page that waits for it: pages have few threads, and a server that drips must not take them."""
    return submit_from(context, account, recipient, raw, seconds=PAGE_SECONDS)


def imap_server(context: AppContext, account: Account) -> Server:
    """Raises :class:`ConnectError` when no IMAP is set up or its secret cannot be opened."""
    if not account.imap_host:
        raise ConnectError("no_imap", LocalizedText("No IMAP server is set up for this address."), permanent=True)
    if account.oauth_grant_id is not None:
        return Server(
            account.imap_host, account.imap_port or 993, account.imap_security or "tls", "", "", account.oauth_grant_id
        )
    login = account.imap_login or account.smtp_login
    secret = _secret(context, account, "imap")  # never the other server's: a changed host must not be given it
    return Server(account.imap_host, account.imap_port or 993, account.imap_security or "tls", login, secret)


def _secret(context: AppContext, account: Account, kind: str) -> str:
    sealed: bytes | None = getattr(account, f"{kind}_secret")
    if sealed is None:
        raise ConnectError(
            "no_secret",
            LocalizedText(
                "The %(protocol)s password is missing. Enter it in the settings of the address.", protocol=kind.upper()
            ),
            permanent=True,
        )
    try:
        return context.keyring.decrypt(sealed, record_of(account, kind)).decode()
    except Undecryptable as error:
        raise ConnectError("no_secret", error.sentence, permanent=True) from None


def shares_secret(context: AppContext, account: Account) -> bool:
    """Whether IMAP signs in with the password of SMTP, or has none of its own: until somebody gives it another one."""
    if account.imap_secret is None:
        return True
    try:
        return account.smtp_secret is not None and _secret(context, account, "smtp") == _secret(
            context, account, "imap"
        )
    except ConnectError:
        return False


def record_of(account: Account, kind: str) -> str:
    return f"account:{account.public_id}:{kind}"
