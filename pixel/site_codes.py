"""Codes of dynamic addresses: how they are made, read and checked. Pure; chance is handed in.

A long code has nine characters of an alphabet without look-alikes: one of the edge that made it, seven random, one check
(Luhn mod 30). A short code has four digits. Either stands as a tag behind a plus: ``info+bx7k3qd2m@site.example``.
"""

import re
from collections.abc import Iterable

ALPHABET = "abcdefghjkmnpqrstvwxyz23456789"
RANDOM_CHARACTERS = 7
SHORT_CODES = 10_000
_SIZE = len(ALPHABET)
_PLACE = {character: place for place, character in enumerate(ALPHABET)}
_CHARACTERS = (ALPHABET * 9).encode()[:256]
_UNEVEN = bytes(range(256 - 256 % _SIZE, 256))
"""Bytes that would make some characters likelier than others."""
_LONG = re.compile(rf"[{ALPHABET}]{{9}}")
_SHORT = re.compile(r"[0-9]{4}")


def long_codes(edge: str, noise: bytes) -> list[str]:
    """The codes of an edge (one character of the alphabet) that random bytes make, about one of seven and a half bytes."""
    characters = noise.translate(_CHARACTERS, _UNEVEN).decode()
    ends = range(RANDOM_CHARACTERS, len(characters) + 1, RANDOM_CHARACTERS)
    bodies = [edge + characters[end - RANDOM_CHARACTERS : end] for end in ends]
    return [body + check_character(body) for body in bodies]


def check_character(body: str) -> str:
    """Finds every single wrong character and nearly every swapped pair (Luhn mod N)."""
    total = 0
    for position, character in enumerate(reversed(body)):
        place = _PLACE[character]
        if position % 2 == 0:
            place = 2 * place // _SIZE + 2 * place % _SIZE
        total += place
    return ALPHABET[-total % _SIZE]


def is_long_code(text: str) -> bool:
    """Nine characters of the alphabet with the right check; case does not matter."""
    code = text.lower()
    return _LONG.fullmatch(code) is not None and check_character(code[:-1]) == code[-1]


def is_short_code(text: str) -> bool:
    return _SHORT.fullmatch(text) is not None


def short_codes(part: int, parts: int) -> Iterable[str]:
    """The four-digit codes that belong to the edge with this number, of so many edges."""
    return (f"{number:04d}" for number in range(part, SHORT_CODES, parts))


def tagged(base: str, code: str) -> str:
    """The base address with the code behind a plus."""
    local, _, domain = base.rpartition("@")
    return f"{local}+{code}@{domain}"


def split_tag(address: str) -> tuple[str, str] | None:
    """Base address and tag; None when there is no tag."""
    local, _, domain = address.rpartition("@")
    base, plus, tag = local.rpartition("+")
    return (f"{base}@{domain}", tag) if plus and base and tag else None
