"""Senders that write for the visitors of web forms, per mailbox

Revision 0007, after 0006; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mailbox", sa.Column("form_robots", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("mailbox") as batch_op:
        batch_op.alter_column("form_robots", server_default=None)


def downgrade() -> None:
    op.drop_column("mailbox", "form_robots")
