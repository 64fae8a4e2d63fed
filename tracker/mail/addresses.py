"""Addr-specs (RFC 5322 section 3.4.1) and lists of them: normal form, look-up form, what people typed and what mail says. Pure."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import idna

from tracker.mail.mime.text import decoded
from tracker.runtime.localized_text import LocalizedError, LocalizedText

MAX_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets
MAX_LOCAL = 64  # RFC 5321 section 4.5.3.1.1
MAX_DOMAIN = 253
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_DOT_ATOM = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_PLAIN_ATEXT = _ATEXT.replace(r"\u0080-\U0010ffff", "")
_PLAIN = re.compile(
    rf"({_PLAIN_ATEXT}(?:\.{_PLAIN_ATEXT})*)@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.)+"
    r"(?![0-9]+\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
)
"""Nearly every address: asked in one go."""
_QUOTED = re.compile(r'(?<!\\)"(?:[^"\\]|\\.)*+"')
_QUOTED_LOCAL = re.compile(r'\s*"((?:[^"\\]|\\.)*+)"\s*@\s*([^\s"]+)\s*')
_AROUND_AT = re.compile(r"\s*@\s*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\- ]+")
_GROUP = re.compile(r'\A[^"<@(:]{0,200}:')
MOST_IN_FIELD = 500
"""Mailboxes of one field that are kept; nobody reads more."""
_LONGEST_FIELD = 200_000
_BRACKETED = re.compile(r"<([^<>]*)>")
_LIKE_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"]{1,64}@[^\s<>()\[\],;:\"]{1,255}")
_WRITTEN = re.compile(r"[^\s@<>()\[\],;:\"\\\x00-\x20\x7f]{1,64}@[\w.-]{1,253}")
_MORE_THAN_NAME = re.compile(r"[@<>]|=\?")
_NO_LETTERS = re.compile(r"[\s\u200b-\u200f\ufeff]")
_ROUTE = re.compile(r"^@[^:]*:")
_COMMENT = re.compile(r"(?<!\\)\(((?:[^()\\]|\\.)*+)\)")


class AddressError(LocalizedError):
    """An address that cannot be used; ``code`` is stable, the sentence is for the person who typed it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, order=True)
