"""Indexes for lists that have grown: unread lines of the bell, enquiries given to others, refused copies

Revision 0015, after 0014; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    ("ix_notification_unread", "notification", ["user_id", "at", "id"], "read_at IS NULL"),
    ("ix_enquiry_status_others", "enquiry_status", ["manager_id", "user_id"], None),
    ("ix_message_bounced", "message", ["user_id", "listed_at", "id"], "bounces > 0"),
    ("ix_delivery_refused", "delivery", ["message_id"], "status = 'rejected'"),
)


def upgrade() -> None:
    for name, table, columns, condition in _INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _columns, _condition in reversed(_INDEXES):
        op.drop_index(name, table_name=table)
