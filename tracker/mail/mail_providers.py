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
