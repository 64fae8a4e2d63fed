"""Which addresses are a person's own."""

from sqlmodel import Session, select

from tracker.inbound.repeat import form_of
from tracker.models import Account, Mailbox, User


def own_addresses(session: Session, mailbox: Mailbox) -> frozenset[str]:
    """The addresses that the person of this mailbox writes from and is written to, in look-up form."""
    found = {mailbox.address}
    found |= set(session.exec(select(Mailbox.address).where(Mailbox.user_id == mailbox.user_id)))
    found |= set(session.exec(select(Account.address).where(Account.user_id == mailbox.user_id)))
    found |= set(session.exec(select(User.email).where(User.id == mailbox.user_id)))
    return frozenset(form for address in found if (form := form_of(address)))
