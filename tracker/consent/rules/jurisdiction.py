"""Whose rules a person is under: declared, else the customer record's country, else the domain's; never a hit's address. Pure."""

from enum import StrEnum

from tracker.consent.rules.states import STRICT_JURISDICTIONS
from tracker.runtime.values import value


class JurisdictionSource(StrEnum):
    """How the jurisdiction is known, the surest first."""

    DECLARED = "declared"
    COUNTRY = "country"
    DOMAIN = "domain"
    UNKNOWN = "unknown"


@value
class Jurisdiction:
    """``code`` is empty when nothing is known."""

    code: str
    source: JurisdictionSource

    @property
    def is_strict(self) -> bool:
        """Unknown means strict."""
        return self.code in STRICT_JURISDICTIONS | {""}


_SOLD = "ac ag ai as cc cd co fm gg io la ly me mu nu pw sc sh so st su tk to tv vc ws"
_GENERIC = frozenset(_SOLD.split(" "))
"""Country codes that are sold to the whole world: they say nothing about where somebody is."""
_NAMES = {
    "uk": "UK",
    "gb": "UK",
    "eu": "EEA",
    "ею": "EEA",
    "ευ": "EEA",
    "ελ": "GR",
    "бг": "BG",
    "рф": "RU",
    "рус": "RU",
    "укр": "UA",
    "бел": "BY",
    "қаз": "KZ",
    "срб": "RS",
    "мкд": "MK",
    "հայ": "AM",
    "გე": "GE",
    "中国": "CN",
    "台灣": "TW",
    "한국": "KR",
    "भारत": "IN",
}


def jurisdiction_of(declared: str | None, country: str | None, domain: str) -> Jurisdiction:
    """The first of the three that is known. ``domain`` may be written in any script or in A-labels."""
    for code, source in ((declared, JurisdictionSource.DECLARED), (country, JurisdictionSource.COUNTRY)):
        if code and code.strip():
            return Jurisdiction(_plain(code), source)
    code = _of_domain(domain)
    return Jurisdiction(code, JurisdictionSource.DOMAIN if code else JurisdictionSource.UNKNOWN)


def _plain(code: str) -> str:
    upper = code.strip().upper()
    return {"GB": "UK", "EL": "GR", "EU": "EEA"}.get(upper, upper)


def _of_domain(domain: str) -> str:
    last = _readable(domain.rstrip(".").rpartition(".")[2].lower())
    if last in _NAMES:
        return _NAMES[last]
    is_country = len(last) == 2 and last.isascii() and last.isalpha() and last not in _GENERIC
    return last.upper() if is_country else ""


def _readable(label: str) -> str:
    try:
        return label.encode("ascii").decode("idna") if label.startswith("xn--") else label
    except UnicodeError:
        return ""
