"""The context that a command works on."""

from collections.abc import Iterator
from contextlib import contextmanager

from tracker.commands import CommandError
from tracker.commands.keys import check_keys
from tracker.runtime.backup import KEY_FILE
from tracker.runtime.context import AppContext, create_context
from tracker.runtime.database import NewerDatabase
from tracker.runtime.settings import Settings, read_settings


@contextmanager
def open_context(settings: Settings | None = None, *, migrate: bool = False) -> Iterator[AppContext]:
    """The context of this process, its database up to date: SQLite is migrated, PostgreSQL must have been, or is with ``migrate``.

    Raises :class:`CommandError`, and what the database raises.
    """
    settings = settings or read_settings()
    key_file = settings.data_dir / KEY_FILE
    was_here = key_file.exists()
    context = new_context(settings)
    try:
        _bring_up(context, migrate)
        try:
            check_keys(context)
        except CommandError:
            if not was_here and not settings.secret_keys:  # the one that was just made helps nobody
                key_file.unlink()
            raise
        yield context
    finally:
        context.database.close()


def new_context(settings: Settings) -> AppContext:
    """A context whose database nobody has looked at. Raises :class:`CommandError`."""
    try:
        return create_context(settings)
    except ValueError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"INKLING_DATA_DIR: {error.filename or settings.data_dir}: {error.strerror}.") from None


def _bring_up(context: AppContext, migrate: bool) -> None:
    if context.database.is_sqlite or migrate:
        context.database.migrate()
    elif context.database.is_newer():
        raise NewerDatabase
    elif not context.database.is_current():
        raise CommandError("The database is behind this version of Inkling. Run: inkling migrate")
