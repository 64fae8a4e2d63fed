"""Sending accounts: made, changed, confirmed, signed in, removed; and how their servers are reached."""

from collections.abc import Sequence

from sqlalchemy import exists, or_
from sqlmodel import Session, col, func, select, update

from tracker.mail.account_servers import set_secret, shares_secret
from tracker.mail.addresses import lookup_form
from tracker.mail.fields import HOST_MISSING
from tracker.mail.oauth import OAuthError, forget_unused, keep_grant
from tracker.mail.oauth_providers import Granted, Provider
from tracker.mail.services import BY_PROVIDER, PRESETS
from tracker.models import Account, Delivery, DeliveryStatus, Message, MessageState, OAuthGrant, User
from tracker.models.ownership import owned_rows
from tracker.outbound.account_input import AccountChange, NewAccount, ServerChange
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText

KINDS = ("smtp", "imap")
_PORTS = {
    "smtp": {"tls": 465, "starttls": 587, "none": 25},
    "imap": {"tls": 993, "starttls": 143, "none": 143},
}
_PLACE = ("host", "port", "security")
_CHOICES = {"name", "replaces_copy", "per_minute", "per_day", "measure_opens", "measure_clicks"}
_Wrong = dict[str, str]


def create_account(context: AppContext, session: Session, user: User, new: NewAccount) -> Account:
    """A new account of this person, to be checked. Raises :class:`ActionError` that names what does not fit."""
    account = Account(user_id=user.id, name=user.name, address=new.address, smtp_host="", smtp_port=0, smtp_security="")
    if "imap" not in new.model_fields_set and PRESETS[new.preset].imap_host:
        new = new.model_copy(update={"imap": ServerChange()})
    _apply(context, session, account, new)
    session.flush()
    return account


def change_account(context: AppContext, session: Session, account: Account, change: AccountChange) -> None:
    """Changes what is given, and with it what can no longer be true: confirmation of the address, result of the check, the secret
    of a server whose host or login is another one now, and the sign-in at a provider.

    Raises :class:`ActionError` that names what does not fit.
    """
    grant = account.oauth_grant_id
    _apply(context, session, account, change)
    if account.oauth_grant_id != grant:
        forget_unused(session, grant)
    if change.model_fields_set - {"name", "measure_opens", "measure_clicks"}:
        retry_now(session, account)


def retry_now(session: Session, account: Account) -> None:
    """After the account was mended: what waits for it, copies for Sent too, is due at once. What has its time later keeps it."""
    moment = now()
    account.paused_until = account.pause_reason = None
    session.add(account)
    scheduled = exists().where(col(Message.id) == col(Delivery.message_id), col(Message.send_at) > moment)
    put_off = (col(Delivery.account_id) == account.id) & (col(Delivery.next_try_at) > moment)
    waits = col(Delivery.status).in_((DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED))
    session.exec(update(Delivery).where(put_off, waits, ~scheduled).values(next_try_at=moment))
    wanted = (col(Message.account_id) == account.id) & (col(Message.sent_copy) == "wanted")
    session.exec(update(Message).where(wanted).values(sent_copy_at=moment))


def remove_account(context: AppContext, session: Session, account: Account) -> None:
    """Removes the account and forgets its secrets for good. What was sent from it stays.

    Raises :class:`ActionError` ``conflict`` while messages wait to be sent from it.
    """
    if waiting := _count_waiting(session, account):
        raise ActionError("conflict", _waiting_sentence(waiting))
    for kind in KINDS:
        set_secret(context, account, kind, None)
    grant, account.oauth_grant_id = account.oauth_grant_id, None
    account.removed_at = now()
    session.add(account)
    forget_unused(session, grant)


def confirm_accounts(session: Session, address: str) -> int:
    """The operator vouches for an address: everybody’s accounts that send as it are confirmed. How many there are."""
    accounts = [a for a in session.exec(select(Account).where(col(Account.removed_at).is_(None))) if _is_of(a, address)]
    for account in accounts:
        account.confirmed_at = account.confirmed_at or now()
    return len(accounts)


