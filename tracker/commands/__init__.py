"""The command line, one file per subject. Each function does one command and returns its exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from tracker.house import House, open_house
from tracker.settings import Settings, read_settings


class CommandError(Exception):
    """What was asked cannot be done; the text is one sentence for the operator."""


@contextmanager
def wired_house(settings: Settings | None = None) -> Iterator[House]:
    """The house of this process, its database up to date: SQLite is migrated, PostgreSQL must have been.

    Raises :class:`CommandError`.
    """
    try:
        house = open_house(settings or read_settings())
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from None
    try:
        _bring_up(house)
        yield house
    finally:
        house.database.close()


def _bring_up(house: House) -> None:
    try:
        if house.database.is_sqlite:
            house.database.migrate()
        elif not house.database.is_current():
            raise CommandError("The database is behind this version of Inkling. Run: inkling migrate")
    except DBAPIError as error:
        raise CommandError(f"The database cannot be used: {' '.join(str(error.orig).split())}") from None
