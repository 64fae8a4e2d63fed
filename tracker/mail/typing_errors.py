"""Domains that are probably misspelt: one slip away from a mail service that everybody knows. Pure."""

from tracker.mail.mail_providers import PUBLIC_DOMAINS

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
