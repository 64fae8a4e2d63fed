"""Lists page by page: every row once, in either direction, in an order of times or of texts, on both engines."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlmodel import select

from tests.fixtures.contexts import context  # noqa: F401  (on both engines)
from tracker.models import Recipient
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.paging import read_page

ORDERS = {"by address": (Recipient.lookup,), "by time": (Recipient.created_at, Recipient.id)}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_join_without_gap_and_repetition(context: AppContext, order: Sequence[Any], newest_first: bool) -> None:  # noqa: F811
    names = [f"person{number:02}@example.com" for number in range(11)]
    with context.database.session_scope() as session:
        for name in names:
            find_or_make(session, name)
            session.flush()
    seen: list[str] = []
    sizes: list[int] = []
    after = None
    with context.database.reading() as session:
        while not sizes or after is not None:
            rows, after = read_page(session, select(Recipient), order, after, limit=4, newest_first=newest_first)
            seen += [row.lookup for row in rows]
            sizes.append(len(rows))
    assert seen == (names[::-1] if newest_first else names)
    assert sizes == [4, 4, 3]


def test_a_full_last_page_is_the_last(context: AppContext) -> None:  # noqa: F811
    with context.database.session_scope() as session:
        for number in range(4):
            find_or_make(session, f"person{number}@example.com")
    with context.database.reading() as session:
        assert read_page(session, select(Recipient), [Recipient.lookup], limit=4)[1] is None
