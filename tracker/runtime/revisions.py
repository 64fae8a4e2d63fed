"""The revisions of the main database, as Alembic knows them.

Alembic takes a while to load. :mod:`tracker.runtime.database` waits for it only where a database is looked at or migrated.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_ROOT = Path(__file__).resolve().parents[2]


def upgrade(connection: Connection) -> None:
    """Brings the database to the newest revision, within the transaction of this connection."""
    if revision_of(connection) != newest_revision():
        command.upgrade(_config(connection), "head")


def revision_of(connection: Connection) -> str | None:
    """The revision that the database is at; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str | None:
    return _scripts().get_current_head()


def is_known(revision: str) -> bool:
    return revision in {script.revision for script in _scripts().walk_revisions()}


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; with a connection, migrations run on it and inside its transaction."""
    config = Config()
    installed = _ROOT / "tracker" / "_alembic"  # looked at first: beside an installed package lies Alembic itself
    config.set_main_option("script_location", str(installed if installed.is_dir() else _ROOT / "alembic"))
    config.attributes["connection"] = connection
    return config
