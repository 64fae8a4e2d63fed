"""Which range files are in use: the copies kept in the data folder, else those that ship with the product."""

import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tracker.engagement.judge.ip_ranges import Table, frozen_tables, parse_networks

log = logging.getLogger(__name__)

FOLDER = "ranges"
LOOK_AGAIN_AFTER = 60.0


def tables_in_use(data_dir: Path) -> tuple[Table, ...]:
    """The tables to judge by. Another process may refresh the folder: it is looked at again every minute."""
    return _kept(data_dir / FOLDER).tables()


def forget_tables(data_dir: Path) -> None:
    """The folder was changed: look again at once."""
    _kept(data_dir / FOLDER).looked_at = float("-inf")


@lru_cache(maxsize=64)
def _kept(folder: Path) -> "KeptTables":
    return KeptTables(folder)


@dataclass
class KeptTables:
    """The tables of one folder, read again when a file changed."""

    folder: Path
    looked_at: float = float("-inf")
    _seen: tuple[tuple[str, int], ...] | None = None
    _tables: tuple[Table, ...] = ()

    def tables(self) -> tuple[Table, ...]:
        if time.monotonic() - self.looked_at < LOOK_AGAIN_AFTER:
            return self._tables
        seen = _files(self.folder)
        if seen != self._seen:
            self._tables = newest_of_each((*frozen_tables(), *_read_all(self.folder, (name for name, _ in seen))))
            self._seen = seen
        self.looked_at = time.monotonic()
        return self._tables


def newest_of_each(tables: Iterable[Table]) -> tuple[Table, ...]:
    """One table per name. A product newer than the last download brings the newer copy."""
    newest: dict[str, Table] = {}
    for table in tables:
        if table.name not in newest or table.date >= newest[table.name].date:
            newest[table.name] = table
    return tuple(newest.values())


def _files(folder: Path) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((path.stem, path.stat().st_mtime_ns) for path in folder.glob("*.txt")))


def _read_all(folder: Path, names: Iterable[str]) -> list[Table]:
    return [table for name in names if (table := read_kept(folder, name)) is not None]


def read_kept(folder: Path, name: str) -> Table | None:
    """A table kept earlier; None when there is none or it cannot be read any more."""
    path = folder / f"{name}.txt"
    try:
        text = path.read_text("ascii")
        about = dict(re.findall(r"^# (\w+): (.*)$", text, re.MULTILINE))
        return Table(name, about["date"], about["source"], parse_networks(text))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        log.error("the range file %s cannot be used (%s); the one before it is", path, type(error).__name__)
        return None


def keep(folder: Path, table: Table) -> None:
    """Writes a table so that a reader sees the old file or the new one, never half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"# source: {table.source}", f"# date: {table.date}", *map(str, table.networks)]
    draft = folder / f"{table.name}.new"
    draft.write_text("\n".join(lines) + "\n", "ascii")
    draft.replace(folder / f"{table.name}.txt")
