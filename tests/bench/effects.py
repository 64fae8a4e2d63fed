"""From an event to its effect in a real `inkling serve` that was at rest: milliseconds, of the half and of the slowest.

The event is written, or asked for, from another process, as a second machine or a page would.
"""

import time
from collections.abc import Callable, Iterator

import httpx
from sqlmodel import col, func, select, update

from pixel.tokens import open_path
from tests.bench.figures import add_figure
from tests.fixtures.contexts import People
from tests.servers import smtp_sink
from tests.servers.nasty import NastyImap
from tracker.models import Delivery, Event, Mailbox, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

ROUNDS = 20
REST_SECONDS = 0.5
RECIPIENT = "anna@client.example"


def effects(context: AppContext, engine: str, user: User, server: NastyImap, address: str) -> Iterator[str]:
    """Lines of a table of Markdown."""
    with smtp_sink() as sink:
        people = People(context)
        people.account(user, sink)
        people.grant(RECIPIENT)
        people.send(user, RECIPIENT)
        measured = {
            "hit answered → event in the database": _waits(lambda: _open(context, address), lambda: _events(context)),
            "message accepted → handed on": _waits(
                lambda: people.send(user, RECIPIENT), lambda: sink.commands["DATA"] + len(sink.accepted)
            ),
            "mailbox wanted → its server is asked": _waits(lambda: _want(context), lambda: server.lines),
        }
    for what, seconds in measured.items():
        half, most = (1000 * seconds[round((len(seconds) - 1) * part)] for part in (0.5, 1.0))
        add_figure(f"{what}, {engine}: the half", half, "ms", at_most=50)
        yield f"| {engine} | {what} | {half:.0f} ms | {most:.0f} ms |"


def _waits(cause: Callable[[], object], effect: Callable[[], int]) -> list[float]:
    """Seconds from the end of the cause until the effect shows, in order."""
    waits = []
    for _ in range(ROUNDS):
        time.sleep(REST_SECONDS)
        before = effect()
        cause()
        began = time.perf_counter()
        while effect() == before and time.perf_counter() - began < 30:
            time.sleep(0.001)
        waits.append(time.perf_counter() - began)
    return sorted(waits)


def _open(context: AppContext, address: str) -> None:
    with context.database.reading() as session:
        delivery = session.exec(select(Delivery.public_id).limit(1)).one()
    httpx.get(f"{address}{open_path(context.tokens.open(delivery))}").raise_for_status()


def _events(context: AppContext) -> int:
    with context.database.reading() as session:
        return session.exec(select(func.count()).select_from(Event)).one()


def _want(context: AppContext) -> None:
    """As the button “Sync now” does, at a mailbox that nobody reads."""
    with context.database.session_scope() as session:
        first = select(Mailbox.id).order_by(col(Mailbox.due_at).desc()).limit(1).scalar_subquery()
        session.exec(update(Mailbox).where(col(Mailbox.id) == first).values(due_at=now(), sync_wanted=True))
