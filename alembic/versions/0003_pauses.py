"""Wrong tries of a secret are counted a row a subject

Revision 0003, after 0002; 2026-11-30
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from tracker.runtime.database import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was counted served for a quarter of an hour; it is forgotten."""
    op.drop_table("sign_in_failure")
    op.create_table(
        "sign_in_failure",
        sa.Column("subject", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_sign_in_failure")),
    )
    op.create_index(op.f("ix_sign_in_failure_at"), "sign_in_failure", ["at"])


def downgrade() -> None:
    raise NotImplementedError("restore a backup of before")
