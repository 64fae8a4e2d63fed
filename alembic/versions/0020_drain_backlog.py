"""Stretches of a spool that wait while what came later goes first

Revision 0020, after 0019; 2026-11-30
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drain_backlog",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("edge", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drain_backlog")),
    )
    op.create_index("ix_drain_backlog_edge_after", "drain_backlog", ["edge", "after"])


def downgrade() -> None:
    op.drop_table("drain_backlog")
