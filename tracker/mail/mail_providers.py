"""Mail services by their hosts: which family a recipient's MX or a sender's provider belongs to; and domains that are one slip away
from a service that everybody knows. Pure.
"""

import re
from functools import lru_cache

# Proofpoint's and Barracuda's names are documented; the others are general knowledge.
FAMILIES = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"pphosted|ppe-hosted|proofpoint", "proofpoint"),
        (r"mimecast", "mimecast"),
        (r"barracuda", "barracuda"),
        (r"iphmx|cisco|ironport", "cisco"),
        (r"messagelabs|symantec", "symantec"),
        (r"trend ?micro|\btmes\b", "trendmicro"),
        (r"sophos", "sophos"),
        (r"forti", "fortinet"),
        (r"hornet|antispameurope", "hornet"),
        (r"vadesecure|\bvade\b", "vade"),
        (r"check ?point", "checkpoint"),
        (r"google|gmail|workspace", "google"),
        (r"outlook|microsoft|office ?365|\bm365|exchange|hotmail", "microsoft"),
        (r"yahoo", "yahoo"),
        (r"yandex", "yandex"),
        (r"\bmail\.?ru\b", "mailru"),
        (r"\bicloud\b", "apple"),
    )
)
_GATEWAYS = "proofpoint mimecast barracuda cisco symantec trendmicro sophos fortinet hornet vade checkpoint"
GATEWAYS = frozenset(_GATEWAYS.split())
KNOWN = frozenset(known for _, known in FAMILIES)

# Anybody may have an address there, so two of them are no colleagues.
_PUBLIC = """gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com ymail.com aol.com icloud.com me.com
mac.com mail.ru bk.ru inbox.ru list.ru yandex.ru yandex.com ya.ru rambler.ru gmx.de gmx.net gmx.com web.de t-online.de
proton.me protonmail.com fastmail.com zoho.com qq.com 163.com seznam.cz ukr.net orange.fr free.fr libero.it"""
PUBLIC_DOMAINS = frozenset(_PUBLIC.split())
# What accounts call their presets, where that is not the family's own name.
PRESET_FAMILIES = {"gmail": "google", "icloud": "apple"}


def provider(preset: str, smtp_host: str) -> str | None:
    """The family of the service that the sender's mailbox is at; the host itself when it is none we know."""
    return PRESET_FAMILIES.get(preset, preset) if preset not in ("", "other") else family(smtp_host)


@lru_cache(maxsize=4096)
def family(name: str | None) -> str | None:
    """The family; the name itself in lower case when it is none we know; None when nothing is known."""
    plain = (name or "").strip().strip(".").lower()
    if plain in ("", "unknown", "none"):
        return None
    return next((known for pattern, known in FAMILIES if pattern.search(plain)), plain)


_REAL = frozenset(("mail.com", "email.com", "cloud.com", "gmail.de", "hotmail.de", "rocketmail.com"))
"""One letter away from another service, and services themselves."""
_SLIPS = {
    "com": "con cmo ocm om cm co comm coom vom xom cpm cim copm",
    "ru": "ry tu ri rru ruu r u ur",
    "de": "ed dr dee",
    "net": "ner nte ent met bet nett",
}
_MEANT = {slip: top for top, slips in _SLIPS.items() for slip in slips.split()}
_SHORTEST = 5
"""Of the name before the last dot: shorter names are too near to others."""


def meant_domain(domain: str) -> str:
    """The well-known domain that was probably meant; empty when this one may well be right."""
    domain = domain.lower()
    if domain in PUBLIC_DOMAINS or domain in _REAL:
        return ""
    name, _dot, top = domain.rpartition(".")
    candidates = (
        f"{name}.{_MEANT.get(top, top)}",
        *(known for known in sorted(PUBLIC_DOMAINS) if _is_slip(known, domain)),
    )
    return next((known for known in candidates if known in PUBLIC_DOMAINS), "")


def _is_slip(known: str, domain: str) -> bool:
    name, _dot, top = known.rpartition(".")
    typed, _dot, typed_top = domain.rpartition(".")
    return len(name) >= _SHORTEST and _MEANT.get(typed_top, typed_top) == top and is_one_slip(name, typed)


def is_one_slip(right: str, typed: str) -> bool:
    """Whether one letter is missing, too many or another one, or two neighbours have changed places."""
    if right == typed or abs(len(right) - len(typed)) > 1:
        return False
    same = next(
        (at for at, (a, b) in enumerate(zip(right, typed, strict=False)) if a != b), min(len(right), len(typed))
    )
    rest, typed_rest = right[same:], typed[same:]
    swapped = rest[:2] == typed_rest[1::-1] and rest[2:] == typed_rest[2:]
    return rest[1:] == typed_rest or rest == typed_rest[1:] or rest[1:] == typed_rest[1:] or swapped
