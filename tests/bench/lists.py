"""Pages of a workspace that has grown: `python -m tests.bench.lists FOLDER [--size 0.1] [--engine …] [--only TEXT]`.

The world (:mod:`tests.bench.lists_world`) is built in the folder once and looked through again and again by HTTP, every page as
somebody with a tenth of everything and as one of the others. Per page: the 95th percentile from asking to the last byte, the half,
the quickest, the processor’s time of our process (half), the time in statements (the quickest), and how many of these; what misses
the aim (50 ms, 12 statements) bears a star. Figures only; nothing is asserted.
"""

import argparse
import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from sqlalchemy import Engine, event
from sqlmodel import col, select

from tests.bench.figures import add_figure
from tests.bench.lists_world import build, session_token
from tests.servers.postgresql import postgresql_on_disk
from tests.web.conftest import server
from tracker.models import Letter, Message
from tracker.runtime.context import AppContext, create_context
from tracker.runtime.paging import Cursor
from tracker.runtime.settings import read_settings
from tracker.web.http.sessions import COOKIE
from tracker.web.inbox.filter import CATEGORIES, LIST_LABELS, SHOWS
from tracker.web.messages.filter import STATES

MOST_MILLISECONDS, MOST_STATEMENTS = 50, 12
PERSONS = (1, 7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=float, default=0.1)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--only", default="", help="pages whose address holds this")
    parser.add_argument(
        "--statements", action="store_true", help="print what each page says to the database, with its time"
    )
    parser.add_argument("--rounds", type=int, default=20)
    words = parser.parse_args()
    for engine in words.engine or ("sqlite", "postgresql"):
        with grown_context(engine, words.folder / f"{engine}-{words.size:g}", words.size) as context:
            print(f"## {engine}, size {words.size:g}\n", flush=True)
            look_through(context, words.only, words.statements, words.rounds)


@contextmanager
def grown_context(engine: str, folder: Path, size: float) -> Iterator[AppContext]:
    """A context on the world in this folder, which is built when it is not there."""
    if engine == "sqlite":
        with _built(folder, None, size) as context:
            yield context
        return
    with postgresql_on_disk(folder / "cluster") as cluster:
        if not (folder / "built").exists():
            cluster.fresh_database()
        with _built(folder, cluster.url("fresh_0"), size) as context:
            yield context


@contextmanager
def _built(folder: Path, url: str | None, size: float) -> Iterator[AppContext]:
    environ = {"INKLING_DATA_DIR": str(folder), **({"INKLING_DATABASE_URL": url} if url else {})}
    context = create_context(read_settings(environ, dotenv=None))
    try:
        context.database.migrate()
        if not (folder / "built").exists():
            began = time.perf_counter()
            build(context, size)
            (folder / "built").touch()
            print(f"built in {time.perf_counter() - began:,.0f} s", flush=True)
        yield context
    finally:
        context.database.close()


