"""Taking a person's address, and their names beside it, out of texts, values and whole tables."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Column, ColumnElement, LargeBinary, Table, Text, cast, func, or_, true
from sqlalchemy import select as columns
from sqlmodel import Session, SQLModel

from tracker.privacy.data import DATA
from tracker.privacy.spellings import Spellings

GONE = "[erased]"
_SKIPPED = frozenset({"recipient", "consent_entry", "domain_profile"})
"""Tables that erasure sees to by itself."""
_AT_ONCE = 200
_CODED = ("&#", "%4", "%5", "%6", "%7", "\\u00", "\u00ad", "\u200b")
"""Marks of codes for letters: of a text without them the letters are looked for as they are."""
_TAG = re.compile(r"<[^<>]*>")
_NAME_BESIDE = re.compile(
    r"""(?P<name>(?:"[^"\n]{1,100}"|&quot;[^"\n<>]{1,100}?&quot;|(?:[^\W\d_][\w.'’-]*,?[ \t]+){0,4}[^\W\d_][\w.'’-]*))[ \t]*"""
    r"""(?P<address>(?:<|&lt;)(?:mailto:)?\[erased\](?:>|&gt;))"""
)
_CAPITALISED = re.compile(r"(?:^|(?<=\s))(?:[^\W\d_a-zа-я][\w.'’-]*,?[ \t]*)+$")


@dataclass(frozen=True)
class Redactor:
    """What is to be taken out: every spelling of the address, and names that stand for the person in these texts."""

    addresses: frozenset[str]
    names: frozenset[str] = frozenset()

    @cached_property
    def spellings(self) -> Spellings:
        return Spellings(self.addresses)

    @cached_property
    def _names(self) -> re.Pattern[str] | None:
        each = [
            rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(self.names, key=len, reverse=True) if name.strip()
        ]
        return re.compile("|".join(each), re.IGNORECASE) if each else None

    def mentions(self, value: Any) -> bool:
        """Whether the address stands in a text, or in whatever JSON can hold."""
        if isinstance(value, str):
            return self.spellings.are_in(value)
        if isinstance(value, dict):
            return any(self.mentions(item) for pair in value.items() for item in pair)
        return isinstance(value, list) and any(map(self.mentions, value))

    def text(self, text: str) -> str:
        if self.mentions(text):
            text = self.spellings.pattern.sub(lambda match: GONE + "".join(_TAG.findall(match[0])), text)
            text = _NAME_BESIDE.sub(_without_name, text)
            if self.mentions(text):  # in a code that can be read and not be cut out
                return GONE
        return self._names.sub(GONE, text) if self._names else text

    def value(self, value: Any) -> Any:
        """The same for whatever JSON can hold; of an address with a name the name goes, too."""
        if isinstance(value, str):
            return self.text(str(value))
        if isinstance(value, list):
            new = [self.value(item) for item in value]
            is_mailbox = len(value) == 2 and all(isinstance(item, str) for item in value) and new[0] == GONE != value[0]
            return [GONE, GONE if value[1] else ""] if is_mailbox else new
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        return value


def _without_name(match: re.Match[str]) -> str:
    """A quoted name goes whole; of bare words those that are written as names are."""
    name = match["name"]
    if name.startswith(('"', "&quot;")):
        return f"{GONE} {match['address']}"
    return _CAPITALISED.sub(f"{GONE} ", name + " ") + match["address"]


def redact_everywhere(session: Session, redactor: Redactor) -> dict[str, int]:
    """Takes the address out of every text column of every table, whoever wrote it, and the names out of what it stood in.

    Returns how many rows of which table.
    """
    session.flush()
    done = {}
    for name, table in SQLModel.metadata.tables.items():
        names = DATA[name].searched if name in DATA and name not in _SKIPPED else frozenset()
        texts = [
            column for column in table.columns if column.name in names and not isinstance(column.type, LargeBinary)
        ]
        if texts and (changed := _redact_table(session, redactor, table, texts)):
            done[name] = changed
    return done


def rows_with(session: Session, redactor: Redactor, table: Table, texts: list[Column[Any]]) -> Iterator[dict[str, Any]]:
    """The rows of a table in one of whose texts the address can be read: their keys and these texts."""
    keys = list(table.primary_key.columns)
    query = columns(*keys, *texts).where(may_hold(redactor, texts))
    for row in session.connection().execute(query.execution_options(yield_per=_AT_ONCE)).mappings():
        if any(redactor.mentions(row[column.name]) for column in texts):
            yield dict(row)


def may_hold(redactor: Redactor, texts: Iterable[Any]) -> ColumnElement[bool]:
    """The condition for rows that may hold the address: its letters as they are, or something coded."""
    run = redactor.spellings.run
    if not run:
        return true()
    held = [func.lower(cast(column, Text)) for column in texts]
    return or_(*(text.contains(mark, autoescape=True) for text in held for mark in (run, *_CODED)))


def _redact_table(session: Session, redactor: Redactor, table: Table, texts: list[Column[Any]]) -> int:
    connection, changed = session.connection(), 0
    for row in list(rows_with(session, redactor, table, texts)):
        new = {column.name: redactor.value(row[column.name]) for column in texts if row[column.name] is not None}
        if any(new[name] != row[name] for name in new):
            where = [key == row[key.name] for key in table.primary_key.columns]
            connection.execute(table.update().where(*where).values(_fitting(table, new)))
            changed += 1
    return changed


def _fitting(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """What stands in the place of an address may be longer than it."""
    longest = {name: getattr(table.c[name].type, "length", None) for name in values}
    return {
        name: value[: longest[name]] if isinstance(value, str) and longest[name] else value
        for name, value in values.items()
    }
