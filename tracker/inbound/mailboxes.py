"""Mailboxes: connected, changed, switched, removed. What they load is the engine's business."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select, update

from tracker.consent.preferences import preference
from tracker.crm.records import named_record
from tracker.inbound.credentials import (
    can_sign_in,
    change_credential,
    credential_of,
    mailboxes_of,
    make_credential,
    sign_in_by,
    unused_credentials,
)
from tracker.inbound.mailbox_input import MailboxChange, NewCredentials
from tracker.mail.addresses import AddressError, normalise
from tracker.mail.canonical import canonical
from tracker.mail.oauth import OAuthError, keep_grant
from tracker.mail.oauth_providers import Granted, Provider
from tracker.mail.services import BY_PROVIDER
from tracker.models import Credential, FirstWindow, Mailbox, MailboxFolder, MailboxState, ManagerGroup, Shop, User
from tracker.models.ownership import owned_rows
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import free_subject
from tracker.runtime.localized_text import ActionError, LocalizedText


def connect_mailbox(
    session: Session, user_id: int, credential: Credential, choices: MailboxChange | None = None
) -> Mailbox:
    """A new connection, to be checked and fetched at once. One that its person had removed comes back with all its letters.

    Raises :class:`ActionError`: over the limit, connected already (``duplicate``), or a choice that cannot be.
    """
    # One by one, so that the limit holds; not FOR UPDATE, which would wait for every new row that names the person.
    session.exec(select(User.id).where(User.id == user_id).with_for_update(key_share=True)).one()
    _check_limit(session, user_id)
    name = canonical(credential.login, credential.host)
    removed = select(Mailbox).where(Mailbox.user_id == user_id, Mailbox.canonical == name)
    mailbox = session.exec(removed.order_by(col(Mailbox.id).desc())).first()
    if mailbox is not None and mailbox.removed_at is None:
        raise _duplicate(credential)
    mailbox = mailbox or Mailbox(user_id=user_id, canonical=name)
    _revive(session, mailbox)
    mailbox.address = ""
    _use(session, mailbox, credential)
    _choose(session, mailbox, credential, choices or MailboxChange())
    check_soon(mailbox, credential)
    return mailbox


def change_mailbox(session: Session, mailbox: Mailbox, credential: Credential | None, change: MailboxChange) -> None:
    """Changes what is given. ``credential`` is the one it uses from now on. Raises :class:`ActionError`."""
    was_active = mailbox.active
    if credential is not None and credential.id != mailbox.credential_id:
        _use(session, mailbox, credential)
        check_soon(mailbox, credential)
    _choose(session, mailbox, credential, change)
    if mailbox.active and not was_active:
        _switch_on(session, mailbox, credential)
    if was_active and not mailbox.active:
        _switch_off(mailbox)
    if change.model_fields_set & {"folders", "all_folders"} and mailbox.active:
        check_soon(mailbox, credential)
    session.add(mailbox)


def credential_changed(session: Session, credential: Credential) -> None:
    """After :func:`change_credential`: its mailboxes may be others now, and are checked again. Raises :class:`ActionError`."""
    for mailbox in mailboxes_of(session, credential):
        _use(session, mailbox, credential)
        check_soon(mailbox, credential)


def sign_in_mailbox(
    context: AppContext, session: Session, user: User, provider: Provider, granted: Granted, mailbox: Mailbox | None
) -> Mailbox:
    """The mailbox signs in with what a provider granted from now on. Without one, a new one is connected.

    Raises :class:`OAuthError` when the provider does not say whose mailbox it is, and :class:`ActionError` as
    :func:`connect_mailbox` does.
    """
    credential = credential_of(session, mailbox) if mailbox is not None else None
    address = granted.address or (credential.login if credential is not None else None)
    if address is None:
        text = LocalizedText("%(provider)s did not say whose mailbox it is.", provider=provider.name)
        raise OAuthError("needs_sign_in", text)
    grant = keep_grant(context, session, user.id, provider, granted, address)
    new = NewCredentials(preset=BY_PROVIDER[provider.key], login=address, protocol="imap")
    credential = credential or next((c for c in unused_credentials(session, user) if c.login == address), None)
    if credential is None:
        credential = make_credential(session, context, user.id, new)
    else:
        change_credential(session, context, credential, new)
    sign_in_by(credential, grant)
    session.add(credential)
    session.flush()
    if mailbox is None:
        return connect_mailbox(session, user.id, credential)
    credential_changed(session, credential)
    check_soon(mailbox, credential)
    session.add(mailbox)
    return mailbox


def remove_mailbox(session: Session, mailbox: Mailbox) -> Credential | None:
    """Disconnects it; its letters stay, and come back when the same person connects it again.

    Returns the credentials that no mailbox uses any more: offer to delete them.
    """
    mailbox.removed_at, mailbox.due_at, mailbox.sync_wanted = now(), None, False
    mailbox.broken_at = None
    credential = session.get(Credential, mailbox.credential_id) if mailbox.credential_id else None
    session.add(mailbox)
    session.flush()
    return credential if credential is not None and not mailboxes_of(session, credential) else None


def sync_now(session: Session, mailbox: Mailbox) -> None:
    """Fetches at once, whatever pause there is.

    Raises :class:`ActionError` ``conflict`` when the mailbox is switched off or has nothing to sign in with.
    """
    if not mailbox.active or mailbox.removed_at is not None or mailbox.state == MailboxState.NO_CREDENTIALS:
        raise ActionError("conflict", LocalizedText("Switch the mailbox on first, and give it a password."))
    mailbox.sync_wanted, mailbox.due_at = True, now()
    session.add(mailbox)


def connected_mailboxes(session: Session, user: User) -> Sequence[Mailbox]:
    """The person's mailboxes that are not removed, in the order they were connected."""
    return session.exec(owned_rows(Mailbox, user).order_by(col(Mailbox.id))).all()


