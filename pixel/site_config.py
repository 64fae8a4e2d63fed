"""The snapshot that the tracker publishes: one JSON file in the data folder, looked at anew whenever it was replaced."""

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pixel.lease_store import Shares
from pixel.site_rules import EMPTY, PublishedSite, Snapshot, read_snapshot
from pixel.source_conditions import Pattern

SNAPSHOT_FILE = "sites.json"
_log = logging.getLogger("pixel.sites")


class SiteConfig:
    """What is in force now. A file that cannot be read leaves the last good one in force, however old it is."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / SNAPSHOT_FILE
        self._looked = False
        self._seen: tuple[int, int, int] | None = None
        self.snapshot = EMPTY
        self.shares = Shares(EMPTY)
        self._sites: dict[tuple[str, str], PublishedSite | None] = {}

    def look(self) -> Snapshot:
        """The newest snapshot; one `stat` when nothing has changed, for all requests of one turn of the event loop."""
        if self._looked:
            return self.snapshot
        with suppress(RuntimeError):  # nobody's loop: a test, or a preview
            asyncio.get_running_loop().call_soon(self._look_again)
            self._looked = True
        try:
            facts = os.stat(self._path)
        except OSError:
            return self.snapshot
        mark = (facts.st_mtime_ns, facts.st_ino, facts.st_size)
        if mark != self._seen:
            self._seen = mark
            self._load()
        return self.snapshot

    def _look_again(self) -> None:
        self._looked = False

    def site_at(self, key: str, host: str) -> PublishedSite | None:
        """The site of a key at one of its hosts."""
        place = key, host
        if place not in self._sites:
            if len(self._sites) > 10_000:
                self._sites.clear()
            self._sites[place] = self.snapshot.site_at(key, host)
        return self._sites[place]

    def _load(self) -> None:
        try:
            snapshot = read(self._path.read_bytes())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("the sites cannot be read: %s", type(error).__name__)
            return
        self.snapshot, self.shares, self._sites = snapshot, Shares(snapshot), {}

    def put(self, body: bytes) -> None:
        """Takes a snapshot into force. Raises ValueError, KeyError, TypeError or AttributeError when it is none, OSError when it
        cannot be written."""
        read(body)
        write_snapshot(self._path, body)


def read(body: bytes) -> Snapshot:
    """Raises ValueError, KeyError, TypeError or AttributeError."""
    made: Mapping[str, Any] = json.loads(body)
    return read_snapshot(made, compile_pattern)


def write_snapshot(path: Path, body: bytes) -> None:
    """Replaces the file at once: whoever reads it sees the old one or the new one, whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def compile_pattern(text: str) -> Pattern:
    """A regular expression as RE2 reads it, in time that grows with the text alone; one that it does not read never fits."""
    try:
        import re2  # only where a site has such a condition

        options = re2.Options()
        options.case_sensitive = False
        options.log_errors = False
        pattern = re2.compile(text, options)
    except Exception as error:  # re2.error, and whatever its library raises on odd bytes
        _log.warning("a regular expression is passed over: %s", type(error).__name__)
        return _never
    return lambda subject: pattern.search(subject) is not None


def _never(_subject: str) -> bool:
    return False
