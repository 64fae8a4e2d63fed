"""When a server refused a copy

Revision 0009, after 0008; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

from tracker.runtime.database import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("rejected_at", UtcDateTime(), nullable=True))
    op.execute(
        "UPDATE delivery SET rejected_at = (SELECT m.listed_at FROM message AS m WHERE m.id = delivery.message_id)"
        " WHERE status = 'rejected'"
    )


def downgrade() -> None:
    op.drop_column("delivery", "rejected_at")
