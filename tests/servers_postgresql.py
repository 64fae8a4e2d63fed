"""A real PostgreSQL cluster in a temporary folder, and databases copied from templates."""

import itertools
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, LiteralString

import psycopg
from psycopg import sql

from tests.servers_ground import Account, end, free_port, require, server_folder, unprivileged, wait_until

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
    "jit": "off",
}


@dataclass
class Postgresql:
    """A running cluster; `fresh_database` gives the URL of a database that nobody else uses."""

    port: int
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
        self._manage("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def _manage(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def postgresql() -> Iterator[Postgresql]:
    """Runs until the end of the block, as ourselves or, for root (which PostgreSQL refuses), as postgres or nobody."""
    initdb = require("initdb")
    owner = unprivileged("postgres")
    with server_folder("postgresql", owner) as folder:
        _initialise(initdb, folder, owner)
        server = Postgresql(free_port())
        process = _start(initdb.with_name("postgres"), folder, owner, server.port)
        try:
            wait_until(lambda: process.poll() is not None or _answers(server), 60)
            assert process.poll() is None, (folder / "log").read_text()
            yield server
        finally:
            end(process, signal.SIGINT)


def _initialise(initdb: Path, folder: Path, owner: Account) -> None:
    (folder / "secret").write_text(SECRET)
    command: list[str | Path] = [
        initdb,
        "-D",
        folder / "data",
        "-U",
        USER,
        "--pwfile",
        folder / "secret",
        "-A",
        "scram-sha-256",
    ]
    command += ["-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
    with (folder / "log").open("wb") as log:
        process = _run_as(owner, command, log)
    assert process.wait(120) == 0, (folder / "log").read_text()


def _start(postgres: Path, folder: Path, owner: Account, port: int) -> subprocess.Popen[bytes]:
    options = [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
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
