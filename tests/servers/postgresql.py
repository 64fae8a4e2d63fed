"""A real PostgreSQL cluster in a temporary folder, in memory where there is room, and databases copied from templates."""

import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, LiteralString

import psycopg
from psycopg import sql

from tests.servers.processes import (
    Account,
    end,
    free_port,
    memory_folder,
    require,
    server_folder,
    unprivileged,
    wait_until,
)

USER, SECRET = "inkling", "sandbox"
# speed before safety: nothing here outlives the tests
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "checkpoint_timeout": "1h",
}
ROOM = 1 << 30  # in memory; a cluster needs about a fifth of it


@dataclass
class Postgresql:
    """A running cluster; `fresh_database` gives the URL of a database that nobody else uses."""

    port: int
    copy_files: bool = False
    """Copying a template's files ends with all of the cluster written out: nothing in memory, much on a disk."""
    _templates: dict[Callable[[str], object], str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fresh_database(self, prepare: Callable[[str], object] | None = None) -> str:
        """`postgresql://…` of a new database: empty, or a copy of what `prepare(url)` made the first time it was asked."""
        if prepare is None:
            return self._create("template0")
        if prepare not in self._templates:
            url = self._create("template0")
            prepare(url)  # must leave no connection open, or it cannot be copied
            self._templates[prepare] = url.rpartition("/")[2]
        return self._create(self._templates[prepare])

    def drop(self, url: str) -> None:
        """Gives a database's room back: hundreds of them are gigabytes. Whoever is still connected is cut off."""
        self._manage("DROP DATABASE {} WITH (FORCE)", url.rpartition("/")[2])

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{SECRET}@127.0.0.1:{self.port}/{database}"

    def _create(self, template: str) -> str:
        name = f"fresh_{next(self._numbers)}"
        strategy: LiteralString = " STRATEGY FILE_COPY" if self._chooses_strategy else ""
        self._manage("CREATE DATABASE {} TEMPLATE {}" + strategy, name, template)
        return self.url(name)

    @property
    def _chooses_strategy(self) -> bool:
        return self.copy_files and self._manager.info.server_version >= 150_000  # before, it was the only one

    def _manage(self, statement: LiteralString, *names: str) -> None:
        self._manager.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    @cached_property
    def _manager(self) -> psycopg.Connection[Any]:
        """Open as long as the cluster runs: a connection costs more than what it is asked."""
        return psycopg.connect(self.url("postgres"), autocommit=True)

    def close(self) -> None:
        self._manager.close()


@contextmanager
def postgresql() -> Iterator[Postgresql]:
    """Runs until the end of the block, as ourselves or, for root (which PostgreSQL refuses), as postgres or nobody."""
    owner = unprivileged("postgres")
    memory = memory_folder(ROOM)
    with server_folder("postgresql", owner, memory) as folder:
        _initialise(require("initdb"), folder, owner)
        cluster = Postgresql(free_port(), copy_files=memory is not None)
        # a database lives for a second, and a plan must not hang on whether somebody has just counted its rows
        with _running(folder, owner, cluster, autovacuum="off") as server:
            yield server


@contextmanager
def postgresql_on_disk(folder: Path) -> Iterator[Postgresql]:
    """The cluster in a folder that outlives us, made when there is none; with room in memory as a server of one's own has it."""
    owner = unprivileged("postgres")
    folder.mkdir(parents=True, exist_ok=True)
    if not owner.is_me:
        os.chown(folder, owner.uid, owner.gid)
    if not (folder / "data").exists():
        _initialise(require("initdb"), folder, owner)
    with _running(folder, owner, Postgresql(free_port()), shared_buffers="1GB", max_wal_size="4GB") as server:
        yield server


@contextmanager
def _running(folder: Path, owner: Account, server: Postgresql, **options: str) -> Iterator[Postgresql]:
    process = _start(require("initdb").with_name("postgres"), folder, owner, server.port, OPTIONS | options)
    try:
        wait_until(lambda: process.poll() is not None or _answers(server), 60)
        assert process.poll() is None, (folder / "log").read_text()
        try:
            yield server
        finally:
            server.close()
    finally:
        end(process, signal.SIGINT)


def _initialise(initdb: Path, folder: Path, owner: Account) -> None:
    # no secret is asked for: proving that one knows it takes as long as the rest of connecting
    command: list[str | Path] = [initdb, "-D", folder / "data", "-U", USER, "-A", "trust"]
    command += ["-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
    with (folder / "log").open("wb") as log:
        process = _run_as(owner, command, log)
    assert process.wait(120) == 0, (folder / "log").read_text()


def _start(
    postgres: Path, folder: Path, owner: Account, port: int, settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("ab") as log:
        return _run_as(owner, [postgres, "-D", folder / "data", "-p", str(port), *options], log)


def _run_as(owner: Account, command: list[str | Path], log: BinaryIO) -> subprocess.Popen[bytes]:
    change = not owner.is_me
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        user=owner.uid if change else None,
        group=owner.gid if change else None,
        extra_groups=[] if change else None,
    )


def _answers(server: Postgresql) -> bool:
    try:
        psycopg.connect(server.url("postgres"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
