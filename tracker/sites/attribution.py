"""Where a letter comes from, by the addresses it was written to. Pure.

A code of a visitor's goes before a static or external address, and that before the base; of several codes the first in the order of
the header decides.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import unquote

from pixel.site_codes import is_long_code, is_short_code, split_tag
from tracker.mail.addresses import received_lookup

Method = Literal["code", "static", "external", "history", "unknown_code", "none"]
Source = Mapping[str, Any]

FRESH = timedelta(minutes=10)
"""A visitor who has seen an address for less time than this may not be who wrote to it."""
CONTESTED = timedelta(days=30)
"""So long after a lease a letter may still be from whoever held it before."""
MOST_SENDERS = 3
"""More different senders than this, and the code is no longer one visitor's."""
MOST_CODES = 3
"""Who wrote to more codes than this within :data:`CODES_WITHIN` tries them out, and is no visitor."""
CODES_WITHIN = timedelta(days=1)
HISTORY = timedelta(days=90)

NAMED = ("to", "cc")
TRACED = (
    *("x-original-to", "delivered-to", "x-envelope-to", "envelope-to", "x-forwarded-to", "x-forwarded-for"),
    *("x-gm-original-to", "resent-to"),
)
_INVISIBLE = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]")
_AROUND_SIGNS = re.compile(r"\s*([@+])\s*")
_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]\\]+@[^\s<>,;:\"()\[\]\\@]+")
_FOR = re.compile(r"\bfor\s+<?([^\s<>;]+@[^\s<>;]+)>?", re.IGNORECASE)
_CODE = re.compile(r"[a-z0-9]{9}|[0-9]{4}", re.IGNORECASE)


@dataclass(frozen=True)
class Holding:
    """An address was a visitor's in one session. Times as the edge saw them."""

    visit: int
    visitor: str
    shown_at: datetime
    until: datetime
    source: Source | None
    rule: int | None = None
    intent_at: datetime | None = None
    robot: bool = False
    site: int | None = None


@dataclass(frozen=True)
class Meaning:
    """What a static or external address stands for."""

    method: Literal["static", "external"]
    source: Source | None
    rule: int | None


@dataclass(frozen=True)
class AttributionFacts:
    """Everything that can be known of the candidates: who held them, what they stand for, who wrote to them."""

    holdings: Mapping[str, Sequence[Holding]] = field(default_factory=dict)
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    bases: Collection[str] = ()
    """Addresses behind whose plus codes stand, of rules that are or were."""
    senders: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Who wrote to an address before, by the address."""
    codes_written: Collection[str] = ()
    """Addresses with a code that this sender wrote to within :data:`CODES_WITHIN`."""
    history: Source | None = None
    """The source of this sender's letters of the last :data:`HISTORY`."""


@dataclass(frozen=True)
class Attribution:
    """``flags``: late, disputed, leaked, many_codes, robot."""

    method: Method
    source: Source | None = None
    visit: int | None = None
    code: str = ""
    address: str = ""
    rule: int | None = None
    flags: tuple[str, ...] = ()
    site: int | None = None
    """The visit's."""


def candidates(fields: Iterable[tuple[str, str]]) -> list[str]:
    """The addresses that a letter was written to, in the order in which they count: To, Cc, then what servers noted. Read with
    patience: a code survives a space before the @, a percent sign for the plus, and characters that nobody sees."""
    listed = list(fields)
    values = [value for name in (*NAMED, *TRACED) for field_name, value in listed if field_name == name]
    made = [address for value in values for address in _addresses(value)]
    for field_name, value in listed:
        if field_name == "received":
            made += [address for received_for in _FOR.findall(_readable(value)) for address in _addresses(received_for)]
    return list(dict.fromkeys(made))


def _readable(value: str) -> str:
    return _INVISIBLE.sub("", unquote(value[:20_000]))


def _addresses(value: str) -> list[str]:
    text = _AROUND_SIGNS.sub(r"\1", _readable(value))
    written = [match.strip("'`.").lower() for match in _ADDRESS.findall(text)]
    return [address if address.isascii() else received_lookup(address) or address for address in written]


def attribute(addresses: Sequence[str], sender: str, received_at: datetime, known: AttributionFacts) -> Attribution:
    """Where the letter comes from. ``addresses`` are :func:`candidates`."""
    coded = [address for address in addresses if _is_coded(address, known)]
    held = [address for address in coded if known.holdings.get(address)]
    if held:
        made = _by_holder(held[0], sender, received_at, known)
        others = {h.visitor for a in held for h in known.holdings[a][-1:]}
        return _flagged(made, "disputed") if len(others) > 1 else made
    for address in addresses:
        meaning = known.meanings.get(address)
        if meaning is not None:
            return Attribution(meaning.method, meaning.source, address=address, rule=meaning.rule)
    if coded:
        return Attribution("unknown_code", code=code_of(coded[0]), address=coded[0])
    if known.history is not None:
        return Attribution("history", known.history)
    return Attribution("none")


def code_of(address: str) -> str:
    """The tag behind the plus; empty for an address of a list."""
    parts = split_tag(address)
    return parts[1] if parts else ""


def _is_coded(address: str, known: AttributionFacts) -> bool:
    """Whether the address is, or pretends to be, one that was made for a visitor."""
    if known.holdings.get(address):
        return True
    parts = split_tag(address)
    return parts is not None and parts[0] in known.bases and is_code_like(parts[1])


def is_code_like(tag: str) -> bool:
    """Nine letters and digits, or four digits: a code of ours, whole or mistyped. Other tags are people's own."""
    return is_long_code(tag) or is_short_code(tag) or _CODE.fullmatch(tag) is not None


def _by_holder(address: str, sender: str, received_at: datetime, known: AttributionFacts) -> Attribution:
    code = code_of(address)
    rule = known.holdings[address][-1].rule
    if len({*known.senders.get(address, ()), sender} - {""}) > MOST_SENDERS:
        return Attribution("code", None, code=code, address=address, rule=rule, flags=("leaked",))
    if len({*known.codes_written, address}) > MOST_CODES:
        return Attribution("code", None, code=code, address=address, rule=rule, flags=("leaked", "many_codes"))
    before = [holding for holding in known.holdings[address] if holding.shown_at <= received_at]
    rows = sorted(before or known.holdings[address][:1], key=lambda holding: holding.shown_at)
    holder, flags = _holder(rows, received_at)
    session = [row for row in rows if row.visitor == holder.visitor][-1]
    if session.robot:
        return Attribution("code", None, code=code, address=address, rule=session.rule, flags=(*flags, "robot"))
    return Attribution("code", session.source, session.visit, code, address, session.rule, flags, session.site)


def _holder(rows: Sequence[Holding], received_at: datetime) -> tuple[Holding, tuple[str, ...]]:
    """Whose the address was when the letter came, and how sure that is."""
    newest = rows[-1]
    own = [row for row in rows if row.visitor == newest.visitor]
    late = () if received_at <= max(holding.until for holding in own) else ("late",)
    others = [row for row in rows if row.visitor != newest.visitor and row.shown_at < own[0].shown_at]
    contested = [other for other in others if received_at - other.until <= CONTESTED]
    if not contested:
        return newest, late
    older = contested[-1]
    is_fresh = received_at - own[0].shown_at < FRESH and not any(holding.intent_at for holding in own)
    intended = any(holding.intent_at for holding in contested if holding.visitor == older.visitor)
    return (older, ("disputed",)) if is_fresh and intended else (newest, (*late, "disputed"))


def _flagged(made: Attribution, flag: str) -> Attribution:
    if flag in made.flags:
        return made
    return replace(made, flags=(*made.flags, flag))
