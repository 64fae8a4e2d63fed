"""Answers written in other mail programs: how far each account's Sent folder was read, enquiries by their sender

Revision 0012, after 0011; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

from tracker.runtime.database import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_WAITING = sa.text("waiting_since IS NOT NULL")


def upgrade() -> None:
    op.add_column("account", sa.Column("sent_read_at", UtcDateTime(), nullable=True))
    op.add_column("account", sa.Column("sent_uidvalidity", sa.BigInteger(), nullable=True))
    op.add_column("account", sa.Column("sent_uid", sa.BigInteger(), nullable=True))
    op.drop_index("ix_enquiry_status_waiting", table_name="enquiry_status")
    op.create_index("ix_enquiry_status_sender", "enquiry_status", ["sender", "received_at"])
    op.create_index(
        "ix_enquiry_status_waiting", "enquiry_status", ["waiting_since"],
        sqlite_where=_WAITING, postgresql_where=_WAITING,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_enquiry_status_waiting", table_name="enquiry_status")
    op.drop_index("ix_enquiry_status_sender", table_name="enquiry_status")
    op.create_index(
        "ix_enquiry_status_waiting", "enquiry_status", ["sender"], sqlite_where=_WAITING, postgresql_where=_WAITING
    )
    for name in ("sent_uid", "sent_uidvalidity", "sent_read_at"):
        op.drop_column("account", name)
