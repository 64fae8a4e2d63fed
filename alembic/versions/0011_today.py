"""What is to be followed up, and what its sender is done with

Revision 0011, after 0010; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

from tracker.runtime.database import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_DUE = sa.text("follow_up_due_at IS NOT NULL")
_ACTIVE = sa.text("last_activity_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("message", sa.Column("follow_up_due_at", UtcDateTime(), nullable=True))
    op.add_column("message", sa.Column("handled_at", UtcDateTime(), nullable=True))
    op.add_column("delivery", sa.Column("handled_at", UtcDateTime(), nullable=True))
    due = ["user_id", "follow_up_due_at"]
    op.create_index("ix_message_follow_up_due", "message", due, sqlite_where=_DUE, postgresql_where=_DUE)
    active = ["user_id", "last_activity_at"]
    op.create_index("ix_message_activity", "message", active, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)


def downgrade() -> None:
    op.drop_index("ix_message_activity", table_name="message")
    op.drop_index("ix_message_follow_up_due", table_name="message")
    op.drop_column("delivery", "handled_at")
    op.drop_column("message", "handled_at")
    op.drop_column("message", "follow_up_due_at")
