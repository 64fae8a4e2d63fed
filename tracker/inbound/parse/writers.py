"""Who wrote a letter where its From writes for others: web forms, group addresses, helpdesks, marketplaces. Pure."""

import re
from collections.abc import Collection, Iterator

from tracker.inbound.parse.letter import ParsedLetter
from tracker.inbound.repeat import sender_of
from tracker.mail.addresses import Address, lookup_or_none, read_field, received_lookup

_VIA = re.compile(
    r"['\"]*(.{1,150}?)['\"]*\s+(?:via|vía|über|через|przez|prostřednictvím|üzerinden)\s+\S", re.IGNORECASE
)
_ORIGINAL = ("x-original-from", "x-original-sender", "x-google-original-from")


def written_for(letter: ParsedLetter) -> tuple[Address, ...]:
    """Whom the From may have written for, the likeliest first: Reply-To, what a group has noted of the author, and the one in Cc
    whose name it bears ("Ivan via Sales")."""
    return tuple(_named(letter, dict.fromkeys([*letter.reply_to, *_noted(letter), *_of_that_name(letter)])))


def writer_of(letter: ParsedLetter, own: Collection[str], robots: Collection[str] = ()) -> Address | None:
    """Who wrote: From; or whom it wrote for, where it is an address of ours or of a form's robot, or says so itself. None where
    nobody is named. ``own`` and ``robots`` are in look-up form."""
    if letter.sender is None:
        return None
    others = {received_lookup(each.address): each for each in reversed(written_for(letter))}
    written = received_lookup(letter.sender.address)
    speaks_for_others = [written] if _said_name(letter) or any(map(letter.value, _ORIGINAL[:1])) else []
    writer = sender_of(written, [*others][::-1], own, {*robots, *speaks_for_others})
    return letter.sender if writer == written else others[writer]


def names_others(letter: ParsedLetter, own: Collection[str]) -> bool:
    """Somebody who is none of us stands behind the letter."""
    return any(lookup_or_none(each.address) not in own for each in written_for(letter))


def _said_name(letter: ParsedLetter) -> str:
    said = _VIA.match(letter.sender.name) if letter.sender else None
    return said[1].strip() if said else ""


def _noted(letter: ParsedLetter) -> Iterator[Address]:
    for name in _ORIGINAL:
        yield from read_field(letter.value(name), received=True).mailboxes[:1]


def _of_that_name(letter: ParsedLetter) -> list[Address]:
    name = _said_name(letter)
    return [each for each in letter.cc if name and each.name == name]


def _named(letter: ParsedLetter, others: Collection[Address]) -> Iterator[Address]:
    """Who has no name bears the one that From says."""
    return (each if each.name else Address(each.address, _said_name(letter)) for each in others)
