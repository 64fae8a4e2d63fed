"""The rows of an import that are still to be taken in, in place of its file

Revision 0017, after 0016; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

from tracker.runtime.database import LocalizedTextColumn

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "DELETE FROM customer_import WHERE finished_at IS NULL"
    )  # to be handed in again: it changes nothing twice
    op.drop_table("customer_import_file")
    op.drop_column("customer_import", "problem")
    op.add_column("customer_import", sa.Column("columns", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("customer_import") as batch_op:
        batch_op.alter_column("columns", server_default=None)
    op.create_table(
        "customer_import_part",
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rows", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["customer_import.id"], name=op.f("fk_customer_import_part_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "number", name=op.f("pk_customer_import_part")),
    )


def downgrade() -> None:
    op.execute("DELETE FROM customer_import WHERE finished_at IS NULL")
    op.drop_table("customer_import_part")
    op.drop_column("customer_import", "columns")
    op.add_column("customer_import", sa.Column("problem", LocalizedTextColumn(), nullable=False, server_default=""))
    with op.batch_alter_table("customer_import") as batch_op:
        batch_op.alter_column("problem", server_default=None)
    op.create_table(
        "customer_import_file",
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["customer_import.id"], name=op.f("fk_customer_import_file_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_customer_import_file")),
    )
