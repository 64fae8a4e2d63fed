"""Websites at size: `python -m tests.bench.sites`. A resolve beside an open in the same run, many visitors on a small pool, letters
against many visits, and what the snippet costs a page."""

import argparse
import asyncio
import json
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import event, insert
from sqlmodel import Session, col, func, select

from pixel.tokens import Tokens, new_public_id, open_path
from tests.bench.edge import UNLIMITED
from tests.bench.edge_peers.load import CONNECTIONS, READER, RESOLVE, load
from tests.bench.figures import add_figure
from tests.fixtures.contexts import migrate_postgresql, opened_context
from tests.pixel.edge_server import KEY as EDGE_KEY
from tests.pixel.edge_server import EdgeProcess, edge_process
from tests.pixel.snippet_site import KEY, pool, rule, snapshot, snippet_site
from tests.servers import chromium, postgresql
from tracker.models import Letter, LetterSource, Mailbox, MailboxFolder, Site, SiteLease, SiteRule, User, Visit
from tracker.runtime.database import now
from tracker.sites.letters import attribute_letters, own_addresses_of_rules

_TOKENS = Tokens([EDGE_KEY])
PAGE = "https://127.0.0.1/chairs?utm_source=google&utm_medium=cpc"
_ASK = (
    "POST /et/v1/resolve HTTP/1.1\r\nHost: edge\r\nUser-Agent: {agent}\r\nContent-Type: text/plain\r\n"
    "Content-Length: {length}\r\n\r\n{body}"
)


def _resolve(visitor: str = "") -> bytes:
    body = json.dumps(
        {"key": KEY, "visitor": visitor or token_urlsafe(16), "page": PAGE, "referrer": "", "selectors": []}
    )
    return _ASK.format(agent=READER["User-Agent"], length=len(body), body=body).encode()


async def _asked(port: int, questions: Sequence[bytes]) -> tuple[list[float], list[bytes], float]:
    """Each question once, over kept connections; the time of each answer, the answers, and the seconds of all."""
    left, times, bodies = list(questions), list[float](), list[bytes]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left:
            question, began = left.pop(), time.perf_counter()
            writer.write(question)
            top = await reader.readuntil(b"\r\n\r\n")
            assert top.startswith(b"HTTP/1.1 200"), top
            length = re.search(rb"(?i)content-length: *(\d+)", top)
            bodies.append(await reader.readexactly(int(length[1]) if length else 0))
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return sorted(times), bodies, time.perf_counter() - began


@contextmanager
def _edge(data_dir: Path, **facts: Any) -> Iterator[EdgeProcess]:
    """An edge of its own process, without limits."""
    data_dir.joinpath("sites.json").write_bytes(json.dumps(snapshot(**facts)).encode())
    with edge_process(data_dir, UNLIMITED) as edge:
        yield edge


def resolve_beside_open(seconds: int) -> None:
    """Alternating rounds, so that both meet the same machine."""
    target = open_path(_TOKENS.open(new_public_id()))
    with tempfile.TemporaryDirectory() as name, _edge(Path(name)) as edge:
        os.sched_setaffinity(edge.process.pid, {0})
        core = (os.cpu_count() or 1) - 1
        ask = partial(load, edge.port, "/et/v1/resolve", seconds, core, script=RESOLVE)
        ask()
        rounds = [(load(edge.port, target, seconds, core), ask()) for _ in range(5)]
    opens, asks = zip(*rounds, strict=True)
    for title, loads in (("open", opens), ("resolve with a new code", asks)):
        print(f"{title:26} {statistics.median(each.per_second for each in loads):8.0f} a second, "
              f"p99 {statistics.median(each.p99_ms for each in loads):6.1f} ms")  # fmt: skip
    shares = [ask.per_second / opened.per_second for opened, ask in rounds]
    asked, late = (statistics.median(getattr(each, name) for each in asks) for name in ("per_second", "p99_ms"))
    share = statistics.median(shares)
    add_figure("Websites: resolve with a new code, beside an open", asked, "a second", ratio=share, at_least=0.8)
    add_figure("Websites: resolve, p99", late, "ms", at_most=25)
    print(f"{'resolve ÷ open':26} {statistics.median(shares):8.2f}")


