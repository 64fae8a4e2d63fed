"""Recipients: one row per person, however the address is spelled."""

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from tracker.addresses import lookup_form, normalise
from tracker.models import Recipient


def find(session: Session, address: str) -> Recipient | None:
    """The recipient with this address, however it is spelled. Raises :class:`tracker.addresses.AddressError`."""
    return session.exec(select(Recipient).where(Recipient.lookup == lookup_form(address))).first()


def find_or_make(session: Session, address: str, name: str = "") -> Recipient:
    """The recipient with this address, made when there is none. A name is remembered when none was known.

    Raises :class:`tracker.addresses.AddressError`.
    """
    found = find(session, address) or _insert(session, address, name)
    if name and not found.name:
        found.name = name[:200]
        session.add(found)
    return found


def _insert(session: Session, address: str, name: str) -> Recipient:
    try:
        with session.begin_nested():
            made = Recipient(address=normalise(address), lookup=lookup_form(address), name=name[:200])
            session.add(made)
        return made
    except IntegrityError:  # another process made it between our look and our insert
        return session.exec(select(Recipient).where(Recipient.lookup == lookup_form(address))).one()
