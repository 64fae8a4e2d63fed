"""`make bench`: every bench in one run, each beside its peers and limits, and one table of all at the end.

`python -m tests.bench [--quick] [NAME…]`; quick takes about ten minutes on two cores. Figures only; nothing is asserted.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.figures import FILE, Figure, read_figures, table

WORLDS = os.environ.get("BENCH_WORLDS") or str(Path(tempfile.gettempdir()) / "inkling-bench-worlds")
"""The grown workspaces of the lists, built once and kept."""

BENCHES = {
    "edge": ("", "--seconds 2"),
    "rewriter": ("", ""),
    "ingest": ("--workers 2 --backlog 1000000", "--workers 2 --hits 20000 --seconds 5 --backlog 50000"),
    "hit_backlog": ("", "--hits 20000"),
    "gateway": ("", "1"),
    "queue_backlog": ("", "100000"),
    "judge": ("", ""),
    "letters": ("", "--letters 50000"),
    "binding": ("", "--letters 4000 --customers 20000 --orders 50000 --imported 5000"),
    "inbound": ("", "--letters 2000"),
    "polls": ("--mailboxes 1000", "--mailboxes 100 --hosts 10"),
    "sites": ("", "--seconds 1 --visitors 2000 --addresses 400 --letters 2000 --visits 20000"),
    "lists": (f"{WORLDS} --size 1", f"{WORLDS} --size 0.02"),
    "rest": ("", "--seconds 20"),
    "machines": ("", "--seconds 2"),
}
"""Each with its arguments, and those of a quick run."""
MODULES = {"polls": "inbound"}
"""Where a bench is not the module of its name."""


def main() -> int:
    """Prints one section per bench, then the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller worlds and shorter loads")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHES):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    machine = f"{os.cpu_count()} cores, {_memory_gb():.0f} GB, {platform.machine()}, Python {platform.python_version()}"
    heading = f"Figures of {datetime.now(UTC):%Y-%m-%d}, {machine}{', a quick run' if chosen.quick else ''}"
    print(f"# {heading}\n", flush=True)
    measured, failed = [], list[str]()
    for name in chosen.names or BENCHES:
        module = MODULES.get(name, name)
        command = f"python -m tests.bench.{module} {BENCHES[name][chosen.quick]}".strip()
        print(f"## {name}\n", flush=True)
        began = time.monotonic()
        is_done, figures = run(command)
        print(f"\n({time.monotonic() - began:.0f} s)\n", flush=True)
        measured.append((command.replace(WORLDS, "FOLDER"), figures))
        failed += [] if is_done else [name]
    print(f"# {heading}\n", *table(measured), sep="\n")
    if failed:
        print(f"\nFailed: {', '.join(failed)}")
    return 1 if failed else 0


def run(command: str) -> tuple[bool, list[Figure]]:
    """Whether the bench came to its end, and its rows (those before a failure, too)."""
    with tempfile.NamedTemporaryFile() as rows:
        environ = {**os.environ, FILE: rows.name}
        code = subprocess.run([sys.executable, *command.split()[1:]], env=environ, check=False).returncode
        return code == 0, read_figures(Path(rows.name))


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


if __name__ == "__main__":
    sys.exit(main())