def many_visitors(visitors: int, addresses: int) -> None:
    """Nobody shares an address, and none is left over while somebody goes without: counted over the answers and the spool."""
    listed = tuple(f"p{number}@site.example" for number in range(addresses))
    rules = [rule(pool(addresses=listed), substitution="manual_pool")]
    with tempfile.TemporaryDirectory() as name, _edge(Path(name), rules=rules) as edge:
        people = [f"visitor-{number:06d}-{token_urlsafe(6)}" for number in range(visitors)]
        times, bodies, seconds = asyncio.run(_asked(edge.port, [_resolve(person) for person in people]))
        shown = Counter(each["show"] for body in bodies for each in json.loads(body)["rules"])
        holders: dict[str, set[str]] = {}
        with edge.reader() as reader:
            for hit in reader.after(0, visitors + 1):
                for each in (hit.body or {}).get("shown", ()):
                    holders.setdefault(each["address"], set()).add(hit.delivery)
    doubles = sum(len(people) > 1 for people in holders.values())
    lost = min(addresses, visitors) - len(shown)
    late = times[len(times) * 99 // 100] * 1000
    add_figure(f"Websites: {visitors:,} visitors on {addresses:,} leases", visitors / seconds, "a second")
    add_figure("Websites: leases shared or lost", doubles + lost, at_most=0)
    print(f"{visitors} visitors on {addresses} leases: {visitors / seconds:.0f} a second, p99 {late:.1f} ms; "
          f"{len(shown)} shown, {doubles} double, {lost} lost; the spool names {len(holders)}")  # fmt: skip


def letters_against_visits(letters: int, visits: int, url: str | None = None) -> None:
    """Decided in lots of a hundred, as a mailbox brings them: to codes that visitors were shown, one in ten to an address of a list
    that all others write to as well. Processor time and memory are those of this process, the database of ``url`` has its own."""
    with tempfile.TemporaryDirectory() as name, opened_context(Path(name), url) as context:
        with context.database.session_scope() as session:
            user, mailbox = _world(session)
            _visits(session, user, visits)
            session.execute(insert(Letter), [_letter(user, mailbox, number) for number in range(letters)])
        last, statements = 0, [0]
        event.listen(context.database.engine, "before_cursor_execute", lambda *_: statements.append(1))
        before, began, spent = getrusage(RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
        for _ in range(0, letters, 100):
            with context.database.session_scope() as session:
                own = own_addresses_of_rules(session, user.id or 0)
                later = select(Letter).where(col(Letter.id) > last).order_by(col(Letter.id)).limit(100)
                lot = session.exec(later).all()
                last = lot[-1].id or 0
                attribute_letters(session, own, [(item, [("to", _written_to(item.id or 0, visits))]) for item in lot])
        spent, seconds = time.process_time() - spent, time.perf_counter() - began
        grown = (getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024
        with context.database.reading() as session:
            by_method = select(LetterSource.method, func.count()).group_by(col(LetterSource.method))
            methods = {method: number for method, number in session.exec(by_method)}  # noqa: C416
    add_figure(f"Websites: letters against {visits:,} visits", letters / seconds, "a second")
    print(f"{letters} letters against {visits} visits: {letters / seconds:.0f} a second, {spent / letters * 1e6:.0f} µs of "
          f"processor and {len(statements) / letters:.2f} statements a letter, {grown:.0f} MB more memory; {methods}")  # fmt: skip


def letters_of_all_sizes(letters: int, sizes: Sequence[int], on_postgresql: bool) -> None:
    if not on_postgresql:
        for visits in sizes:
            letters_against_visits(letters, visits)
        return
    with postgresql() as cluster:
        for visits in sizes:
            letters_against_visits(letters, visits, cluster.fresh_database(migrate_postgresql))


def _written_to(number: int, visits: int) -> str:
    return "fair@site.example" if number % 10 == 0 else f"info+{number * 7 % visits:09d}@site.example"


def _world(session: Session) -> tuple[User, Mailbox]:
    user = User(email="a@seller.example", name="A", password_hash="x")
    session.add(user)
    session.flush()
    mailbox = Mailbox(user_id=user.id or 0, address="info@site.example", canonical="info@site.example", state="active")
    session.add(mailbox)
    session.flush()
    session.add(MailboxFolder(mailbox_id=mailbox.id or 0, raw_name="INBOX", name="INBOX", cut_off=now()))
    site = Site(user_id=user.id or 0, key="k" * 32, name="Shop", hosts=["site.example"])
    pool_facts = {"blocks": [], "email_account": mailbox.public_id, "addresses": []}
    fair = {"address": "fair@site.example", "email_account": mailbox.public_id, "source": "std:direct"}
    facts: dict[str, Any] = {"user_id": user.id or 0, "state": "active"}
    session.add(site)
    on_site: dict[str, Any] = {
        "name": "R",
        "rule_type": "site_emails",
        "tracking_type": "dynamic",
        "dynamic_settings": [pool_facts],
    }
    elsewhere: dict[str, Any] = {
        "name": "F",
        "rule_type": "external_area",
        "tracking_type": "static",
        "external_settings": [fair],
    }
    for position, made in enumerate((on_site, elsewhere), 1):
        session.add(SiteRule(position=position, **made, **facts))
    session.flush()
    return user, mailbox


def _visits(session: Session, user: User, visits: int) -> None:
    began, source = now() - timedelta(days=1), {"id": "std:direct", "name": "Direct", "channel": "direct", "group": ""}
    visit = Visit(
        user_id=user.id or 0, site_id=1, visitor="", session="", began_at=began, seen_at=began, attributed=source
    )
    until = began + timedelta(days=7)
    lease = SiteLease(address="", visit_id=0, rule_id=1, shown_at=began, seen_at=began, until=until)
    for begin in range(0, visits, 5000):
        numbers = range(begin, min(begin + 5000, visits))
        session.execute(insert(Visit), [
            {**visit.model_dump(), "id": n + 1, "public_id": f"v{n:010d}", "visitor": f"v{n}", "session": f"s{n}"} for n in numbers
        ])  # fmt: skip
        session.execute(insert(SiteLease), [
            {**lease.model_dump(exclude={"id"}), "address": f"info+{n:09d}@site.example", "code": f"{n:09d}", "visit_id": n + 1}
            for n in numbers
        ])  # fmt: skip


def _letter(user: User, mailbox: Mailbox, number: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"identity": f"i{number}", "content_hash": f"c{number}", "category": "human", "size": 1}
    sender = f"anna{number // 3}@client.example"
    letter = Letter(user_id=user.id or 0, mailbox_id=mailbox.id or 0, received_at=now(), sender=sender, **facts)
    return letter.model_dump(exclude={"id"})


def snippet_cost(nodes: int) -> None:
    """Processor time of scripts of a page with the snippet less that of the same page without it: the median of nine loads each."""
    lines = "".join(f"<p>line {number}</p>" for number in range(nodes // 2))
    with tempfile.TemporaryDirectory() as name, snippet_site(Path(name)) as site, chromium() as browser:
        with_snippet = site.page(f"{lines}<p>info@site.example</p>")
        site.pages["/plain"] = site.pages["/"].replace(site.tag(), "<script></script>")
        costs: dict[str, list[float]] = {with_snippet: [], f"{site.url}/plain": []}
        for _ in range(9):
            for url, spent in costs.items():
                page = browser.new_page()
                protocol = page.context.new_cdp_session(page)
                protocol.send("Performance.enable", {"timeDomain": "threadTicks"})
                page.goto(url)
                page.wait_for_timeout(400)
                metrics = protocol.send("Performance.getMetrics")["metrics"]
                spent.append(next(each["value"] for each in metrics if each["name"] == "ScriptDuration") * 1000)
                page.close()
    swapped, plain = (statistics.median(spent) for spent in costs.values())
    add_figure(f"Websites: script on a page of {nodes:,} nodes", swapped - plain, "ms", at_most=10)
    print(f"snippet on {nodes} nodes: {swapped - plain:.1f} ms of script ({swapped:.1f} with it, {plain:.1f} without)")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sites", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="of each kind in each of five rounds")
    parser.add_argument("--visitors", type=int, default=10_000)
    parser.add_argument("--addresses", type=int, default=2_000)
    parser.add_argument("--letters", type=int, default=10_000)
    parser.add_argument("--visits", type=int, nargs="*", default=[20_000, 200_000])
    parser.add_argument("--only", choices=("resolve", "visitors", "letters", "snippet"))
    parser.add_argument("--postgresql", action="store_true", help="the letters on PostgreSQL instead of SQLite")
    chosen = parser.parse_args(arguments)
    runs: dict[str, Callable[[], None]] = {
        "resolve": lambda: resolve_beside_open(chosen.seconds),
        "visitors": lambda: many_visitors(chosen.visitors, chosen.addresses),
        "letters": lambda: letters_of_all_sizes(chosen.letters, chosen.visits, chosen.postgresql),
        "snippet": lambda: snippet_cost(5000),
    }
    for name, run in runs.items():
        if chosen.only in (None, name):
            run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
