"""The house that a command works on."""

from collections.abc import Iterator
from contextlib import contextmanager

from tracker.commands import CommandError
from tracker.runtime.context import House, open_house
from tracker.runtime.database import NewerDatabase
from tracker.runtime.settings import Settings, read_settings


@contextmanager
def wired_house(settings: Settings | None = None) -> Iterator[House]:
    """The house of this process, its database up to date: SQLite is migrated, PostgreSQL must have been.

    Raises :class:`CommandError`, and what the database raises.
    """
    house = bare_house(settings or read_settings())
    try:
        _bring_up(house)
        yield house
    finally:
        house.database.close()


def bare_house(settings: Settings) -> House:
    """A house whose database nobody has looked at. Raises :class:`CommandError`."""
    try:
        return open_house(settings)
    except ValueError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"INKLING_DATA_DIR: {error.filename or settings.data_dir}: {error.strerror}.") from None


def _bring_up(house: House) -> None:
    if house.database.is_sqlite:
        house.database.migrate()
    elif house.database.is_newer():
        raise NewerDatabase
    elif not house.database.is_current():
        raise CommandError("The database is behind this version of Inkling. Run: inkling migrate")
