"""`inkling("user", "list")` runs a command on an empty folder; `inkling.running("serve")` one that goes on."""

from pathlib import Path

import pytest

from tests.commands.inkling import Inkling
from tests.houses import ENGINES, migrate_postgresql


@pytest.fixture
def inkling(tmp_path: Path) -> Inkling:
    """On SQLite."""
    return Inkling(tmp_path)


@pytest.fixture(params=ENGINES)
def inkling_on_both(request: pytest.FixtureRequest, tmp_path: Path) -> Inkling:
    """Once on each engine; PostgreSQL is migrated."""
    if request.param == "sqlite":
        return Inkling(tmp_path)
    url = request.getfixturevalue("postgresql").fresh_database(migrate_postgresql)
    return Inkling(tmp_path, {"DATABASE_URL": url})
