"""DMARC (RFC 7489) and DKIM keys (RFC 6376) of a sending domain: reading what stands in DNS. Pure; no input raises."""

import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

LEAST_BITS = 1024
"""RFC 8301 section 3.2; 2048 is advised."""


@dataclass(frozen=True)
class Dmarc:
    """A DMARC record. ``problem`` is empty or names what is wrong: none, several, broken."""

    problem: str = ""
    policy: str = ""
    reports: bool = False


@dataclass(frozen=True)
class DkimKey:
    """A key record. ``problem``: empty, revoked, broken, weak."""

    problem: str = ""
    bits: int = 0
    testing: bool = False


def parse_dmarc(values: Sequence[str], *, inherited: bool = False) -> Dmarc:
    """The policy among the TXT records at ``_dmarc``. ``inherited``: found at a parent domain, whose ``sp`` then counts."""
    records = [value for value in values if re.match(r"\s*v\s*=\s*DMARC1\s*(;|$)", value, re.IGNORECASE)]
    if len(records) != 1:  # section 6.6.3: several are as good as none
        return Dmarc("several" if records else "none")
    tags = tags_of(records[0])
    policy = tags.get("p", "").lower()
    if inherited and tags.get("sp"):
        policy = tags["sp"].lower()
    if policy not in ("none", "quarantine", "reject"):
        return Dmarc("broken")
    return Dmarc("", policy, bool(tags.get("rua")))


def parse_dkim(value: str) -> DkimKey:
    """One key record."""
    tags = tags_of(value)
    if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return DkimKey("broken")
    key = re.sub(r"\s", "", tags["p"])
    testing = "y" in tags.get("t", "").split(":")
    if not key:
        return DkimKey("revoked", 0, testing)
    if tags.get("k", "rsa").lower() == "ed25519":
        return DkimKey("" if len(key) == 44 else "broken", 256, testing)
    bits = _bits(key)
    problem = "broken" if bits == 0 else "weak" if bits < LEAST_BITS else ""
    return DkimKey(problem, bits, testing)


def _bits(key: str) -> int:
    try:
        public_key = load_der_public_key(b64decode(key, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return 0
    return public_key.key_size if isinstance(public_key, RSAPublicKey) else 0


def tags_of(value: str) -> dict[str, str]:
    """The tag list of RFC 6376 section 3.2; the first of a name counts."""
    tags: dict[str, str] = {}
    for part in value.split(";"):
        name, mark, content = part.partition("=")
        if mark:
            tags.setdefault(name.strip().lower(), content.strip())
    return tags


def parents(domain: str) -> list[str]:
    """The domains above, the nearest first, without the top level: where a policy may be inherited from."""
    labels = domain.split(".")
    return [".".join(labels[i:]) for i in range(1, len(labels) - 1)][:6]