def check_soon(mailbox: Mailbox, credential: Credential | None) -> None:
    """The worker tries to sign in next, and goes on to fetch when that works."""
    ready = credential is not None and can_sign_in(credential)
    set_state(mailbox, MailboxState.CHECKING if ready else MailboxState.NO_CREDENTIALS)
    mailbox.failures = mailbox.login_failures = 0
    mailbox.due_at = now() if ready else None


def set_state(mailbox: Mailbox, state: str, detail: str = "") -> None:
    if state != mailbox.state:
        mailbox.state_since = now()
    mailbox.state, mailbox.state_detail = state, detail


def _choose(session: Session, mailbox: Mailbox, credential: Credential | None, change: MailboxChange) -> None:
    named_record(session, ManagerGroup, change.group, "group")
    named_record(session, Shop, change.shop, "shop")
    for name in change.model_fields_set - {"credentials"}:
        setattr(mailbox, name, getattr(change, name))
    if "delete_loaded" in change.model_fields_set:
        mailbox.delete_since = (mailbox.delete_since or now()) if mailbox.delete_loaded else None
    if credential is not None and credential.protocol == "pop3":
        if mailbox.mark_read or mailbox.only_unread:
            text = LocalizedText("POP3 knows no read marks. Choose IMAP for this, or leave it off.")
            field = "mark_read" if mailbox.mark_read else "only_unread"
            raise ActionError("invalid", text, field, detail_code="pop3")
        mailbox.folders, mailbox.all_folders = ["INBOX"], False


def _check_limit(session: Session, user_id: int) -> None:
    here = (
        select(func.count()).select_from(Mailbox).where(Mailbox.user_id == user_id, col(Mailbox.removed_at).is_(None))
    )
    most = preference(session, "mailbox_limit")
    if session.exec(here).one() >= most:
        text = LocalizedText(
            "You have %(most)s mailboxes, and that is the limit. Remove one first; an administrator can raise the limit.",
            most=most,
        )
        raise ActionError("conflict", text, "mailbox", detail_code="limit")


def _use(session: Session, mailbox: Mailbox, credential: Credential) -> None:
    """Signs in with these credentials from now on. The database decides whether that mailbox is connected already."""
    try:
        with session.begin_nested():
            mailbox.credential_id = credential.id
            mailbox.canonical = canonical(credential.login, credential.host)
            mailbox.address = mailbox.address or _address(credential.login)
            session.add(mailbox)
            session.flush()
    except IntegrityError:
        raise _duplicate(credential) from None


def _address(login: str) -> str:
    try:
        return normalise(login)
    except AddressError:
        return ""


def _duplicate(credential: Credential) -> ActionError:
    text = LocalizedText(
        "The mailbox %(login)s is connected to Inkling already. A mailbox can be connected only once.",
        login=credential.login,
    )
    return ActionError("conflict", text, "login", detail_code="duplicate")


def _revive(session: Session, mailbox: Mailbox) -> None:
    """As if it were new, but for its letters: what is on the server is looked at by identity again."""
    mailbox.removed_at, mailbox.active, mailbox.active_since = None, True, now()
    mailbox.good_run_at = mailbox.broken_at = mailbox.paused_at = None
    if mailbox.id is not None:
        free_subject(session, "mailbox", mailbox.id)
        fresh = update(MailboxFolder).where(col(MailboxFolder.mailbox_id) == mailbox.id)
        session.exec(fresh.values(uidvalidity=None, last_uid=0, good_run_at=None, cut_off=first_cut_off(mailbox)))


def first_cut_off(mailbox: Mailbox) -> datetime:
    """Letters received before this are not loaded when the mailbox is read for the first time."""
    windows = {FirstWindow.LAST_24H: timedelta(days=1), FirstWindow.FROM_NOW: timedelta()}
    window = windows.get(FirstWindow(mailbox.first_window))
    return datetime(1970, 1, 2, tzinfo=UTC) if window is None else mailbox.active_since - window


def _switch_off(mailbox: Mailbox) -> None:
    mailbox.paused_at, mailbox.due_at, mailbox.sync_wanted = now(), None, False
    mailbox.broken_at = None
    set_state(mailbox, MailboxState.PAUSED)


def _switch_on(session: Session, mailbox: Mailbox, credential: Credential | None) -> None:
    """Letters of the pause are not collected, except as many days of it as the person chose."""
    moment = now()
    begin = max(mailbox.paused_at or moment, moment - timedelta(days=mailbox.collect_pause_days))
    mailbox.active_since, mailbox.paused_at = moment, None
    later = update(MailboxFolder).where(col(MailboxFolder.mailbox_id) == mailbox.id, col(MailboxFolder.cut_off) < begin)
    session.exec(later.values(cut_off=begin))
    check_soon(mailbox, credential)