class Address:
    """An address with the name beside it. As text it can be given to :func:`parse_list` again."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        if not self.name:
            return self.address
        escaped = re.sub(r'(["\\])', r"\\\1", self.name)
        name = self.name if _PLAIN_NAME.fullmatch(self.name) else f'"{escaped}"'
        return f"{name} <{self.address}>"


def normalise(text: str) -> str:
    """The address in normal form: trimmed, domain as lower-case A-labels (IDNA 2008), local-part as written.

    Raises :class:`AddressError`.
    """
    address = text.strip()
    if normal := _plain(address):
        return normal
    if not address:
        raise AddressError("empty", LocalizedText("The address is empty."))
    local, at, domain = address.rpartition("@")
    unfit = any(_is_unfit(c) for c in address if c != " ")
    if unfit or (" " in address and not _QUOTED.fullmatch(local)):
        raise AddressError(
            "space", LocalizedText("“%(address)s” holds a space or a control character.", address=_show(address))
        )
    if not at:
        raise AddressError(
            "no_at",
            LocalizedText("“%(address)s” has no @. An address looks like name@example.com.", address=_show(address)),
        )
    if not local or len(local.encode()) > MAX_LOCAL or not (_DOT_ATOM.fullmatch(local) or _QUOTED.fullmatch(local)):
        raise AddressError(
            "local_part",
            LocalizedText(
                "“%(address)s” is not a valid address: look at the part before the @.", address=_show(address)
            ),
        )
    normal = f"{local}@{_domain(domain, address)}"
    if len(normal.encode()) > MAX_LENGTH:
        raise AddressError(
            "too_long",
            LocalizedText("“%(address)s” is longer than %(most)s characters.", address=_show(address), most=MAX_LENGTH),
        )
    return normal


def _plain(address: str) -> str:
    """The normal form of an address of ASCII alone without quotes; empty where closer looks are needed."""
    plain = _PLAIN.fullmatch(address) if len(address) <= MAX_LENGTH else None
    return f"{plain[1]}@{plain[2].lower()}" if plain and len(plain[1]) <= MAX_LOCAL else ""


def _is_unfit(character: str) -> bool:
    """Control and format characters, surrogates, unassigned ones, separators: nothing of them belongs in an address."""
    return unicodedata.category(character)[0] in "CZ"


def _domain(domain: str, address: str) -> str:
    if len(domain) > MAX_DOMAIN:  # before IDNA, whose work grows faster than the length
        raise AddressError(
            "too_long",
            LocalizedText("“%(address)s” is longer than %(most)s characters.", address=_show(address), most=MAX_LENGTH),
        )
    try:
        ascii_domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        ascii_domain = ""
    labels = ascii_domain.lower().split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise AddressError(
            "domain",
            LocalizedText(
                "“%(address)s” is not a valid address: “%(domain)s” is not a domain.",
                address=_show(address),
                domain=_show(domain),
            ),
        )
    return ".".join(labels)


@lru_cache(2048)
def lookup_form(address: str) -> str:
    """The form under which two spellings are one person: normal form, composed (NFC), in lower case.

    RFC 5321 section 2.4 lets local-parts differ by case; no provider in use does. Nothing more is folded: ß and ss are two
    people. Raises :class:`AddressError`.
    """
    lower = normalise(address).lower()
    return lower if lower.isascii() else normalise(unicodedata.normalize("NFC", lower))


def lookup_or_none(address: str) -> str | None:
    """The look-up form; None for what is no address."""
    try:
        return lookup_form(address)
    except AddressError:
        return None


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower()


def parse_list(text: str) -> list[Address]:
    """The mailboxes in what a person typed, divided by commas, semicolons or line ends.

    Names may be quoted, or stand behind the address in brackets; the name of a group (``Team: …;``) is left out.
    Raises :class:`AddressError` for the first one that cannot be used.
    """
    written = read_list(text)
    if written.unusable:
        raise written.unusable[0][1]
    return list(written.mailboxes)


@dataclass(frozen=True)
class WrittenList:
    """What a person typed: the mailboxes, and each piece that is none with what is wrong about it."""

    mailboxes: tuple[Address, ...]
    unusable: tuple[tuple[str, AddressError], ...]


def read_list(text: str) -> WrittenList:
    """As :func:`parse_list`, past what cannot be used. Never raises."""
    mailboxes, unusable = list[Address](), list[tuple[str, AddressError]]()
    for piece in _pieces(text, ",;\r\n"):
        try:
            mailboxes.append(_mailbox(piece))
        except AddressError as error:
            unusable.append((piece, error))
    return WrittenList(tuple(mailboxes), tuple(unusable))


def _mailbox(piece: str) -> Address:
    marks = [index for index, character in _unquoted(piece) if character in '<"']  # a quote that nothing closes
    if all(piece[index] != "<" for index in marks):
        comment = re.fullmatch(r"(.*?)\s*\((.*)\)", piece, re.DOTALL)
        return Address(normalise(comment[1]), _name(comment[2])) if comment else Address(normalise(piece))
    if len(marks) > 1 or not piece.endswith(">"):
        raise AddressError(
            "brackets",
            LocalizedText("“%(address)s” is not one address: write Name <name@example.com>.", address=_show(piece)),
        )
    return Address(normalise(piece[marks[0] + 1 : -1]), _name(piece[: marks[0]]))


@dataclass(frozen=True)
class AddressField:
    """The mailboxes of a field, in their order, and codes of what was odd about it."""

    mailboxes: tuple[Address, ...]
    odd: tuple[str, ...] = ()


def read_field(value: str, *, received: bool = False) -> AddressField:
    """Every usable address of a field such as From or To, with its decoded name. What stands in angle brackets wins over what
    looks like an address in the name beside it. Of a field that was ``received``, addresses as well that nobody could be given.
    Never raises."""
    odd = ["field_cut"] if len(value) > _LONGEST_FIELD else []
    mailboxes: list[Address] = []
    names: list[str] = []
    usable = _received if received else _usable
    for piece in _pieces(value[:_LONGEST_FIELD], ",;"):
        if len(mailboxes) == MOST_IN_FIELD:
            odd.append("too_many_addresses")
            break
        if several := _without_comma(piece, usable):
            mailboxes += several
            continue
        if received and not _MORE_THAN_NAME.search(piece):
            names.append(piece)
            continue
        mailbox, code = _mailbox_in(piece, usable)
        odd += [code] if code else []
        mailboxes += [_with_name_before(mailbox, names, piece)] if mailbox else []
        names = []
    odd += ["address_unusable"] if names else []
    return AddressField(tuple(mailboxes), tuple(dict.fromkeys(odd)))


def _with_name_before(mailbox: Address, names: list[str], piece: str) -> Address:
    """ "Petrov, Ivan <ivan@…>", its comma without quotes."""
    name = ", ".join(filter(None, [*names[-2:], mailbox.name])) if "<" in piece else mailbox.name
    return Address(mailbox.address, _decoded_name(name)) if names else mailbox


def _without_comma(piece: str, usable: Callable[[str], str]) -> list[Address]:
    """Addresses that stand side by side, and nothing else."""
    words = piece[:2000].split() if "<" not in piece else []
    mailboxes = [Address(address) for word in words if (address := usable(word))] if len(words) > 1 else []
    return mailboxes if len(mailboxes) == len(words) else []


def _mailbox_in(piece: str, usable: Callable[[str], str]) -> tuple[Address | None, str]:
    unquoted = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), piece) if '"' in piece else piece
    brackets = list(_BRACKETED.finditer(unquoted))
    for bracket in reversed(brackets):
        address = usable(piece[bracket.start() + 1 : bracket.end() - 1])
        if address:
            return Address(address, _decoded_name(piece[: bracket.start()])), ""
    plain = _AROUND_AT.sub("@", _COMMENT.sub("", piece).strip())  # RFC 5322 section 4.4
    if not brackets and len(_QUOTED.sub("", plain).split()) < 2 and (address := usable(plain)):
        comment = _COMMENT.search(piece)
        return Address(address, _decoded_name(comment[1]) if comment else ""), ""
    return _by_pattern(piece, usable)


def _by_pattern(piece: str, usable: Callable[[str], str]) -> tuple[Address | None, str]:
    """The last thing that looks like an address; what stands before it is the name."""
    for like in reversed(list(_LIKE_ADDRESS.finditer(piece[:2000]))):
        address = usable(like[0].strip(".'"))
        if address:
            return Address(address, _decoded_name(piece[: like.start()])), "address_by_pattern"
    return None, "address_unusable"


def _usable(text: str) -> str:
    if not text.startswith("'") and (normal := _plain(text)):
        return normal
    try:
        return normalise(_bare(text))
    except (AddressError, UnicodeError, ValueError):
        return ""


def _received(text: str) -> str:
    return _usable(text) or _as_written(_bare(text))


def _bare(text: str) -> str:
    text = text if '"' in text else _COMMENT.sub("", text)
    text = _ROUTE.sub("", text.strip()).removeprefix("mailto:")
    if quoted := _QUOTED_LOCAL.fullmatch(text):
        local = re.sub(r"\\(.)", r"\1", quoted[1])
        return f"{local}@{quoted[2]}" if _DOT_ATOM.fullmatch(local) else f'"{quoted[1]}"@{quoted[2]}'
    text = text.strip("'\" ")
    return _NO_LETTERS.sub("", text)


def _as_written(text: str) -> str:
    """An address that nobody could be given, but that people do write from: dots anywhere, a host without a domain, underscores in
    it. Its domain in lower case."""
    local, at, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}" if at and len(text) <= MAX_LENGTH and _WRITTEN.fullmatch(text) else ""


def received_lookup(address: str) -> str:
    """The look-up form of an address that a letter bears; of one that is none, as it is written in lower case."""
    return lookup_or_none(address) or _as_written(address).lower()


def answerable(address: str) -> str:
    """The address as mail can be sent to it: a local part with dots where none may be goes in quotes (RFC 5321 section 4.1.2)."""
    local, _, domain = address.rpartition("@")
    quoted = f'"{local}"@{domain}'
    return quoted if lookup_or_none(address) is None and lookup_or_none(quoted) is not None else address


def _decoded_name(written: str) -> str:
    name = decoded(_name(written.strip().rstrip("<"))[:2000]).strip('" ')
    return (name.strip("' ") if name.startswith("'") == name.endswith("'") else name)[:200]


def _pieces(text: str, dividers: str) -> Iterator[str]:
    """What stands between dividers outside quotes, comments and brackets; blank pieces and names of groups are left out."""
    begin, in_angle, last_angle = 0, False, text.rfind(">")
    divided = any(divider in text for divider in dividers)
    for index, character in chain(_unquoted(text) if divided else (), [(len(text), "")]):
        in_angle = (character == "<" and index < last_angle) or (in_angle and character != ">")
        if index == len(text) or (character in dividers and (not in_angle or character in "\r\n")):
            piece = _GROUP.sub("", text[begin:index].strip()).strip()
            begin, in_angle = index + 1, False
            if piece:
                yield piece


def _unquoted(text: str) -> Iterator[tuple[int, str]]:
    """The characters outside quoted strings and comments, with their places. A quote that nothing closes is a character."""
    last_quote, last_paren = text.rfind('"'), text.rfind(")")
    quoted, depth, escaped = False, 0, False
    for index, character in enumerate(text):
        if escaped or (character == "\\" and (quoted or depth)):
            escaped = not escaped
        elif character == '"' and not depth and (quoted or index < last_quote):
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(" and index < last_paren:
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif not depth:
            yield index, character


def _name(written: str) -> str:
    """A display name without its quotes, on one line, without control characters."""
    plain = _QUOTED.sub(lambda quoted: re.sub(r"\\(.)", r"\1", quoted[0][1:-1]), written)
    return "".join(c for c in " ".join(plain.split()) if unicodedata.category(c) not in ("Cc", "Cs")).strip()


def _show(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"
