"""The edge side by side with its ceiling, its limit and its peers: `python -m tests.bench.edge`.

One core serves, another one asks. `--kill 100` kills the edge under load instead, a hundred times; `--servers` compares the HTTP
servers there are by the bare pixel.
"""

import argparse
import importlib
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixel.spool import SpoolReader
from pixel.tokens import Tokens, click_path, new_public_id, open_path
from tests.bench.edge_peers import empty_gif
from tests.bench.edge_peers.kill import kill_rounds
from tests.bench.edge_peers.load import CONNECTIONS, Load, load
from tests.bench.figures import add_figure
from tests.pixel.edge_server import KEY, ROOT, edge_environment
from tests.servers.processes import free_port, listening, wait_until

_TOKENS = Tokens([KEY])
UNLIMITED = dict.fromkeys((f"INKLING_HITS_PER_{part}" for part in ("TOKEN", "SOURCE", "COPY")), "0")
"""No budgets: one client and one token stand for many here."""


@dataclass(frozen=True)
class Contestant:
    """One server: how it starts, what it is asked for, what it imports, and how to count what it has kept."""

    name: str
    keeps: str
    target: Callable[[], str]
    command: Callable[[int, Path], list[str]]
    needs: tuple[str, ...] = ()
    imports: str = ""
    prepare: str = ""
    stored: Callable[[Path], int] | None = None


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def _uvicorn(module: str) -> Callable[[int, Path], list[str]]:
    options = ("--no-access-log", "--log-level", "warning", "--lifespan", "off")
    return lambda port, folder: _python("-m", "uvicorn", f"{module}:app", "--port", str(port), *options)


def _edge(port: int, folder: Path) -> list[str]:
    return _python("-m", "pixel", "--port", str(port))


def _target_of(module: str) -> Callable[[], str]:
    """Asks the peer itself, in a process of its own, since two Django sites do not fit into one."""
    program = f"import {module} as peer; print(peer.TARGET)"
    return lambda: subprocess.check_output(
        _python("-c", program), cwd=ROOT, env=_environment(Path(os.devnull)), text=True
    ).strip()


def _hits(folder: Path) -> int:
    with SpoolReader(folder / "spool.sqlite3") as reader:
        return len(reader.after(0, 100_000_000))


def _emark_rows(folder: Path) -> int:
    import sqlite3

    with sqlite3.connect(folder / "peer.sqlite3") as connection:
        (rows,) = connection.execute("SELECT count(*) FROM emark_open").fetchone()
    return int(rows)


def _log_lines(folder: Path) -> int:
    return (folder / "access.log").read_bytes().count(b"\n")


_PEERS = "tests.bench.edge_peers"
CONTESTANTS = (
    Contestant(
        "Inkling, signed open",
        "hit on disk before the answer",
        lambda: open_path(_TOKENS.open(new_public_id())),
        _edge,
        imports="pixel.__main__",
        stored=_hits,
    ),
    Contestant(
        "Inkling, signed click",
        "hit on disk before the answer",
        lambda: click_path(_TOKENS.click(new_public_id(), 0, "https://example.org/offers/autumn?utm_source=mail")),
        _edge,
        imports="pixel.__main__",
        stored=_hits,
    ),
    Contestant(
        "bare ASGI pixel (the ceiling)",
        "nothing",
        lambda: "/o/x.gif",
        _uvicorn(f"{_PEERS}.bare_pixel"),
        imports=f"uvicorn, {_PEERS}.bare_pixel",
    ),
    Contestant(
        "bare ASGI pixel behind our limits",
        "nothing",
        lambda: "/o/x.gif",
        lambda port, folder: _python("-m", f"{_PEERS}.guarded_pixel", str(port)),
        imports=f"uvicorn, {_PEERS}.guarded_pixel",
    ),
    Contestant(
        "nginx empty_gif (the limit)",
        "line in a log, not synced",
        lambda: "/o/x.gif",
        empty_gif.command,
        needs=("nginx",),
        stored=_log_lines,
    ),
    Contestant(
        "emark",
        "row before the answer",
        _target_of(f"{_PEERS}.emark_site"),
        _uvicorn(f"{_PEERS}.emark_site"),
        needs=("emark", "django"),
        imports=f"uvicorn, {_PEERS}.emark_site",
        prepare=f"{_PEERS}.emark_site",
        stored=_emark_rows,
    ),
    Contestant(
        "pytracking, Django view",
        "nothing as shipped",
        _target_of(f"{_PEERS}.pytracking_site"),
        _uvicorn(f"{_PEERS}.pytracking_site"),
        needs=("pytracking", "django"),
        imports=f"uvicorn, {_PEERS}.pytracking_site",
    ),
)


