"""One connection: an account to send from and a mailbox to read, of one address, with one password or one sign-in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from sqlmodel import Session

from tracker.inbound.credentials import change_credential, credential_of, delete_credential, make_credential
from tracker.inbound.fetch.check import MailboxCheck, check_mailbox
from tracker.inbound.mailbox_input import MailboxChange, NewCredentials
from tracker.inbound.mailboxes import (
    connect_mailbox,
    connected_mailboxes,
    credential_changed,
    remove_mailbox,
    sign_in_mailbox,
)
from tracker.mail.addresses import lookup_or_none
from tracker.mail.oauth_providers import Granted, Provider
from tracker.models import Account, Mailbox, MailboxState, User
from tracker.outbound.account_check import CheckResult, check_account
from tracker.outbound.account_input import NewAccount
from tracker.outbound.accounts import accounts_of, change_account, create_account, remove_account, sign_in_account
from tracker.runtime.context import AppContext

Row = TypeVar("Row", Account, Mailbox)


@dataclass(frozen=True)
class Connection:
    """What was connected, and what of it was not there before."""

    account: Account
    mailbox: Mailbox
    new_account: bool
    new_mailbox: bool


@dataclass(frozen=True)
class ConnectionCheck:
    sending: CheckResult
    reading: MailboxCheck

    @property
    def reads(self) -> bool:
        return self.reading.state in (MailboxState.ACTIVE, MailboxState.THROTTLED)

    @property
    def ok(self) -> bool:
        return self.sending.ok and self.reads


def connect(context: AppContext, user: User, account: NewAccount, credentials: NewCredentials) -> Connection:
    """Connects sending and reading of an address, or gives those that its person has new servers and a new password.

    Raises :class:`ActionError` that names what does not fit; nothing is changed then.
    """
    with context.database.session_scope() as session:
        sending = own_of_address(accounts_of(session, user), account.address)
        is_new = sending is None
        if sending is None:
            sending = create_account(context, session, user, account)
        else:
            change_account(context, session, sending, account)
        reading = own_of_address(connected_mailboxes(session, user), account.address)
        mailbox = _read_with(context, session, user, reading, credentials)
    return Connection(sending, mailbox, is_new, reading is None)


def _read_with(
    context: AppContext, session: Session, user: User, mailbox: Mailbox | None, credentials: NewCredentials
) -> Mailbox:
    credential = credential_of(session, mailbox) if mailbox is not None else None
    if mailbox is None or credential is None:
        made = make_credential(session, context, user.id, credentials)
        return connect_mailbox(session, user.id, made, MailboxChange(address=credentials.address))
    change_credential(session, context, credential, credentials)
    credential_changed(session, credential)
    return mailbox


def connect_by_sign_in(context: AppContext, user: User, provider: Provider, granted: Granted) -> Connection:
    """The same after a sign-in at a provider. Raises :class:`OAuthError` and :class:`ActionError`."""
    with context.database.session_scope() as session:
        address = granted.address or ""
        had_account = own_of_address(accounts_of(session, user), address)
        account = sign_in_account(context, session, user, provider, granted, had_account)
        had_mailbox = own_of_address(connected_mailboxes(session, user), address)
        mailbox = sign_in_mailbox(context, session, user, provider, granted, had_mailbox)
    return Connection(account, mailbox, had_account is None, had_mailbox is None)


def check(context: AppContext, connection: Connection) -> ConnectionCheck:
    """Signs in to both servers and notes how that went. When neither works, what is new of it is taken back."""
    result = ConnectionCheck(
        check_account(context, connection.account.id), check_mailbox(context, connection.mailbox.id)
    )
    if not result.sending.smtp_ok and not result.reads:
        _take_back(context, connection)
    return result


def _take_back(context: AppContext, connection: Connection) -> None:
    with context.database.session_scope() as session:
        if connection.new_mailbox:
            mailbox = session.get_one(Mailbox, connection.mailbox.id)
            unused = remove_mailbox(session, mailbox)
            if unused is not None:
                mailbox.credential_id = None
                session.flush()
                delete_credential(session, unused)
        if connection.new_account:
            remove_account(context, session, session.get_one(Account, connection.account.id))


def own_of_address(rows: Iterable[Row], address: str) -> Row | None:
    """The first of a person's accounts or mailboxes with that address."""
    wanted = lookup_or_none(address)
    return next((row for row in rows if wanted is not None and lookup_or_none(row.address) == wanted), None)
