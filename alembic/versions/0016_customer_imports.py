"""Imports of customers that go on by themselves; mail of one account, and what is to be followed up, in the order of the list

Revision 0016, after 0015; 2026-11-30
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from tracker.runtime.database import LocalizedTextColumn, UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_DUE = sa.text("follow_up_due_at IS NOT NULL")
_UNFINISHED = sa.text("finished_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "customer_import",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.AutoString(length=200), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("total", "done", "created", "changed", "unchanged", "refused")
        ),
        sa.Column("refusals", sa.JSON(), nullable=False),
        sa.Column("assigned", sa.JSON(), nullable=False),
        sa.Column("problem", LocalizedTextColumn(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_customer_import_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_import")),
        sa.UniqueConstraint("public_id", name=op.f("uq_customer_import_public_id")),
    )
    op.create_index("ix_customer_import_user", "customer_import", ["user_id", "id"])
    op.create_index(
        "ix_customer_import_waits", "customer_import", ["id"], sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED
    )
    op.create_table(
        "customer_import_file",
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["customer_import.id"], name=op.f("fk_customer_import_file_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_customer_import_file")),
    )
    op.create_index("ix_message_account_list", "message", ["account_id", "listed_at", "id"])
    op.drop_index("ix_message_account_id", table_name="message")
    op.create_index(
        "ix_message_due", "message", ["user_id", "listed_at", "id"], sqlite_where=_DUE, postgresql_where=_DUE
    )


def downgrade() -> None:
    op.drop_index("ix_message_due", table_name="message")
    op.create_index("ix_message_account_id", "message", ["account_id"])
    op.drop_index("ix_message_account_list", table_name="message")
    op.drop_table("customer_import_file")
    op.drop_table("customer_import")
