"""Addr-specs (RFC 5322 section 3.4.1): parsing, normal form, look-up form. Pure."""

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.utils import formataddr, getaddresses

MAX_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets
MAX_LOCAL = 64  # RFC 5321 section 4.5.3.1.1
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_DOT_ATOM = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_QUOTED = re.compile(r'"(?:[^"\\\r\n]|\\[^\r\n])*"')
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class AddressError(ValueError):
    """An address that cannot be used; ``code`` is stable, the text is a sentence for the person who typed it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, order=True)
class Mailbox:
    """An address with the name beside it."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        return formataddr((self.name, self.address)) if self.name.isascii() else f'"{self.name}" <{self.address}>'


def normalise(text: str) -> str:
    """The address in normal form: trimmed, domain as lower-case A-labels, local-part as written.

    Raises :class:`AddressError`.
    """
    address = text.strip()
    if not address:
        raise AddressError("empty", "The address is empty.")
    if any(ord(c) < 33 or ord(c) == 127 for c in address) and not address.startswith('"'):
        raise AddressError("space", f"“{_show(address)}” holds a space or a control character.")
    local, at, domain = address.rpartition("@")
    if not at:
        raise AddressError("no_at", f"“{_show(address)}” has no @. An address looks like name@example.com.")
    if not local or len(local.encode()) > MAX_LOCAL or not (_DOT_ATOM.fullmatch(local) or _QUOTED.fullmatch(local)):
        raise AddressError("local_part", f"“{_show(address)}” is not a valid address: look at the part before the @.")
    normal = f"{local}@{_domain(domain, address)}"
    if len(normal) > MAX_LENGTH:
        raise AddressError("too_long", f"“{_show(address)}” is longer than {MAX_LENGTH} characters.")
    return normal


def _domain(domain: str, address: str) -> str:
    try:
        ascii_domain = domain.encode("idna").decode() if not domain.isascii() else domain
    except UnicodeError:
        ascii_domain = ""
    labels = ascii_domain.lower().split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise AddressError("domain", f"“{_show(address)}” is not a valid address: “{_show(domain)}” is not a domain.")
    return ".".join(labels)


def lookup_form(address: str) -> str:
    """The form under which two spellings are one person: normal form, all in lower case.

    RFC 5321 section 2.4 lets local-parts differ by case; no provider in use does.
    """
    return normalise(address).casefold()


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower()


def parse_list(text: str) -> list[Mailbox]:
    """The mailboxes in what a person typed or a header says, divided by commas, semicolons or line ends.

    Raises :class:`AddressError` for the first one that cannot be used.
    """
    joined = ", ".join(part for part in re.split(r"[;\r\n]+", text) if part.strip())
    found = [(name, address) for name, address in getaddresses([joined]) if name or address]
    if not found and joined.strip(" ,"):
        return [Mailbox(normalise(joined))]
    return [Mailbox(normalise(address or name), " ".join(name.split()) if address else "") for name, address in found]


def display_domain(address: str) -> str:
    """The domain as people write it (U-labels, RFC 5890)."""
    domain = domain_of(address)
    try:
        return domain.encode().decode("idna")
    except UnicodeError:
        return domain


def header_address(mailbox: Mailbox) -> Address:
    """For :mod:`email`'s header registry."""
    local, _, domain = mailbox.address.rpartition("@")
    return Address(display_name=mailbox.name, username=local.strip('"'), domain=domain)


def _show(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"
