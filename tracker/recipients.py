"""Recipients: one row per person, however the address is spelled. An erased one is known again by its digest."""

from collections.abc import Iterable, Mapping

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from tracker.addresses import lookup_form, normalise
from tracker.models import Recipient


def find(session: Session, address: str) -> Recipient | None:
    """The recipient with this address, however it is spelled. Raises :class:`tracker.addresses.AddressError`."""
    return find_all(session, [address]).get(lookup_form(address))


def find_all(session: Session, addresses: Iterable[str]) -> Mapping[str, Recipient]:
    """The recipients among these addresses, by their look-up forms; erased ones too, whose rows tell of nobody.

    Raises :class:`tracker.addresses.AddressError`.
    """
    form_of = {name: form for form in map(lookup_form, addresses) for name in (form, *suppressions(session, form))}
    rows = session.exec(select(Recipient).where(col(Recipient.lookup).in_(form_of))).all()
    return {form_of[row.lookup]: row for row in rows}


def suppressions(session: Session, form: str) -> list[str]:
    """What stands in ``lookup`` of a recipient with this address who was erased."""
    names: list[str] = session.info["suppressions"](form)
    return names


def find_or_make(session: Session, address: str, name: str = "") -> Recipient:
    """The recipient with this address, made when there is none. A name is remembered when none was known.

    Raises :class:`tracker.addresses.AddressError`.
    """
    found = find(session, address) or _insert(session, address, name)
    if name and not found.name and found.erased_at is None:
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
