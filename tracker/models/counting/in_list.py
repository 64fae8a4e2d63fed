"""Membership of many values as one parameter: a thousand of them cost as little to ask for as one."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session


def in_list(session: Session, what: Any, values: Iterable[int] | Iterable[str]) -> ColumnElement[bool]:
    """``what IN (values)`` for numbers or texts, as each database reads a list best."""
    listed = list(values)
    if session.get_bind().dialect.name == "sqlite":
        members = func.json_each(json.dumps(listed)).table_valued(column("value"))
        return what.in_(select(members.c.value))  # type: ignore[no-any-return]
    return what == any_(bindparam(None, listed, type_=ARRAY(what.type)))  # type: ignore[no-any-return]
