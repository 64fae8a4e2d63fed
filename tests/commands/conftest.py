"""`inkling("user", "list")` runs a command on an empty database; `inkling.running("serve")` one that goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.inkling import Inkling
from tests.fixtures.contexts import ENGINES, database_of, put_migrated_sqlite


@pytest.fixture
def inkling(tmp_path: Path) -> Inkling:
    """On SQLite, migrated."""
    put_migrated_sqlite(tmp_path / "data")
    return Inkling(tmp_path)


@pytest.fixture
def new_inkling(tmp_path: Path) -> Inkling:
    """On a folder where nothing is yet."""
    return Inkling(tmp_path)


@pytest.fixture(params=ENGINES)
def inkling_on_both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inkling]:
    """The same once on each engine."""
    with database_of(request) as url:
        if url is None:
            put_migrated_sqlite(tmp_path / "data")
        yield Inkling(tmp_path, {} if url is None else {"DATABASE_URL": url})
