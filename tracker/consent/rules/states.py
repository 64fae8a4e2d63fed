"""The words of consent: purposes, states, packs. Pure."""

from datetime import timedelta
from enum import StrEnum


class Purpose(StrEnum):
    """What consent is asked for."""

    OPENS = "opens"
    CLICKS = "clicks"
    DOCUMENTS = "documents"


MEASURED = (Purpose.OPENS, Purpose.CLICKS)
"""What a message can measure, and so what people are asked for."""


class ConsentState(StrEnum):
    """Consent of one recipient to one purpose."""

    UNKNOWN = "unknown"
    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    LAPSED = "lapsed"
    BLOCKED = "blocked"


class Pack(StrEnum):
    """The workspace's consent policy."""

    STRICT = "strict"
    NOTICE = "notice"
    OFF = "off"


_EEA = "AT BE BG CY CZ DE DK EE EL ES EU EEA FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
STRICT_JURISDICTIONS = frozenset([*_EEA.split(" "), "UK", "GB"])
"""Countries of the European Economic Area and the United Kingdom (ISO 3166-1, and what else they are called)."""

ASK_AGAIN_AFTER = timedelta(days=182)
"""How long somebody who said no is left in peace before being asked again."""

SILENT = frozenset(
    {ConsentState.REFUSED, ConsentState.WITHDRAWN, ConsentState.OBJECTED, ConsentState.BLOCKED, ConsentState.LAPSED}
)
"""States in which a hit on mail already sent is answered and forgotten."""

SAID_NO = frozenset({ConsentState.REFUSED, ConsentState.WITHDRAWN, ConsentState.OBJECTED})
