"""Which family a recipient's MX or a sender's provider belongs to, from a family name or a host name."""

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
    )
)
_GATEWAYS = "proofpoint mimecast barracuda cisco symantec trendmicro sophos fortinet hornet vade checkpoint"
GATEWAYS = frozenset(_GATEWAYS.split())


@lru_cache(maxsize=4096)
def family(name: str | None) -> str | None:
    """The family; the name itself in lower case when it is none we know; None when nothing is known."""
    plain = (name or "").strip().strip(".").lower()
    if plain in ("", "unknown", "none"):
        return None
    return next((known for pattern, known in FAMILIES if pattern.search(plain)), plain)
