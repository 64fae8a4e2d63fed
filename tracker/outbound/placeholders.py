"""Placeholders of templates: `{{first_name}}` becomes Anna, `{{company|your company}}` falls back to words of its own.

Pure. A placeholder without a value is never sent empty: it is named, and nothing is filled in its place. Braces that no
template put there are somebody's words and stay.
"""

import html as entities
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tracker.mail.addresses import lookup_or_none
from tracker.outbound.rewriter.html_scan import scan

NAMES = ("name", "first_name", "company", "address", "my_name", "my_first_name", "my_address")
"""What may stand between the braces."""

OF_THE_RECIPIENT = frozenset({"name", "first_name", "company", "address"})
"""Those that differ from one recipient to the next."""

_PLACE = re.compile(r"\{\{[ \t\xa0]*([A-Za-z_]{1,40})[ \t\xa0]*(?:\|([^{}]{0,200}))?\}\}")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"[^"]*"|'[^']*')""", re.IGNORECASE)
_LONGEST = 200
_QUOTED_LINE = re.compile(r"(?:^|(?<=>))\s*&gt;[^<]*")
"""A line of the plain box that quotes as mail does."""

_MAY_BE_A_PERSON = re.compile(r"[^@\d_/<>|+&]*[^@\d_/<>|+&,\s]")
_NO_PERSON = re.compile(
    r"\b(?:gmbh|kg|ag|ltd|llc|llp|inc|corp|s\.?r\.?l|s\.?a\.?r\.?l|bv|plc|oy|ab|aps|sp|ооо|ао|зао|пао|ип|via|team|sales|support"
    r"|service|info|office|company|department|dept|group|kundenservice|vertrieb|einkauf|отдел|компания)\b",
    re.IGNORECASE,
)
_DEGREES = re.compile(r"\b(?:h\.\s?c\.|e\.\s?h\.|rer\.\s?\w+\.|med\.\s?\w+\.|habil\.)", re.IGNORECASE)
_PATRONYMIC = re.compile(r"(?:вич|вна|ична|инична|ьич|оглы|кызы)$", re.IGNORECASE)


@dataclass(frozen=True)
class Filled:
    """The text with its values. ``missing`` have none, ``unknown`` are no placeholders; both stand in the text as written."""

    text: str
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def used(*texts: str) -> tuple[str, ...]:
    """The placeholders in these texts, each once, in their order, known ones or not."""
    return tuple(dict.fromkeys(place[1].lower() for text in texts for place in _PLACE.finditer(text)))


def used_in_html(html: str) -> tuple[str, ...]:
    """The same for HTML, without those in what it quotes."""
    return used(*(text for text, is_own in _pieces(html) if is_own))


def fill(text: str, values: Mapping[str, str], names: Collection[str] = NAMES) -> Filled:
    """Plain text with its values, which stay in one line. Placeholders that are none of ``names`` stay as they are."""
    return _filled(text, values, str, names)


def fill_html(html: str, values: Mapping[str, str], names: Collection[str] = NAMES) -> Filled:
    """HTML with its values: as text in text, percent-encoded in the address of a link. What it quotes stays as it is."""
    filled: list[Filled] = []
    for text, is_own in _pieces(html):
        position = 0
        for href in _HREF.finditer(text) if is_own else ():
            filled.append(_filled(text[position : href.start()], values, entities.escape, names))
            filled.append(_filled(href[0], values, lambda value: quote(value, safe=""), names))
            position = href.end()
        rest = text[position:]
        filled.append(_filled(rest, values, entities.escape, names) if is_own else Filled(rest))
    return Filled(
        "".join(piece.text for piece in filled),
        _each_once(name for piece in filled for name in piece.missing),
        _each_once(name for piece in filled for name in piece.unknown),
    )


def _pieces(html: str) -> Iterator[tuple[str, bool]]:
    """The document in pieces, each with whether it is the writer's own or quotes somebody."""
    quotes = scan(html).quotes if "{{" in html else []
    position = 0
    for start, end in sorted([*quotes, *(line.span() for line in _QUOTED_LINE.finditer(html))]):
        if start < position:
            continue
        yield html[position:start], True
        yield html[start:end], False
        position = end
    yield html[position:], True


def names_of(name: str, address: str, company: str) -> dict[str, str]:
    """The values for a recipient. Without a name or a company there is none, and it is said so."""
    return {
        "name": "" if lookup_or_none(name.strip("<>'\" ")) else name,
        "first_name": first_name(name),
        "address": address,
        "company": company,
    }


def own_names_of(name: str, address: str) -> dict[str, str]:
    """The values for the sender."""
    return {"my_name": name, "my_first_name": first_name(name), "my_address": address}


def first_name(name: str) -> str:
    """The name that people call somebody by: of "Petit, Anna" and "Dr. Anna Petit, PhD" it is Anna.

    Empty where there is none for sure: of a title and a surname, of initials, of an address, of a company or a department.
    """
    name = name.strip().strip("'\"‘’“”").strip()
    if not _MAY_BE_A_PERSON.fullmatch(name) or _NO_PERSON.search(name):
        return ""
    from nameparser import HumanName  # it takes a moment to load, and few processes need it

    parsed = HumanName(_DEGREES.sub(" ", name))
    words = parsed.first.split()
    if parsed.middle and _PATRONYMIC.search(parsed.last):
        words = parsed.middle.split()  # Иванова Мария Петровна
    if parsed.title and not (parsed.middle or parsed.last):
        words = []  # Herr Müller
    first = words[0] if words else ""
    return "" if first.endswith(".") or len(first) < 2 else first


def _filled(
    text: str, values: Mapping[str, str], written: Callable[[str], str], names: Collection[str] = NAMES
) -> Filled:
    missing: list[str] = []
    unknown: list[str] = []

    def value(place: re.Match[str]) -> str:
        name, fallback = place[1].lower(), " ".join((place[2] or "").split())
        if name not in NAMES:
            unknown.append(name)
            return place[0]
        if name not in names:
            return place[0]
        text = " ".join(values.get(name, "").split())[:_LONGEST]
        if text:
            return written(text)
        if fallback:
            return fallback
        missing.append(name)
        return place[0]

    return Filled(_PLACE.sub(value, text), _each_once(missing), _each_once(unknown))


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
