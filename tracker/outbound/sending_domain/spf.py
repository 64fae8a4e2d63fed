"""SPF of a sending domain (RFC 7208): reading records as they are found, broken ones too. Asks through what it is given.

``fetch(name, type)`` gives :class:`Records`; nothing else reaches out. No input raises.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network

MOST_LOOK_UPS = 10
"""Terms that ask DNS, of the whole tree (RFC 7208 section 4.6.4)."""
MOST_VOID = 2
"""Answers that there is nothing, likewise."""
MOST_QUERIES = 40
"""So many we make ourselves, whatever the records say."""

_TERM = re.compile(r"([+\-~?]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?:([:/])(.*))?", re.IGNORECASE | re.DOTALL)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)", re.DOTALL)
_ASKS = ("include", "a", "mx", "ptr", "exists", "redirect")


@dataclass(frozen=True)
class Records:
    """What DNS said. ``problem`` is empty, ``none`` (there is nothing of this kind) or ``no_answer`` (nobody knows)."""

    values: tuple[str, ...] = ()
    problem: str = ""


Fetch = Callable[[str, str], Records]


@dataclass(frozen=True)
class SpfTerm:
    """One mechanism or modifier: ``~all``, ``include:_spf.google.com``, ``redirect=…``."""

    qualifier: str
    name: str
    value: str


@dataclass
class Spf:
    """What is known of a domain's SPF. ``records`` are all that begin with v=spf1; there must be one."""

    records: tuple[str, ...] = ()
    problem: str = ""
    terms: list[SpfTerm] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Words that no receiver understands: the whole record is void (permerror)."""
    included: set[str] = field(default_factory=set)
    """Every domain that include and redirect lead to, at any depth."""
    missing: set[str] = field(default_factory=set)
    """Domains that are included and have no SPF of their own: permerror."""
    look_ups: int = 0
    void: int = 0
    cut_off: bool = False
    """Not everything could be asked: DNS did not answer, or there was too much."""

    @property
    def all(self) -> str | None:
        """The qualifier of ``all``; None where the record has none."""
        return next((term.qualifier for term in self.terms if term.name == "all"), None)


def look_up(domain: str, fetch: Fetch) -> Spf:
    """The SPF of a domain with everything it includes."""
    spf = Spf()
    answer = fetch(domain, "TXT")
    spf.records = spf_records(answer.values)
    spf.problem = answer.problem if answer.problem == "no_answer" else ""
    if len(spf.records) == 1:
        spf.terms, spf.broken = parse(spf.records[0])
        _walk(spf, domain, spf.terms, fetch, [MOST_QUERIES - 1], (domain,))
    return spf


def spf_records(values: tuple[str, ...]) -> tuple[str, ...]:
    """Section 4.5: the version is a word of its own."""
    return tuple(value for value in values if re.match(r"v=spf1( |$)", value, re.IGNORECASE))


def parse(record: str) -> tuple[list[SpfTerm], list[str]]:
    """The terms of a record, and the words that are none."""
    terms, broken = [], []
    for word in record.split()[1:]:
        term = _term(word)
        if term is None:
            broken.append(word[:80])
        else:
            terms.append(term)
    return terms, broken


def _term(word: str) -> SpfTerm | None:
    match = _TERM.fullmatch(word)
    if match:
        qualifier, name, mark, value = match[1] or "+", match[2].lower(), match[3] or "", match[4] or ""
        value = value if mark == ":" else ""
        return SpfTerm(qualifier, name, value.lower()) if _fits(name, mark, value) else None
    modifier = _MODIFIER.fullmatch(word)
    return SpfTerm("", modifier[1].lower(), modifier[2].lower()) if modifier else None


def _fits(name: str, mark: str, value: str) -> bool:
    match name:
        case "all":
            return not mark
        case "ip4" | "ip6":
            return _is_network(value, int(name[2]))
        case "include" | "exists":
            return bool(value)
        case _:
            return bool(value) or mark != ":"


def _is_network(value: str, version: int) -> bool:
    try:
        return ip_network(value, strict=False).version == version
    except ValueError:
        return False


def _walk(spf: Spf, domain: str, terms: list[SpfTerm], fetch: Fetch, left: list[int], path: tuple[str, ...]) -> None:
    has_all = any(term.name == "all" for term in terms)
    for term in terms:
        if term.name not in _ASKS or (term.name == "redirect" and has_all):
            continue
        spf.look_ups += 1
        if term.name in ("include", "redirect"):
            _follow(spf, term.value.rstrip("."), fetch, left, path)
        elif term.name in ("a", "mx") and "%" not in term.value:
            _ask(spf, (term.value.partition("/")[0] or domain).rstrip("."), term.name.upper(), fetch, left)


def _follow(spf: Spf, target: str, fetch: Fetch, left: list[int], path: tuple[str, ...]) -> None:
    spf.included.add(target)
    if "%" in target or target in path:  # a macro needs a message; a circle ends at the limit anyway
        spf.cut_off = True
        spf.look_ups += MOST_LOOK_UPS if target in path else 0
        return
    answer = _ask(spf, target, "TXT", fetch, left)
    if answer is None or answer.problem == "no_answer":
        return
    records = spf_records(answer.values)
    if len(records) != 1:
        spf.missing.add(target)
        return
    terms, broken = parse(records[0])
    spf.missing |= {target} if broken else set()
    _walk(spf, target, terms, fetch, left, (*path, target))


def _ask(spf: Spf, name: str, kind: str, fetch: Fetch, left: list[int]) -> Records | None:
    if left[0] <= 0:
        spf.cut_off = True
        return None
    left[0] -= 1
    answer = fetch(name, kind)
    spf.void += answer.problem == "none"
    spf.cut_off |= answer.problem == "no_answer"
    return answer


def with_include(record: str, include: str) -> str:
    """The record with one more include, before the term that ends it."""
    words = record.split()
    ends = (i for i, word in enumerate(words) if re.fullmatch(r"[+\-~?]?all|redirect=.*", word, re.IGNORECASE))
    place = next(ends, len(words))
    return " ".join([*words[:place], f"include:{include}", *words[place:]])


def merged(records: tuple[str, ...]) -> str:
    """Several records as the one that there must be: every term once, ending as the strictest ends."""
    terms = [word for record in records for word in record.split()[1:]]
    is_end = re.compile(r"[+\-~?]?all", re.IGNORECASE)
    rest = list(dict.fromkeys(word for word in terms if not is_end.fullmatch(word)))
    ends = {word.lower() for word in terms if is_end.fullmatch(word)}
    return " ".join(["v=spf1", *rest, "-all" if "-all" in ends else "~all"])
