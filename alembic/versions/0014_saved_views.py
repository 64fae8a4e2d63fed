"""Filters under a name, the editor one likes, and mail that has not been sent by its state

Revision 0014, after 0013; 2026-11-30
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from tracker.runtime.database import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("list", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("name", sqlmodel.AutoString(length=60), nullable=False),
        sa.Column("query", sqlmodel.AutoString(length=2000), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_saved_view_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_view")),
        sa.UniqueConstraint("public_id", name=op.f("uq_saved_view_public_id")),
        sa.UniqueConstraint("user_id", "list", "name", name="uq_saved_view_user_list_name"),
    )
    op.add_column("user_account", sa.Column("first_view_id", sa.Integer(), nullable=True))
    editor = sa.Column("editor", sqlmodel.AutoString(length=8), server_default="rich", nullable=False)
    op.add_column("user_account", editor)
    unsent = sa.text("state <> 'sent'")
    columns = ["user_id", "state", "listed_at", "id"]
    op.create_index("ix_message_unsent", "message", columns, sqlite_where=unsent, postgresql_where=unsent)


def downgrade() -> None:
    op.drop_index("ix_message_unsent", table_name="message")
    op.drop_column("user_account", "editor")
    op.drop_column("user_account", "first_view_id")
    op.drop_table("saved_view")
