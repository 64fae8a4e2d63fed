"""An account that has spent its limit is paused, not each of its copies; the sizes of a message's HTML stand apart from its body

Revision 0022, after 0021; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

from tracker.runtime.database import LocalizedTextColumn, UtcDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_SIZES = ("html_bytes_before", "html_bytes_after")
_TABLES = (("message", "id"), ("message_body", "message_id"))


def upgrade() -> None:
    op.add_column("account", sa.Column("paused_until", UtcDateTime(), nullable=True))
    op.add_column("account", sa.Column("pause_reason", LocalizedTextColumn(), nullable=True))
    for name in _SIZES:
        op.add_column("message", sa.Column(name, sa.Integer(), nullable=True))
    message, body = (sa.table(name, sa.column(key), *map(sa.column, _SIZES)) for name, key in _TABLES)
    of_long = sa.select(body.c.message_id).where(body.c.html_bytes_after > 51_200)
    sizes = {
        name: sa.select(body.c[name]).where(body.c.message_id == message.c.id).scalar_subquery() for name in _SIZES
    }
    op.execute(message.update().where(message.c.id.in_(of_long)).values(sizes))
    for name in _SIZES:
        op.drop_column("message_body", name)


def downgrade() -> None:
    for name in _SIZES:
        op.add_column("message_body", sa.Column(name, sa.Integer(), nullable=True))
        op.drop_column("message", name)
    op.drop_column("account", "pause_reason")
    op.drop_column("account", "paused_until")
