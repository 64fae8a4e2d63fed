"""Taking an address (and names, where they are meant) out of texts, values and whole tables."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from sqlalchemy import Column, LargeBinary, Table, Text, cast, func, or_
from sqlalchemy import select as columns
from sqlmodel import Session, SQLModel

from tracker.privacy.data import DATA

GONE = "[erased]"
_SKIPPED = frozenset({"recipient", "consent_entry", "domain_profile"})
"""Tables that erasure sees to by itself."""


@dataclass(frozen=True)
class Redactor:
    """What is to be taken out: every spelling of the address, and names that stand for the person in these texts."""

    addresses: frozenset[str]
    names: frozenset[str] = frozenset()

    @cached_property
    def spellings(self) -> frozenset[str]:
        """As texts, addresses of pages and JSON write them, in lower case."""
        found = {one.lower() for one in self.addresses if one}
        return frozenset(
            found
            | {quote(one, safe="") for one in found}
            | {quote(one) for one in found}
            | {json.dumps(one)[1:-1] for one in found}
        )

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        whole = [rf"(?<![\w.+%-]){re.escape(one)}(?![\w-]|\.\w)" for one in _longest_first(self.spellings)]
        whole += [rf"(?<!\w){re.escape(one)}(?!\w)" for one in _longest_first(self.names) if one.strip()]
        return re.compile("|".join(whole), re.IGNORECASE)

    def text(self, text: str) -> str:
        return self._pattern.sub(GONE, text)

    def value(self, value: Any) -> Any:
        """The same for whatever JSON can hold."""
        if isinstance(value, str):
            return self.text(str(value))
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {self.text(name): self.value(one) for name, one in value.items()}
        return value

    def only_address(self) -> "Redactor":
        return Redactor(self.addresses)


def _longest_first(texts: Iterable[str]) -> list[str]:
    return sorted(texts, key=len, reverse=True)


def redact_everywhere(session: Session, redactor: Redactor) -> dict[str, int]:
    """Takes the address out of every text column of every table, whoever wrote it. Returns how many rows of which table."""
    session.flush()
    done = {}
    for name, table in SQLModel.metadata.tables.items():
        names = DATA[name].searched if name in DATA and name not in _SKIPPED else frozenset()
        texts = [
            column for column in table.columns if column.name in names and not isinstance(column.type, LargeBinary)
        ]
        if texts and (changed := _redact_table(session, redactor.only_address(), table, texts)):
            done[name] = changed
    return done


def _redact_table(session: Session, redactor: Redactor, table: Table, texts: list[Column[Any]]) -> int:
    connection = session.connection()
    keys = list(table.primary_key.columns)
    found = [
        func.lower(cast(column, Text)).contains(spelling, autoescape=True)
        for column in texts
        for spelling in sorted(redactor.spellings)
    ]
    changed = 0
    for row in connection.execute(columns(*keys, *texts).where(or_(*found))).mappings().all():
        new = {column.name: redactor.value(row[column.name]) for column in texts if row[column.name] is not None}
        if any(new[name] != row[name] for name in new):
            where = [key == row[key.name] for key in keys]
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
