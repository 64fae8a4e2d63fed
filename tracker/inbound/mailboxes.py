"""Mailboxes: connected, changed, switched, removed. What they load is the engine's business."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select, update

from tracker.addresses import AddressError, normalise
from tracker.db import now
from tracker.inbound.canonical import canonical
from tracker.inbound.credentials import MailboxError, can_sign_in, mailboxes_of
from tracker.lease import free_subject
from tracker.models import Credential, FirstWindow, Mailbox, MailboxFolder, MailboxState, User
from tracker.preferences import preference
from tracker.sentences import Sentence

LONGEST_PERIOD = 365
CHOICES = frozenset(
    {
        *("name", "address", "active", "repeat_period_days", "folders", "all_folders", "first_window"),
        *("collect_pause_days", "only_unread", "mark_read", "delete_loaded", "delete_after_days", "notify_manager"),
        *("create_customer", "notify_skipped", "unwrap_forwarded", "group", "shop"),
    }
)
"""What a person may choose about a mailbox."""


def connect_mailbox(session: Session, user_id: int, credential: Credential, **choices: Any) -> Mailbox:
    """A new connection, to be checked and fetched at once. One that its person had removed comes back with all its letters.

    Raises :class:`MailboxError`: over the limit, connected already (``duplicate``), or a choice that cannot be.
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
    choose(mailbox, credential, **choices)
    check_soon(mailbox, credential)
    return mailbox


def change_mailbox(session: Session, mailbox: Mailbox, credential: Credential | None, **choices: Any) -> None:
    """Changes what is given. ``credential`` is the one it uses from now on. Raises :class:`MailboxError`."""
    was_active = mailbox.active
    if credential is not None and credential.id != mailbox.credential_id:
        _use(session, mailbox, credential)
        check_soon(mailbox, credential)
    choose(mailbox, credential, **choices)
    if mailbox.active and not was_active:
        _switch_on(session, mailbox, credential)
    if was_active and not mailbox.active:
        _switch_off(mailbox)
    if choices.keys() & {"folders", "all_folders"} and mailbox.active:
        check_soon(mailbox, credential)
    session.add(mailbox)


def credential_changed(session: Session, credential: Credential) -> None:
    """After :func:`change_credential`: its mailboxes may be others now, and are checked again. Raises :class:`MailboxError`."""
    for mailbox in mailboxes_of(session, credential):
        _use(session, mailbox, credential)
        check_soon(mailbox, credential)
        session.add(mailbox)


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


def sync_now(mailbox: Mailbox) -> bool:
    """Fetches at once, whatever pause there is. False when the mailbox is switched off or has nothing to sign in with."""
    if not mailbox.active or mailbox.removed_at is not None or mailbox.state == MailboxState.NO_CREDENTIALS:
        return False
    mailbox.sync_wanted, mailbox.due_at = True, now()
    return True


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


def choose(mailbox: Mailbox, credential: Credential | None, **choices: Any) -> None:
    """Puts a person's choices onto the row. Raises :class:`MailboxError` naming the one that cannot be."""
    for name, value in choices.items():
        if name not in CHOICES:
            raise MailboxError("unknown", name, Sentence("A mailbox has no “%(name)s”.", name=name))
        setattr(mailbox, name, value)
    if "delete_loaded" in choices:
        mailbox.delete_since = (mailbox.delete_since or now()) if mailbox.delete_loaded else None
    _check(mailbox)
    if credential is not None and credential.protocol == "pop3":
        if mailbox.mark_read or mailbox.only_unread:
            text = Sentence("POP3 knows no read marks. Choose IMAP for this, or leave it off.")
            raise MailboxError("pop3", "mark_read" if mailbox.mark_read else "only_unread", text)
        mailbox.folders, mailbox.all_folders = ["INBOX"], False


def _check(mailbox: Mailbox) -> None:
    _check_days(mailbox, "repeat_period_days", LONGEST_PERIOD)
    _check_days(mailbox, "collect_pause_days", LONGEST_PERIOD)
    _check_days(mailbox, "delete_after_days", LONGEST_PERIOD)
    if mailbox.first_window not in tuple(FirstWindow):
        text = Sentence("The first window must be one of %(choices)s.", choices=", ".join(FirstWindow))
        raise MailboxError("unknown", "first_window", text)
    names = mailbox.folders
    if not isinstance(names, list) or not names or len(names) > 100 or not all(_is_name(name) for name in names):
        text = Sentence("Name at least one folder, such as INBOX, and at most 100.")
        raise MailboxError("folders", "folders", text)
    if mailbox.address:
        try:
            mailbox.address = normalise(mailbox.address)
        except AddressError as error:
            raise MailboxError("address", "address", error.sentence) from None


def _check_days(mailbox: Mailbox, field: str, most: int) -> None:
    value = getattr(mailbox, field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise MailboxError("days", field, Sentence("Give whole days from 0 to %(most)s.", most=most))


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= 500 and not any(ord(c) < 32 for c in name)


def _check_limit(session: Session, user_id: int) -> None:
    here = (
        select(func.count()).select_from(Mailbox).where(Mailbox.user_id == user_id, col(Mailbox.removed_at).is_(None))
    )
    most = preference(session, "mailbox_limit")
    if session.exec(here).one() >= most:
        text = Sentence(
            "You have %(most)s mailboxes, and that is the limit. Remove one first; an administrator can raise the limit.",
            most=most,
        )
        raise MailboxError("limit", "", text)


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


def _duplicate(credential: Credential) -> MailboxError:
    text = Sentence(
        "The mailbox %(login)s is connected to Inkling already. A mailbox can be connected only once.",
        login=credential.login,
    )
    return MailboxError("duplicate", "login", text)


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
