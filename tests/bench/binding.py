"""Binding: `python -m tests.bench.binding [--letters N] [--customers N] [--orders N] [--engine …]`. Figures, never asserted.

Letters a second that are taken in and bound, beside the same load without binding; statements per letter; customers found, and
lists of enquiries, in milliseconds of server time; customers imported from CSV per second, with the memory that took.
"""

import argparse
import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlmodel import Session, select

from tests.bench.figures import add_figure
from tests.bench.ingest import bench_context
from tests.bench.letters import tell
from tests.fixtures.contexts import People
from tests.inbound.arrivals import Arrivals, connected
from tests.inbound.corpus import simple
from tracker.crm.csv_import import import_customers
from tracker.inbound import accept
from tracker.models import Customer, Mailbox, SearchKind, User
from tracker.models.counting.bulk import append_rows, reserve_ids
from tracker.models.counting.tables import CUSTOMER, CUSTOMER_ADDRESS, ORDER
from tracker.models.rows import public_id
from tracker.models.search_query import finds
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.paging import read_page
from tracker.web.inbox.filter import LetterFilter
from tracker.web.inbox.rows import read_letters

LOAD = 50
"""Letters in one transaction, as a run takes them in."""
BATCH = 20_000
LISTS = ("mine", "nobodys", "waiting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--letters", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--orders", type=int, default=500_000)
    parser.add_argument("--imported", type=int, default=20_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    words = parser.parse_args()
    for engine in words.engine or ("sqlite", "postgresql"):
        with bench_context(engine) as context:
            olga = People(context).user("Olga")
            fill(context, olga, words.customers, words.orders)
            half = words.letters // 2
            bare = load(context, connected(context, olga, "bare@shop.example"), words, half, binds=False)
            bound = load(context, connected(context, olga, "bound@shop.example"), words, half, binds=True)
            print(
                f"{engine:11} letters per second: {bound[0]:,.0f} bound, {bare[0]:,.0f} without ({bound[0] / bare[0]:.2f})"
            )
            add_figure(
                f"Binding, {engine}: beside the same load without", bound[0], "letters/s", ratio=bound[0] / bare[0]
            )
            print(f"{engine:11} statements per letter: {bound[1]:.2f} bound, {bare[1]:.2f} without", flush=True)
            tell(engine, "customers: beginning of a name", searches(context, lambda: f"name{random.randrange(1000)}"))
            tell(engine, "customers: a whole address", searches(context, lambda: address(random.randrange(1000))))
            for name in LISTS:
                tell(engine, f"enquiries: {name}", lists(context, olga, name))
            imported(context, engine, olga, words.imported)


def address(number: int) -> str:
    return f"c{number}@client{number % 5000}.example"


def fill(context: AppContext, olga: User, customers: int, orders: int) -> None:
    moment = now()
    for start in range(1, customers + 1, BATCH):
        numbers = range(start, min(start + BATCH, customers + 1))
        with context.database.session_scope() as session:
            assert list(reserve_ids(session, CUSTOMER, len(numbers))) == list(numbers)
            append_rows(session, CUSTOMER, [
                {"id": n, "public_id": public_id(), "external_id": f"x{n}", "name": f"Name{n % 1000} Family{n}", "tags": [],
                 "manager_id": olga.id if n % 3 else None, "source": "import", "version": 1,
                 "created_at": moment, "changed_at": moment}
                for n in numbers
            ])  # fmt: skip
            append_rows(session, CUSTOMER_ADDRESS, [
                {"customer_id": n, "position": 0, "address": address(n), "lookup": address(n)} for n in numbers
            ])  # fmt: skip
    for start in range(1, orders + 1, BATCH):
        with context.database.session_scope() as session:
            append_rows(session, ORDER, [
                {"public_id": public_id(), "number": str(n), "customer_id": n % customers + 1, "shop_key": 0, "status": "paid",
                 "version": 1,
                 "created_at": moment, "changed_at": moment}
                for n in range(start, min(start + BATCH, orders + 1))
            ])  # fmt: skip


def load(context: AppContext, inbox: Arrivals, words: Any, count: int, *, binds: bool) -> tuple[float, float]:
    """Letters per second and statements per letter: a third each with an order number, of known senders, of strangers."""
    chance = random.Random(7)
    kinds: tuple[Callable[[int], tuple[str, str]], ...] = (
        lambda n: (address(chance.randrange(1, words.customers)), f"Re: [#{chance.randrange(1, words.orders)}] {n}"),
        lambda n: (address(chance.randrange(1, words.customers)), f"Question {n}"),
        lambda n: (f"stranger{n}@else.example", f"Hello {n}"),
    )
    letters = [kinds[n % 3](n) for n in range(count)]
    raws = [
        simple(f"Subject: {subject}", sender=sender, body=f"How much? {n} " * 40)
        for n, (sender, subject) in enumerate(letters)
    ]
    real = vars(accept)["bind_letters"]
    setattr(accept, "bind_letters", real if binds else lambda *_a, **_k: {})  # noqa: B010
    try:
        with counted(context) as statements:
            began = time.perf_counter()
            for start in range(0, count, LOAD):
                some = [inbox.fetched(raw, start / 1000) for raw in raws[start : start + LOAD]]
                with context.database.session_scope() as session:
                    accept.accept_all(session, context, session.get_one(Mailbox, inbox.mailbox.id), some)
            seconds = time.perf_counter() - began
    finally:
        setattr(accept, "bind_letters", real)  # noqa: B010
    return count / seconds, statements[0] / count


@contextmanager
def counted(context: AppContext) -> Iterator[list[int]]:
    """How many statements went to the database by SQLAlchemy."""
    statements = [0]

    def note(*_: object) -> None:
        statements[0] += 1

    event.listen(context.database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(context.database.engine, "before_cursor_execute", note)


def searches(context: AppContext, word: Callable[[], str]) -> list[float]:
    def search(session: Session) -> None:
        query = select(Customer).where(*finds(session, SearchKind.CUSTOMER, Customer.id, word()))
        read_page(session, query, (Customer.created_at, Customer.id))

    return [_timed(context, search) for _ in range(100)]


def lists(context: AppContext, olga: User, name: str) -> list[float]:
    return [
        _timed(context, lambda session: read_letters(session, session.get_one(User, olga.id), LetterFilter(list=name)))
        for _ in range(50)
    ]


def _timed(context: AppContext, work: Callable[[Session], object]) -> float:
    with context.database.reading() as session:
        began = time.perf_counter()
        work(session)
        return time.perf_counter() - began


def imported(context: AppContext, engine: str, olga: User, count: int) -> None:
    rows = "".join(f"n{n},Name {n},new{n}@import.example\n" for n in range(count))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    done = sum(1 for _ in import_customers(context, f"external_id,name,addresses\n{rows}".encode(), olga))
    seconds = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    add_figure(f"Binding, {engine}: customers imported", done / seconds, "rows a second")
    print(f"{engine:11} import: {done / seconds:,.0f} customers per second, {grown:.0f} MB more memory", flush=True)


if __name__ == "__main__":
    main()