def accounts_of(session: Session, user: User) -> Sequence[Account]:
    """A person's accounts, the oldest first."""
    return session.exec(owned_rows(Account, user).order_by(col(Account.id))).all()


def sign_in_account(
    context: AppContext, session: Session, user: User, provider: Provider, granted: Granted, account: Account | None
) -> Account:
    """The account signs in with what a provider granted from now on. Without one it is the person's account of that address, or
    a new one.

    Raises :class:`OAuthError`, also when the provider does not say whose mailbox it is.
    """
    address = granted.address or (account.smtp_login or account.address if account else None)
    if address is None:
        text = LocalizedText("%(provider)s did not say whose mailbox it is.", provider=provider.name)
        raise OAuthError("needs_sign_in", text)
    account = account or next((a for a in accounts_of(session, user) if _is_of(a, address)), None)
    if account is None:
        new = NewAccount(address=address, preset=BY_PROVIDER[provider.key], name="")
        account = create_account(context, session, user, new)
    sign_in_by(context, session, account, keep_grant(context, session, user.id, provider, granted, address))
    if granted.is_proved and _is_of(account, address):
        account.confirmed_at = account.confirmed_at or now()
    return account


def sign_in_by(context: AppContext, session: Session, account: Account, grant: OAuthGrant) -> None:
    """From now on the account signs in with this grant on both servers; its passwords are forgotten."""
    before, account.oauth_grant_id = account.oauth_grant_id, grant.id
    for kind in ("smtp", "imap"):
        set_secret(context, account, kind, None)
    account.smtp_login = grant.address
    account.imap_login = grant.address if account.imap_host else None
    account.state, account.state_detail, account.checked_at = "unchecked", "", None
    session.add(account)
    if account.id is not None:
        retry_now(session, account)
    if before != grant.id:
        forget_unused(session, before)


TROUBLED = ("broken", "needs_sign_in")
"""The states of an account that could not be used when it was tried last."""


def state_after(needs_sign_in: bool) -> str:
    return "needs_sign_in" if needs_sign_in else "broken"


def _apply(context: AppContext, session: Session, account: Account, change: AccountChange) -> None:
    fields_set, wrong = change.model_fields_set, _Wrong()
    if "address" in fields_set and change.address != account.address:
        account.address, account.confirmed_at = change.address, None
    if "preset" in fields_set:
        account.preset, account.files_own_copy = change.preset, PRESETS[change.preset].files_own_copy
    for name in fields_set & _CHOICES:
        setattr(account, name, getattr(change, name))
    servers = _servers(account, change)
    _change_servers(context, account, servers, wrong)
    if "replaces_copy" in fields_set and change.replaces_copy and not _can_replace(account):
        wrong["replaces_copy"] = LocalizedText(
            "No copy can be replaced: the service files none in the Sent folder, or IMAP is not set up."
        )
    account.replaces_copy = account.replaces_copy and _can_replace(account)
    if wrong:
        raise ActionError.of_fields(wrong)
    if servers:
        account.state, account.state_detail, account.checked_at = "unchecked", "", None
    session.add(account)


def _can_replace(account: Account) -> bool:
    return account.files_own_copy and bool(account.imap_host)


def _servers(account: Account, change: AccountChange) -> dict[str, ServerChange | None]:
    """What is said of each server; another service, and a new account, concern a server even where nothing is said of it."""
    fields_set = change.model_fields_set
    servers = {kind: getattr(change, kind) for kind in KINDS if kind in fields_set}
    if account.id is None or "preset" in fields_set:
        servers.setdefault("smtp", ServerChange())
        if account.imap_host:
            servers.setdefault("imap", ServerChange())
    return servers


