"""The repeat period: whether a letter counts as an enquiry, and under which enquiry it is folded if not. Pure.

    counts(m)  ⇔  no counted letter c of the same key has |received(m) - received(c)| < period

Counted letters alone are looked at, on both sides of the letter, so a decision is never reversed by one that arrives later.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Enquiry:
    """A letter of the key that counts and was not withdrawn."""

    id: int
    at: datetime


@dataclass(frozen=True)
class RepeatDecision:
    """``repeat_of`` is the enquiry it is folded under when it does not count."""

    counts: bool
    repeat_of: int | None = None


def length(period_days: int) -> timedelta:
    """A day is exactly 86 400 seconds, whatever the clocks do."""
    return timedelta(days=period_days)


def decide(received_at: datetime, enquiries: Iterable[Enquiry], period_days: int) -> RepeatDecision:
    """``enquiries`` are those of the same key, at least all within the period on either side. Exactly the period counts."""
    near = [enquiry for enquiry in enquiries if abs(received_at - enquiry.at) < length(period_days)]
    if not near:
        return RepeatDecision(True)
    before = [enquiry for enquiry in near if enquiry.at <= received_at]
    chosen = (
        max(before, key=lambda enquiry: (enquiry.at, enquiry.id))
        if before
        else min(near, key=lambda enquiry: (enquiry.at, enquiry.id))
    )
    return RepeatDecision(False, chosen.id)


def sender_of(sender: str, reply_to: Sequence[str], own: Collection[str], robots: Collection[str] = ()) -> str:
    """The sender as the repeat period sees it: From, or Reply-To where From is one of ours or a form's robot.

    Plus tags and dots are kept. Empty when nobody can be told. All in look-up form.
    """
    if sender and (sender in own or sender in robots):
        return next((address for address in reply_to if address and address != sender and address not in own), sender)
    return sender


def recipient_of(
    named: Sequence[str], traced: Sequence[str], base: str, static: Collection[str] = (), pool: Collection[str] = ()
) -> str:
    """The address of ours it was written to: the first of ours in To and Cc (``named``), else the most specific in the delivery
    fields (``traced``), else the mailbox itself.

    A tag on the base address and the addresses of a pool fold to the base; a static address is a recipient of its own.
    """
    forms = [_ours(address, base, static, pool) for address in named]
    if recipient := next((form for form in forms if form), ""):
        return recipient
    delivered = [form for address in traced if (form := _ours(address, base, static, pool))]
    return next((form for form in delivered if form in static), delivered[0] if delivered else base)


def _ours(address: str, base: str, static: Collection[str], pool: Collection[str]) -> str:
    if address in static:
        return address
    return base if address in pool or without_tag(address) == without_tag(base) else ""


def without_tag(address: str) -> str:
    """``info+0011@site.example`` is ``info@site.example`` (RFC 5233)."""
    local, at, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
