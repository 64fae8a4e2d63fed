"""Placeholders of templates: `{{first_name}}` becomes Anna, `{{company|your company}}` falls back to words of its own.

Pure. A placeholder without a value is never sent as a hole: it is named, and nothing is filled in its place.
"""

import html as entities
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

NAMES = ("name", "first_name", "company", "address", "my_name", "my_first_name", "my_address")
"""What may stand between the braces."""

OF_THE_RECIPIENT = frozenset({"name", "first_name", "company", "address"})
"""Those that differ from one recipient to the next."""

_PLACE = re.compile(r"\{\{[ \t\xa0]*([A-Za-z_]{1,40})[ \t\xa0]*(?:\|([^{}]{0,200}))?\}\}")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"[^"]*"|'[^']*')""", re.IGNORECASE)
_LONGEST = 200


@dataclass(frozen=True)
class Filled:
    """The text with its values. ``missing`` have none, ``unknown`` are no placeholders; both stand in the text as written."""

    text: str
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def used(*texts: str) -> tuple[str, ...]:
    """The placeholders in these texts, each once, in their order, known ones or not."""
    return tuple(dict.fromkeys(place[1].lower() for text in texts for place in _PLACE.finditer(text)))


def fill(text: str, values: Mapping[str, str]) -> Filled:
    """Plain text with its values, which stay in one line."""
    return _filled(text, values, str)


def fill_html(html: str, values: Mapping[str, str]) -> Filled:
    """HTML with its values: as text in text, percent-encoded in the address of a link."""
    pieces: list[Filled] = []
    position = 0
    for href in _HREF.finditer(html):
        pieces.append(_filled(html[position : href.start()], values, entities.escape))
        pieces.append(_filled(href[0], values, lambda value: quote(value, safe="")))
        position = href.end()
    pieces.append(_filled(html[position:], values, entities.escape))
    return Filled(
        "".join(piece.text for piece in pieces),
        _each_once(name for piece in pieces for name in piece.missing),
        _each_once(name for piece in pieces for name in piece.unknown),
    )


def names_of(name: str, address: str, company: str) -> dict[str, str]:
    """The values for a recipient. Without a name or a company there is none, and it is said so."""
    return {"name": name, "first_name": first_name(name), "address": address, "company": company}


def own_names_of(name: str, address: str) -> dict[str, str]:
    """The values for the sender."""
    return {"my_name": name, "my_first_name": first_name(name), "my_address": address}


def first_name(name: str) -> str:
    """The name that people call somebody by: of "Petit, Anna" and "Dr. Anna Petit" it is Anna."""
    last, comma, first = name.partition(",")
    words = (first if comma and first.strip() else last).split()
    titles = {"dr", "dr.", "prof", "prof.", "mr", "mr.", "mrs", "mrs.", "ms", "ms.", "herr", "frau", "m.", "mme"}
    named = [word for word in words if word.lower() not in titles]
    return (named or words or [""])[0]


def _filled(text: str, values: Mapping[str, str], written: Callable[[str], str]) -> Filled:
    missing: list[str] = []
    unknown: list[str] = []

    def value(place: re.Match[str]) -> str:
        name, fallback = place[1].lower(), " ".join((place[2] or "").split())
        if name not in NAMES:
            unknown.append(name)
            return place[0]
        found = " ".join(values.get(name, "").split())[:_LONGEST]
        if found:
            return written(found)
        if fallback:
            return fallback
        missing.append(name)
        return place[0]

    return Filled(_PLACE.sub(value, text), _each_once(missing), _each_once(unknown))


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