@dataclass
class Statements:
    """What was said to the database since it was emptied, with the seconds each took: of the processor on SQLite, which works in
    our thread, on the clock on PostgreSQL."""

    said: list[tuple[str, float]] = field(default_factory=list)
    began: float = 0.0

    clock: Callable[[], float] = time.perf_counter

    def listen(self, engine: Engine) -> None:
        self.clock = time.thread_time if engine.dialect.name == "sqlite" else time.perf_counter
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)

    def _before(self, *_: Any) -> None:
        self.began = self.clock()

    def _after(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.said.append((statement, self.clock() - self.began))


def look_through(context: AppContext, only: str, tell: bool, rounds: int) -> None:
    statements = Statements()
    statements.listen(context.database.engine)
    missed = 0
    with server(context) as address:
        for path in addresses(context):
            if only in path:
                figures = [_measure(address, person, path, statements, tell, rounds) for person in PERSONS]
                missed += any(figures)
    row = f"Lists, {context.database.engine.dialect.name}: pages slower than {MOST_MILLISECONDS} ms or with more than"
    add_figure(f"{row} {MOST_STATEMENTS} statements", missed, at_most=0)
    print(f"\n{missed} pages miss the aim\n", flush=True)


def _measure(address: str, person: int, path: str, statements: Statements, tell: bool, rounds: int) -> bool:
    """Whether the page misses the aim for this person."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    if _get(connection, person, path) in (403, 404):  # somebody else's
        return False
    _get(connection, person, path)
    seconds, processor, database = list[float](), list[float](), list[float]()
    while len(seconds) < rounds and sum(seconds) < 5:
        statements.said.clear()
        began, busy = time.perf_counter(), time.process_time()
        status = _get(connection, person, path)
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - busy)
        database.append(sum(took for _, took in statements.said))
    connection.close()
    figures = (
        *(_percentile(seconds, part) for part in (0.95, 0.5, 0)),
        _percentile(processor, 0.5),
        _percentile(database, 0),
    )
    count = len(statements.said)
    misses = figures[0] > MOST_MILLISECONDS or count > MOST_STATEMENTS or status != 200
    columns = "".join(f"{figure:8.1f}" for figure in figures)
    print(f"{'*' if misses else ' '}{columns} ms {count:3} {status} {person:2} {path}", flush=True)
    if tell:
        for statement, took in sorted(statements.said, key=lambda entry: -entry[1]):
            print(f"        {1000 * took:8.2f} ms  {' '.join(statement.split())}", flush=True)
    return misses


def _percentile(seconds: list[float], part: float) -> float:
    """In milliseconds."""
    return 1000 * sorted(seconds)[round((len(seconds) - 1) * part)]


def _get(connection: http.client.HTTPConnection, person: int, path: str) -> int:
    connection.request("GET", path, headers={"Cookie": f"{COOKIE}={session_token(person)}"})
    response = connection.getresponse()
    response.read()
    return response.status


def addresses(context: AppContext) -> list[str]:
    """Every list, filter, count and figure, and a page of each kind of thing."""
    with context.database.reading() as session:
        messages = session.exec(
            select(Message).where(Message.state == "sent").order_by(col(Message.id)).limit(40)
        ).all()
        letters = session.exec(select(Letter).order_by(col(Letter.id)).limit(40)).all()
    message = messages[9]
    deep = str(Cursor(message.listed_at.replace(year=message.listed_at.year - 1), 1))
    to, word, nowhere = quote(message.names), "Chairs", "nowhere-at-all"
    since = (message.listed_at.replace(year=message.listed_at.year - 1)).date().isoformat()
    mail = [f"state={state}" for state in STATES]
    mail += ["tracked=true", "tracked=false", "state=failed&state=bounced", f"since={since}", f"until={since}"]
    mail += [
        f"cursor={deep}",
        f"cursor={deep}&state=opened",
        "account=person1@seller.example",
        f"recipient={_reader(context)}",
    ]
    mail += [f"thread={quote('<4@seller.example>')}", f"q={word}", f"q={nowhere}"]
    letter_filters = [f"show={show}" for show in SHOWS] + [f"list={name}" for name in LIST_LABELS]
    letter_filters += [f"show=letters&category={category}" for category in CATEGORIES]
    letter_filters += [f"cursor={deep}", f"cursor={deep}&show=letters", f"since={since}", f"until={since}&show=letters"]
    letter_filters += [
        f"show=letters&sender={_reader(context)}",
        "sender=@company7.example",
        f"q={word}",
        f"q={nowhere}",
    ]
    return [
        "/mail",
        *(f"/mail?{query}" for query in mail),
        "/mail?part=counts",
        f"/mail?part=counts&q={word}",
        "/mail?part=figures",
        *(f"/mail?part=figures&{query}" for query in (f"since={since}", "account=person1@seller.example", f"q={word}")),
        *_of_things(messages, "/mail/{}", "/mail/{}/activity/opens", "/mail/{}/activity/clicks"),
        "/enquiries",
        *(f"/enquiries?{query}" for query in letter_filters),
        *_of_things(letters, "/letters/{}"),
        *(
            "/recipients",
            "/recipients?after=reader5",
            *(f"/recipients?order={order}" for order in ("last", "warmth", "follow_up")),
            "/recipients?q=777",
            f"/recipients?q={to}",
            f"/recipients?q={nowhere}",
        ),
        f"/recipients/{_reader(context)}",
        *(f"/search?q={words}" for words in (word, nowhere, "2025", f"reader+{nowhere}", "raeder", "chiars")),
        *(
            "/customers",
            "/customers?q=reader",
            "/customers?q=2025",
            f"/customers?q={_reader(context)}",
            f"/customers?cursor={deep}",
        ),
        *("/customers/c000000001", "/customers/c000000001/details", "/orders/o000000001", "/customers/new"),
        *("/notifications", "/notifications?unread=true", "/notifications/panel", "/notifications/state"),
        *(f"/reports/enquiries?group={group}&since={_month_ago(message)}" for group in ("mailbox", "manager", "day")),
        "/reports/enquiries",
        *(f"/reports/{name}" for name in ("sources", "letters", "rules", "answers", "mailboxes", "activity")),
        *("/sites", "/mailboxes", "/settings/accounts", "/settings/templates", "/settings/people"),
        "/compose",
    ]


def _of_things(things: Any, *paths: str) -> list[str]:
    """Pages of one thing: the one of the first person, the one of the seventh."""
    owners = {thing.user_id: thing for thing in things}
    return [path.format(owners[person].public_id) for path in paths for person in PERSONS if person in owners]


def _reader(context: AppContext) -> str:
    with context.database.reading() as session:
        return session.get_one(Letter, 10).sender


def _month_ago(message: Message) -> str:
    return (message.listed_at - timedelta(days=30)).date().isoformat()


if __name__ == "__main__":
    main()
