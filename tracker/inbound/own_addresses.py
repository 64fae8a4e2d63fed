"""Which addresses are a person's own, and which are those of colleagues."""

from sqlalchemy import select as columns
from sqlalchemy import union_all
from sqlmodel import Session, col, func, select

from tracker.mail.addresses import lookup_or_none
from tracker.models import Account, Mailbox, User


def own_addresses(session: Session, mailbox: Mailbox) -> frozenset[str]:
    """The addresses that the person of this mailbox writes from and is written to, in look-up form. Read once in a
    session."""
    known: dict[tuple[int, str], frozenset[str]] = session.info.setdefault("own_addresses", {})
    if (mailbox.user_id, mailbox.address) not in known:
        known[mailbox.user_id, mailbox.address] = _own_addresses(session, mailbox)
    return known[mailbox.user_id, mailbox.address]


def _own_addresses(session: Session, mailbox: Mailbox) -> frozenset[str]:
    person = mailbox.user_id
    listed = union_all(
        columns(col(Mailbox.address)).where(col(Mailbox.user_id) == person),
        columns(col(Account.address)).where(col(Account.user_id) == person),
        columns(col(User.email)).where(col(User.id) == person),
    )
    addresses = [mailbox.address, *session.connection().execute(listed).scalars()]
    return frozenset(form for address in addresses if (form := lookup_or_none(address)))


def is_colleague(session: Session, address: str) -> bool:
    """Somebody of this installation writes from this address."""
    form = lookup_or_none(address)
    tables = (User.email, Account.address, Mailbox.address)
    return bool(form) and any(
        session.exec(select(column).where(func.lower(column) == form).limit(1)).first() is not None for column in tables
    )
