"""Which addresses are a person's own, and which are those of colleagues."""

from sqlmodel import Session, func, select

from tracker.inbound.repeat import form_of
from tracker.models import Account, Mailbox, User


def own_addresses(session: Session, mailbox: Mailbox) -> frozenset[str]:
    """The addresses that the person of this mailbox writes from and is written to, in look-up form."""
    found = {mailbox.address}
    found |= set(session.exec(select(Mailbox.address).where(Mailbox.user_id == mailbox.user_id)))
    found |= set(session.exec(select(Account.address).where(Account.user_id == mailbox.user_id)))
    found |= set(session.exec(select(User.email).where(User.id == mailbox.user_id)))
    return frozenset(form for address in found if (form := form_of(address)))


def is_colleague(session: Session, address: str) -> bool:
    """Somebody of this installation writes from this address."""
    form = form_of(address)
    tables = (User.email, Account.address, Mailbox.address)
    return bool(form) and any(
        session.exec(select(column).where(func.lower(column) == form).limit(1)).first() is not None for column in tables
    )
