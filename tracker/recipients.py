"""Recipients: one row per person, however the address is spelled. An erased one is known again by its digest."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import ColumnElement, bindparam
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tracker.mail.addresses import AddressError, lookup_form, normalise
from tracker.mail.fields import Name, RequestModel
from tracker.models import Recipient, SearchKind
from tracker.models.ownership import is_public_id
from tracker.models.search_query import finds
from tracker.runtime.localized_text import ActionError, LocalizedError, LocalizedText


def _country_code(text: str) -> str:
    code = text.upper()
    if not re.fullmatch(r"[A-Z]{2,3}", code):
        raise LocalizedError(LocalizedText("A jurisdiction is a country code such as FR, or UK or EEA."))
    return code


CountryCode = Annotated[str, AfterValidator(_country_code)]


class RecipientChange(RequestModel):
    """What is left out stays."""

    name: Name = Field(default_factory=str)
    jurisdiction: CountryCode | None = Field(default_factory=lambda: None)
    country: CountryCode | None = Field(default_factory=lambda: None)
    never_track: bool = Field(default_factory=bool)


def change(session: Session, recipient: Recipient, changes: RecipientChange) -> None:
    """Changes what is set. Raises :class:`ActionError` ``conflict`` for somebody who was erased."""
    if recipient.erased_at is not None:
        sentence = LocalizedText("This person was erased: nothing is kept about them any more, and nothing can be.")
        raise ActionError("conflict", sentence)
    for name in changes.model_fields_set & set(RecipientChange.model_fields):
        setattr(recipient, name, getattr(changes, name))
    session.add(recipient)


def look_up(session: Session, who: str) -> Recipient:
    """By address, however it is spelled, or by public id. Raises :class:`ActionError` ``not_found``."""
    recipient = session.exec(select(Recipient).where(named(session, who))).first()
    if recipient is None:
        raise ActionError("not_found", LocalizedText("There is no such recipient."))
    return recipient


def named(session: Session, who: str) -> ColumnElement[bool]:
    """The condition that a recipient is the one with this public id or address; nobody's where it is neither."""
    if is_public_id(who):
        return col(Recipient.public_id) == who
    try:
        form = lookup_form(printable(who)) if "@" in who else None
    except AddressError:
        form = None
    return col(Recipient.lookup).in_([form, *suppressions(session, form)] if form else [])


def matching(session: Session, text: str) -> SelectOfScalar[Recipient]:
    """The query of those in whose name, company or address every word of ``text`` stands; of all of them without words."""
    return select(Recipient).where(*finds(session, SearchKind.RECIPIENT, Recipient.id, text))


def printable(address: str) -> str:
    """The address, when it can be one. Raises :class:`tracker.mail.addresses.AddressError`."""
    if not address.isprintable():
        raise AddressError("space", LocalizedText("The address holds a character that addresses cannot have."))
    return address


def find(session: Session, address: str) -> Recipient | None:
    """The recipient with this address, however it is spelled. Raises :class:`tracker.mail.addresses.AddressError`."""
    return find_all(session, [address]).get(lookup_form(address))


def find_all(session: Session, addresses: Iterable[str]) -> Mapping[str, Recipient]:
    """The recipients among these addresses, by their look-up forms; erased ones too, whose rows tell of nobody.

    Raises :class:`tracker.mail.addresses.AddressError`.
    """
    form_of = {name: form for form in map(lookup_form, addresses) for name in (form, *suppressions(session, form))}
    rows = session.exec(_BY_LOOKUP, params={"names": list(form_of)}).all() if form_of else ()
    return {form_of[row.lookup]: row for row in rows}


_BY_LOOKUP = select(Recipient).where(col(Recipient.lookup).in_(bindparam("names", expanding=True)))


def suppressions(session: Session, form: str) -> list[str]:
    """What stands in ``lookup`` of a recipient with this address who was erased."""
    names: list[str] = session.info["suppressions"](form)
    return names


def find_or_make(session: Session, address: str, name: str = "") -> Recipient:
    """The recipient with this address, made when there is none. A name is remembered when none was known.

    Raises :class:`tracker.mail.addresses.AddressError`.
    """
    recipient = find(session, address) or _insert(session, address, name)
    if name and not recipient.name and recipient.erased_at is None:
        recipient.name = name[:200]
    return recipient


def _insert(session: Session, address: str, name: str) -> Recipient:
    try:
        with session.begin_nested():
            made = Recipient(address=normalise(address), lookup=lookup_form(address), name=name[:200])
            session.add(made)
        return made
    except IntegrityError:  # another process made it between our look and our insert
        return session.exec(select(Recipient).where(Recipient.lookup == lookup_form(address))).one()