def _bare(name: str, *command: str, needs: tuple[str, ...] = ()) -> Contestant:
    """The bare pixel on some server; ``PORT`` stands for its port."""

    def start(port: int, folder: Path) -> list[str]:
        return _python("-m", *(word.replace("PORT", str(port)) for word in command))

    return Contestant(name, "nothing", lambda: "/o/x.gif", start, needs=needs)


_BARE = f"{_PEERS}.bare_pixel:app"
_UVICORN = ("uvicorn", _BARE, "--port", "PORT", "--no-access-log", "--log-level", "warning", "--lifespan", "off")
_GRANIAN = ("granian", "--interface", "asginl", "--port", "PORT", "--no-log", "--workers", "1")
SERVERS = (
    _bare("uvicorn, httptools, uvloop", *_UVICORN, "--http", "httptools", "--loop", "uvloop"),
    _bare("uvicorn, httptools, asyncio", *_UVICORN, "--http", "httptools", "--loop", "asyncio"),
    _bare("uvicorn, h11, uvloop", *_UVICORN, "--http", "h11", "--loop", "uvloop"),
    _bare("granian, uvloop", *_GRANIAN, "--loop", "uvloop", _BARE, needs=("granian",)),
    _bare("granian, asyncio", *_GRANIAN, "--loop", "asyncio", _BARE, needs=("granian",)),
    _bare("hypercorn, uvloop", "hypercorn", "-b", "127.0.0.1:PORT", "-k", "uvloop", _BARE, needs=("hypercorn",)),
)


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    contestant: Contestant
    load: Load
    cpu_us: float
    memory_mb: float
    import_ms: float | None
    stored: int | None


def measure(contestant: Contestant, seconds: int) -> Result:
    """Starts the server on the first core, warms it up for a second, loads it from the last core."""
    with tempfile.TemporaryDirectory(dir=_disk()) as name:
        folder, port = Path(name), free_port()
        if contestant.prepare:
            subprocess.run(_python("-m", contestant.prepare), cwd=ROOT, env=_environment(folder), check=True)
        import_ms = _import_ms(contestant.imports, folder) if contestant.imports else None
        target = contestant.target()
        server = subprocess.Popen([*_pinned(0), *contestant.command(port, folder)], cwd=ROOT, env=_environment(folder))
        try:
            wait_until(lambda: listening(port))
            warm = load(port, target, 1, _last_core())
            before = None if contestant.stored is None else contestant.stored(folder)
            spent = _cpu_seconds(server.pid)
            figures = load(port, target, seconds, _last_core())
            cpu_us = (_cpu_seconds(server.pid) - spent) / figures.answers * 1e6
            memory = _memory_mb(server.pid)
            time.sleep(0.3)
            stored = None if contestant.stored is None or before is None else contestant.stored(folder) - before
        finally:
            server.terminate()
            server.wait(30)
    assert warm.answers, "the server answered nothing"
    return Result(contestant, figures, cpu_us, memory, import_ms, stored)


