"""Whose clock a recipient lives by, as far as it is known."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from email.utils import parsedate_to_datetime
from functools import cache
from zoneinfo import ZoneInfo

from babel.core import get_global
from sqlmodel import Session, col, select

from tracker.consent.rules import jurisdiction_of
from tracker.mail.addresses import domain_of, lookup_form
from tracker.models import Letter, LetterBody, Recipient, User


def recipient_zone(session: Session, user: User, address: str, moment: datetime) -> tzinfo | None:
    """By the clock of the last letter that this user got from the address; else by the recipient's country, where all of it has one
    time at this moment. None where neither is known."""
    form = lookup_form(address)
    if (zone := _of_last_letter(session, user, form)) is not None:
        return zone
    known = select(Recipient.jurisdiction, Recipient.country).where(Recipient.lookup == form)
    declared, country = session.exec(known).first() or (None, None)
    return _of_country(jurisdiction_of(declared, country, domain_of(form)).code, moment)


def _of_last_letter(session: Session, user: User, sender: str) -> tzinfo | None:
    newest = select(LetterBody.headers).join(Letter, col(Letter.id) == col(LetterBody.letter_id))
    newest = newest.where(Letter.user_id == user.id, Letter.sender == sender)
    headers = session.exec(newest.order_by(col(Letter.received_at).desc()).limit(1)).first()
    return zone_of_date(headers or "")


def zone_of_date(headers: str) -> tzinfo | None:
    """The offset of the Date field, unless it is zero: so many servers write whose clock nobody knows (RFC 5322 section 3.3)."""
    line = next((line for line in headers.splitlines() if line[:5].lower() == "date:"), "")
    try:
        zone = parsedate_to_datetime(line[5:].strip()).tzinfo
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return zone if zone is not None and zone.utcoffset(None) else None


def _of_country(code: str, moment: datetime) -> tzinfo | None:
    zones = [ZoneInfo(name) for name in _zones().get({"UK": "GB"}.get(code, code), ())]
    return zones[0] if zones and len({moment.astimezone(zone).utcoffset() for zone in zones}) == 1 else None


@cache
def _zones() -> Mapping[str, list[str]]:
    """The time zones of each country, as CLDR has them."""
    zones: dict[str, list[str]] = {}
    for name, country in get_global("zone_territories").items():
        zones.setdefault(country, []).append(name)
    return zones
