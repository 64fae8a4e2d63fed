"""What a list shows, as a value: address bar ↔ value ↔ query ↔ sentence.

Days are days in the reader's zone: ``since`` counts from its first moment and ``until`` to its last. Points of time (RFC 3339)
are taken as they stand. Values that are empty, or the default, stand in no address.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, fields, replace
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from babel.lists import format_list
from sqlalchemy import ColumnElement, Select
from sqlmodel import Session, col
from starlette.requests import Request

from tracker.locale import N_, _, babel_locale, localize
from tracker.locale.written_days import as_iso, first_moment, next_day
from tracker.models import User
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.runtime.paging import Cursor
from tracker.web.http.formats import day

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])
Texts = Mapping[str, str | Mapping[str, str]]
"""A text for each name; where only some values are possible, one for each of them."""

MAX_WORDS = 200

LABELS: Texts = {"since": N_("Since %(what)s"), "until": N_("Until %(what)s"), "q": N_("“%(what)s”")}
CLAUSES: Texts = {"since": N_("since %(what)s"), "until": N_("until %(what)s"), "q": N_("with the words “%(what)s”")}


class ListFilter:
    """The base of every list's filter, a frozen dataclass whose fields bear the names of the address bar.

    A field whose label in ``LABELS`` is a mapping takes only what stands in it: one, or several when its default is a tuple.
    """

    PATH: ClassVar[str]
    LABELS: ClassVar[Texts]
    """What a chip says of each value."""
    CLAUSES: ClassVar[Texts]
    """What the sentence says of it."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    since: date | datetime | None
    until: date | datetime | None
    q: str

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """The filter in an address; names that are not ours are left to others. Raises :class:`ActionError` ``invalid``."""
        values: dict[str, Any] = {field.name: cls._read(field, query) for field in fields(cls)}
        return replace(cls(), **values)

    @classmethod
    def from_request(cls, request: Request) -> tuple[Self, Cursor | None, str]:
        """The filter and the place in an address, and a sentence on what cannot be understood: then the filter is the default."""
        cursor = request.query_params.get("cursor", "")
        try:
            return cls.from_query(request.query_params), Cursor.parse(cursor) if cursor else None, ""
        except ActionError as error:
            return cls(), None, localize(error)

    @classmethod
    def _read(cls, field: Field[Any], query: Mapping[str, str]) -> Any:
        name, labels, text = field.name, cls.LABELS[field.name], query.get(field.name, "")
        if name in ("since", "until"):
            return read_moment(name, text)
        if isinstance(labels, str):
            return _words(name, text)
        if isinstance(field.default, tuple):
            return several_of(name, _repeated(query, name), labels)
        return one_of(name, text, labels) or field.default

    def values(self) -> list[tuple[str, str]]:
        """Each value that is not the default, as (name, text); several of one name one by one."""
        changed = [(field.name, getattr(self, field.name)) for field in fields(self)]
        changed = [(name, value) for name, value in changed if value != getattr(type(self), name)]
        return [
            (name, _text(item)) for name, value in changed for item in (value if isinstance(value, tuple) else [value])
        ]

    def to_query(self) -> str:
        """The address bar's form, without the question mark; the same filter always gives the same text."""
        return urlencode(self.values())

    def address(self, **more: str) -> str:
        """The list's address with this filter."""
        query = urlencode([*self.values(), *more.items()])
        return f"{self.PATH}?{query}" if query else self.PATH

    def without(self, name: str, value: str = "") -> Self:
        """Itself with one value less: ``without("state", "opened")``, ``without("q")``."""
        before, default = getattr(self, name), getattr(type(self), name)
        changes: dict[str, Any] = {
            name: tuple(item for item in before if item != value) if isinstance(before, tuple) else default
        }
        return replace(self, **changes)

    @property
    def is_empty(self) -> bool:
        return not self.values()

    def chips(self) -> list[dict[str, str]]:
        """One chip per value: its words, and the address without it."""
        return [
            {"text": _worded(self.LABELS, name, value), "without": self.without(name, value).address()}
            for name, value in self.values()
        ]

    def sentence(self) -> str:
        """The filter as one sentence in the reader's language."""
        raise NotImplementedError

    def clauses(self) -> list[tuple[str, str]]:
        """The name and the words of each value, for the sentence."""
        return [(name, _worded(self.CLAUSES, name, value)) for name, value in self.values()]

    def apply(self, session: Session, query: Query, user: User) -> Query:
        """Narrows a query to this user's own rows that pass."""
        return query.where(*self.conditions(session, user))

    def conditions(self, session: Session, user: User) -> Sequence[ColumnElement[bool]]:
        """Whose a row must be, and what it must fulfil."""
        raise NotImplementedError

    def period(self, column: Any, user: User) -> list[ColumnElement[bool]]:
        """That the time in ``column`` lies between ``since`` and ``until``."""
        period, zone = [], ZoneInfo(user.timezone)
        if self.since is not None:
            period.append(col(column) >= first_moment(self.since, zone))
        if isinstance(self.until, datetime):
            period.append(col(column) <= self.until)
        elif self.until is not None:
            period.append(col(column) < first_moment(next_day(self.until), zone))
        return period


def ended(sentence: str) -> str:
    """With one full stop, also where an abbreviation ends it already."""
    return sentence.rstrip(".") + "."


def listed(clauses: Iterable[str], style: Literal["standard", "or"] = "standard") -> str:
    return format_list(list(clauses), style, locale=babel_locale())


def one_of(name: str, text: str, known: Mapping[str, str]) -> str:
    """The text, which must be one of ``known`` or empty. Raises :class:`ActionError`."""
    if text and text not in known:
        sentence = LocalizedText(
            "“%(name)s” cannot be “%(value)s”; it is one of %(values)s.",
            name=name,
            value=text[:40],
            values=", ".join(known),
        )
        raise ActionError("invalid", sentence, name)
    return text


def several_of(name: str, texts: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """The named ones of ``known``, in its order. Several may stand in one text, divided by commas. Raises :class:`ActionError`."""
    wanted = {one_of(name, part, known) for text in texts for part in text.split(",")}
    return tuple(value for value in known if value in wanted)


def _repeated(query: Mapping[str, str], name: str) -> Sequence[str]:
    getlist = getattr(query, "getlist", None)
    return list(getlist(name)) if getlist else [query.get(name, "")]


def _words(name: str, text: str) -> str:
    words = " ".join(text.replace("\0", " ").split())
    if len(words) > MAX_WORDS:
        sentence = LocalizedText("“%(name)s” is longer than %(limit)s characters.", name=name, limit=MAX_WORDS)
        raise ActionError("invalid", sentence, name)
    return words


def read_moment(name: str, text: str) -> date | datetime | None:
    text = as_iso(text.strip())
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return date.fromisoformat(text)
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        sentence = LocalizedText("“%(name)s” is not a day; write it as 2026-03-31.", name=name)
        raise ActionError("invalid", sentence, name) from None


def _text(value: str | date) -> str:
    """A value as it stands in the address bar."""
    return value.isoformat() if isinstance(value, date) else value


def _worded(texts: Texts, name: str, value: str) -> str:
    text = texts[name]
    if not isinstance(text, str):
        return _(text[value])
    return _(text, what=day(value) if name in ("since", "until") else value)
