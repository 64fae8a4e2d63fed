"""Prints what an account's mail costs beside very many queued copies of another: `python -m tests.bench.queue_backlog [copies]`.

Of each copy handed on: its rate, processor, statements and transactions; and how long the looks take that all accounts share, and
the claim of the account of the many. Numbers, never asserted.
"""

import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from sqlmodel import Session, SQLModel, select

from tests.bench.bulk_load import Facts, load_rows, set_sequences, settle
from tests.bench.figures import add_figure
from tests.bench.gateway import ANNA, ENGINES, World, world
from tests.bench.mail_client import HTML
from tests.fixtures.contexts import People
from tracker.models import Delivery, Message, MessageBody
from tracker.outbound.queue import accounts_due, next_due, send_for_account
from tracker.outbound.sent_copy import accounts_with_copies
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.interpreter import take_short_turns

_AT_ONCE = 10_000
COPIES = 300


def main(copies: int = 1_000_000) -> None:
    take_short_turns()  # as a worker does
    print("| database | | a second | processor | statements | transactions |\n|---|---|---|---|---|---|")
    for engine in ENGINES:
        with world(engine, 2) as gateway_world:
            alone, row = _hand_on(gateway_world)
            print(f"| {engine} | alone | {row} |", flush=True)
            fill(gateway_world.context, copies)
            beside, row = _hand_on(gateway_world)
            print(f"| {engine} | beside {copies:,} copies | {row} |", flush=True)
            row = f"Queue, {engine}: beside {copies:,} copies of another account"
            add_figure(row, beside, "copies a second", ratio=beside / alone, at_least=0.9)
            for name, look in _LOOKS.items():
                print(f"| {engine} | {name}: {_milliseconds(gateway_world.context, look):.2f} ms | | | | |", flush=True)


_LOOKS: dict[str, Callable[[Session], Any]] = {
    "accounts with mail due": lambda session: accounts_due(session, now()),
    "time of the next copy": next_due,
    "accounts with copies for Sent": lambda session: accounts_with_copies(session, now()),
}


def _milliseconds(context: AppContext, look: Callable[[Session], Any]) -> float:
    best = float("inf")
    for _ in range(5):
        with context.database.reading() as session:
            session.connection()
            began = time.perf_counter()
            look(session)
            best = min(best, time.perf_counter() - began)
    return 1000 * best


def _hand_on(gateway_world: World) -> tuple[float, str]:
    """The second account's mail, looked for as a worker does, whatever the first has waiting."""
    people, second = People(gateway_world.context), SimpleNamespace(id=2)
    for copies in (40, COPIES):  # a worker has compiled its statements long ago
        for _ in range(copies):
            people.send(second, ANNA, html=HTML.decode())  # type: ignore[arg-type]
        rate, row = gateway_world.measured(copies, lambda: _serve_second(gateway_world.context))
    return rate, row


def _serve_second(context: AppContext) -> None:
    while True:
        with context.database.reading() as session:
            if 2 not in [each.account_id for each in accounts_due(session, now())]:
                return
        send_for_account(context, 2, Shutdown())


def fill(context: AppContext, copies: int) -> None:
    """So many more messages of the first account, a copy each, all due; their copies for Sent are due as well."""
    message = People(context).send(SimpleNamespace(id=1), ANNA, html=HTML.decode())  # type: ignore[arg-type]
    with context.database.session_scope() as session:
        row, body = session.get_one(Message, message.id), session.get_one(MessageBody, message.id)
        row.sent_copy, row.sent_copy_at = "wanted", now()
        copy = session.exec(select(Delivery).where(Delivery.message_id == message.id)).one()
    first = max(message.id or 0, copy.id or 0) + 1
    for begin in range(first, first + copies, _AT_ONCE):
        numbers = range(begin, min(begin + _AT_ONCE, first + copies))
        with context.database.session_scope(hooks=False) as session:
            for model, varying in ((row, _of_message), (body, _of_body), (copy, _of_delivery)):
                rows = [varying(number) for number in numbers]
                same = {name: value for name, value in model.model_dump().items() if name not in rows[0]}
                load_rows(session, SQLModel.metadata.tables[str(type(model).__tablename__)], same, rows)
    set_sequences(context.database)
    settle(context.database)


def _of_message(number: int) -> Facts:
    return {"id": number, "public_id": f"m{number:011d}", "message_id": f"<{number}@seller.example>"}


def _of_body(number: int) -> Facts:
    return {"message_id": number}


def _of_delivery(number: int) -> Facts:
    return {"id": number, "public_id": f"d{number:011d}", "message_id": number}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
