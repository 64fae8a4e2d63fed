"""Runs migrations on the connection that `tracker.runtime.database` hands in, or on the database that the settings name."""

from alembic import context
from sqlmodel import SQLModel

import tracker.models  # noqa: F401  (registers the tables)
from tracker.runtime.database import Database, LocalizedTextColumn, UtcDateTime
from tracker.runtime.settings import read_settings


def render_item(kind, thing, autogen_context):
    """Writes our own column type by its name."""
    for ours in (UtcDateTime, LocalizedTextColumn):
        if kind == "type" and isinstance(thing, ours):
            autogen_context.imports.add(f"from tracker.runtime.database import {ours.__name__}")
            return f"{ours.__name__}()"
    return False


def run(connection):
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    database = Database(read_settings())
    with database.engine.begin() as connection:
        run(connection)
    database.close()
