"""`inkling("user", "list")` runs a command on an empty folder; `inkling.running("serve")` one that goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.inkling import Inkling
from tests.fixtures.contexts import ENGINES, database_of


@pytest.fixture
def inkling(tmp_path: Path) -> Inkling:
    """On SQLite."""
    return Inkling(tmp_path)


@pytest.fixture(params=ENGINES)
def inkling_on_both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inkling]:
    """Once on each engine; PostgreSQL is migrated."""
    with database_of(request) as url:
        yield Inkling(tmp_path, {} if url is None else {"DATABASE_URL": url})