def table(results: Sequence[Result]) -> str:
    """The results as Markdown."""
    lines = [
        "| server | what it keeps | answers/s | p50 ms | p99 ms | CPU µs each | memory MB | import ms | kept of answered |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        figures = result.load
        stored = "—" if result.stored is None else f"{result.stored} of {figures.answers}"
        imported = "—" if result.import_ms is None else f"{result.import_ms:.0f}"
        lines.append(
            f"| {result.contestant.name} | {result.contestant.keeps} | {figures.per_second:,.0f} | {figures.p50_ms:.1f} "
            f"| {figures.p99_ms:.1f} | {result.cpu_us:.0f} | {result.memory_mb:.0f} | {imported} | {stored} |"
        )
    return "\n".join(lines)


def add_figures(results: Sequence[Result]) -> None:
    """Our rows, beside the bare pixel of the same run."""
    ceiling = next((each.load.per_second for each in results if each.contestant.name.endswith("(the ceiling)")), None)
    for result in (each for each in results if each.contestant.name.startswith("Inkling")):
        name, load_, is_open = result.contestant.name, result.load, "open" in result.contestant.name
        ratio = load_.per_second / ceiling if ceiling else None
        aim = 0.55 if is_open and ratio else None
        add_figure(f"{name}: beside a bare ASGI pixel", load_.per_second, "a second", ratio=ratio, at_least=aim)
        add_figure(f"{name}: p99", load_.p99_ms, "ms", at_most=25)
        add_figure(f"{name}: memory", result.memory_mb, "MB", at_most=40)
        if result.stored is not None:
            add_figure(f"{name}: answered and not on disk", max(0, load_.answers - result.stored), at_most=0)


def missing(contestant: Contestant) -> str | None:
    """The name of what is not installed."""
    for need in contestant.needs:
        if shutil.which(need) is None and importlib.util.find_spec(need) is None:
            return need
    return None


def _environment(folder: Path) -> dict[str, str]:
    return {**edge_environment(folder, UNLIMITED), "BENCH_FOLDER": str(folder), "PYTHONWARNINGS": "ignore"}


def _import_ms(modules: str, folder: Path) -> float:
    """What importing the whole program costs beyond starting Python: median of five."""
    program = f"import time; began = time.perf_counter(); import {modules}; print(time.perf_counter() - began)"
    times = [subprocess.check_output(_python("-c", program), cwd=ROOT, env=_environment(folder)) for _ in range(5)]
    return statistics.median(float(text) for text in times) * 1000


def _family(pid: int) -> list[str]:
    """A process and its children."""
    return [str(pid), *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu_seconds(pid: int) -> float:
    """Time on the processor so far, in user and system mode: what a machine with other work to do still tells rightly."""
    fields = [Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in _family(pid)]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    """Resident memory."""
    return sum(_resident_kb(process) for process in _family(pid)) / 1024


def _resident_kb(pid: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def _pinned(core: int) -> list[str]:
    return ["taskset", "-c", str(core)] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []


def _last_core() -> int | None:
    cores = os.cpu_count() or 1
    return cores - 1 if cores > 1 and shutil.which("taskset") else None


def _disk() -> str:
    """A folder that is on a disk: the temporary one may be memory, where nothing is ever synced."""
    return os.environ.get("BENCH_DISK") or tempfile.gettempdir()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.edge", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="how long each server is loaded")
    parser.add_argument("--only", metavar="WORD", default="", help="only the servers with this word in their name")
    parser.add_argument("--servers", action="store_true", help="the bare pixel on each HTTP server instead")
    parser.add_argument("--kill", type=int, metavar="ROUNDS", help="kill -9 under load, so many times")
    chosen = parser.parse_args(arguments)
    if chosen.kill:
        return kill_rounds(chosen.kill)
    results = []
    for contestant in (each for each in (SERVERS if chosen.servers else CONTESTANTS) if chosen.only in each.name):
        if absent := missing(contestant):
            print(f"skipped: {contestant.name} ({absent} is not installed)", file=sys.stderr)
            continue
        results.append(measure(contestant, chosen.seconds))
    load_by = "wrk" if shutil.which("wrk") else "Python"
    print(f"One core, {CONNECTIONS} connections, {chosen.seconds} s each, load by {load_by} from another core.\n")
    print(table(results))
    add_figures(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