def _change_servers(
    context: AppContext, account: Account, servers: dict[str, ServerChange | None], wrong: _Wrong
) -> None:
    before = {kind: _whereabouts(account, kind) for kind in KINDS}
    could_sign_in = account.smtp_secret is not None or account.oauth_grant_id is not None
    is_shared = shares_secret(context, account)
    follows = is_shared and account.imap_login == account.smtp_login
    changes = {kind: server for kind, server in servers.items() if server is not None}
    if len(changes) < len(servers):
        _drop_imap(context, account)
    for kind, server in changes.items():
        _place(account, kind, server, wrong)
    has_moved = any(before[kind][0] not in ("", None, _whereabouts(account, kind)[0]) for kind in changes)
    if has_moved or any(server.secret for server in changes.values()):
        account.oauth_grant_id = None  # the sign-in was meant for those servers
    _take_logins(account, changes, follows)
    for kind in KINDS:
        if kind in changes and "secret" in changes[kind].model_fields_set:
            set_secret(context, account, kind, changes[kind].secret)
        elif _whereabouts(account, kind) != before[kind]:
            set_secret(context, account, kind, None)
    smtp, imap = changes.get("smtp"), changes.get("imap") or ServerChange()
    if smtp and smtp.secret and account.imap_host and is_shared and "secret" not in imap.model_fields_set:
        set_secret(context, account, "imap", smtp.secret)
    if smtp and smtp.login and not smtp.secret and not could_sign_in:
        wrong["smtp.secret"] = LocalizedText(
            "The password is missing. Most services want an app password here, made in their security settings."
        )


def _whereabouts(account: Account, kind: str) -> tuple[str | None, str | None]:
    return getattr(account, f"{kind}_host"), getattr(account, f"{kind}_login")


def _drop_imap(context: AppContext, account: Account) -> None:
    account.imap_host = account.imap_port = account.imap_security = account.imap_login = account.sent_folder = None
    set_secret(context, account, "imap", None)


def _place(account: Account, kind: str, server: ServerChange, wrong: _Wrong) -> None:
    """Where the server is: what was given, or what the service has, which nobody may say otherwise."""
    preset, fields_set = PRESETS[account.preset], server.model_fields_set.intersection(_PLACE)
    if getattr(preset, f"{kind}_host"):
        for part in _PLACE:
            value = getattr(preset, f"{kind}_{part}")
            if part in fields_set and getattr(server, part) != value:
                wrong[f"{kind}.{part}"] = LocalizedText(
                    "%(service)s has its own servers. Leave this out, or choose another service.", service=preset.name
                )
            setattr(account, f"{kind}_{part}", value)
        return
    for part in fields_set:
        setattr(account, f"{kind}_{part}", getattr(server, part))
    if not getattr(account, f"{kind}_host"):
        wrong[f"{kind}.host"] = HOST_MISSING
    security = getattr(account, f"{kind}_security") or {"smtp": "starttls", "imap": "tls"}[kind]
    setattr(account, f"{kind}_security", security)
    setattr(account, f"{kind}_port", getattr(account, f"{kind}_port") or _PORTS[kind][security])


def _take_logins(account: Account, changes: dict[str, ServerChange], follows: bool) -> None:
    """While the account signs in at a provider its login is the provider's word. ``follows``: IMAP had the login of SMTP, and
    keeps to it until it is given its own."""
    if account.oauth_grant_id is None:
        for kind, server in changes.items():
            if "login" in server.model_fields_set:
                setattr(account, f"{kind}_login", server.login)
        if "smtp" in changes and changes["smtp"].secret:
            account.smtp_login = account.smtp_login or account.address
    if account.imap_host:
        is_said = "imap" in changes and "login" in changes["imap"].model_fields_set
        account.imap_login = (account.imap_login if is_said or not follows else "") or account.smtp_login


def _is_of(account: Account, address: str) -> bool:
    return lookup_form(account.address) == lookup_form(address)


def _count_waiting(session: Session, account: Account) -> int:
    """Messages of the account that have not left, or not to everybody."""
    unsent = select(Delivery.message_id).where(
        col(Delivery.status).in_((DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED))
    )
    waits = or_(col(Message.state).in_((MessageState.QUEUED, MessageState.SCHEDULED)), col(Message.id).in_(unsent))
    count = select(func.count()).select_from(Message).where(Message.account_id == account.id, waits)
    return session.exec(count).one()


def _waiting_sentence(waiting: int) -> LocalizedText:
    if waiting == 1:
        return LocalizedText("1 message still waits to be sent from this address. Cancel it or let it leave first.")
    return LocalizedText(
        "Messages that still wait to be sent from this address: %(num)s. Cancel them or let them leave first.",
        num=waiting,
    )
