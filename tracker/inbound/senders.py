"""Address fields of incoming mail, read leniently: whatever can be used as an address is found, and what was odd is said. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tracker.addresses import AddressError, Mailbox, normalise
from tracker.mime.text import decoded

MOST = 500
"""Mailboxes of one field that are kept; nobody reads more."""
_LONGEST_FIELD = 200_000
_BRACKETED = re.compile(r"<([^<>]*)>")
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"]{1,64}@[^\s<>()\[\],;:\"]{1,255}")
_ROUTE = re.compile(r"^@[^:]*:")
_COMMENT = re.compile(r"\(((?:[^()\\]|\\.)*)\)")
_PAIR = re.compile(r"\\(.)")
_GROUP = re.compile(r'^[^"<@(:]{0,200}:')


@dataclass(frozen=True)
class Found:
    """The mailboxes of a field, in their order, and codes of what was odd about it."""

    mailboxes: tuple[Mailbox, ...]
    odd: tuple[str, ...] = ()


def read_mailboxes(value: str) -> Found:
    """Every usable address of a field such as From or To. What stands in angle brackets wins over what looks like an address
    in the name beside it. Never raises."""
    odd = ["field_cut"] if len(value) > _LONGEST_FIELD else []
    found: list[Mailbox] = []
    for piece in _pieces(value[:_LONGEST_FIELD]):
        if len(found) == MOST:
            odd.append("too_many_addresses")
            break
        mailbox, how = _mailbox(piece)
        if how:
            odd.append(how)
        if mailbox is not None:
            found.append(mailbox)
    return Found(tuple(found), tuple(dict.fromkeys(odd)))


def _pieces(value: str) -> Iterator[str]:
    """What stands between commas and semicolons outside quotes, comments and brackets; names of groups are left out."""
    begin, quoted, depth, angle = 0, False, 0, False
    last_quote, last_paren, last_angle = value.rfind('"'), value.rfind(")"), value.rfind(">")
    index, length = 0, len(value)
    while index < length:
        character = value[index]
        if character == "\\" and (quoted or depth):
            index += 1
        elif character == '"' and not depth:
            quoted = not quoted and index < last_quote  # a quote that nothing closes is a character
        elif quoted:
            pass
        elif character == "(" and index < last_paren:
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif not depth:
            if character == "<":
                angle = index < last_angle
            elif character == ">":
                angle = False
            elif character in ",;" and not angle:
                yield value[begin:index]
                begin = index + 1
        index += 1
    yield value[begin:]


def _mailbox(piece: str) -> tuple[Mailbox | None, str]:
    piece = _GROUP.sub("", piece.strip()).strip()
    if not piece:
        return None, ""
    brackets = list(_BRACKETED.finditer(_blanked(piece)))
    for bracket in reversed(brackets):
        address = _usable(piece[bracket.start() + 1 : bracket.end() - 1])
        if address:
            return Mailbox(address, _name(piece[: bracket.start()])), ""
    plain = _COMMENT.sub("", piece).strip()
    if not brackets and not re.search(r"\s", plain) and (address := _usable(plain)):
        comment = _COMMENT.search(piece)
        return Mailbox(address, _name(comment[1]) if comment else ""), ""
    return _by_pattern(piece)


def _by_pattern(piece: str) -> tuple[Mailbox | None, str]:
    """The last thing that looks like an address; what stands before it is the name."""
    for found in reversed(list(_ADDRESS.finditer(piece[:2000]))):
        address = _usable(found[0].strip(".'"))
        if address:
            return Mailbox(address, _name(piece[: found.start()])), "address_by_pattern"
    return None, "address_unusable"


def _blanked(piece: str) -> str:
    """The piece with quoted strings blanked, so that brackets within them are no brackets."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', lambda quoted: " " * len(quoted[0]), piece)


def _usable(text: str) -> str:
    text = _ROUTE.sub("", text.strip()).removeprefix("mailto:").strip("'\" ")
    text = re.sub(r"[\s\u200b-\u200f\ufeff]", "", text)
    try:
        return normalise(text)
    except (AddressError, UnicodeError, ValueError):
        return ""


def _name(written: str) -> str:
    text = written.strip().rstrip("<").strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _PAIR.sub(r"\1", text[1:-1])
    return decoded(text[:2000]).strip("\"' ")[:200]
