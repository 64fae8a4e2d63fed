"""Leases in a table of their own, processes instead of beats, and an index for every statement that recurs

Revision 0002, after 0001; 2026-11-29
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from tracker.runtime.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was claimed is free: nobody works while the database is migrated."""
    op.create_table(
        "lease",
        sa.Column("kind", sqlmodel.AutoString(length=32), nullable=False),
        sa.Column("subject", sqlmodel.AutoString(length=255), nullable=False),
        sa.Column("token", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("process", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_lease")),
    )
    op.create_index(op.f("ix_lease_process"), "lease", ["process"])
    op.create_table(
        "process",
        sa.Column("id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("place", sqlmodel.AutoString(length=100), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("tasks", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process")),
    )
    op.drop_table("worker_beat")
    op.add_column("notice", sa.Column("rung_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE notice SET rung_at = coalesce(sent_at, claimed_until) WHERE tries > 0")
    op.drop_column("notice", "claimed_until")
    with op.batch_alter_table("mailbox") as batch_op:
        batch_op.drop_column("lease_owner")
        batch_op.drop_column("lease_until")
    with op.batch_alter_table("mailbox_listening") as batch_op:
        batch_op.drop_index(op.f("ix_mailbox_listening_owner"))
        batch_op.drop_column("owner")
        batch_op.drop_column("until")
    with op.batch_alter_table("oauth_grant") as batch_op:
        batch_op.drop_column("renewing_until")
    op.add_column("delivery", sa.Column("account_id", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE delivery SET account_id = (SELECT account_id FROM message WHERE message.id = delivery.message_id)"
    )
    waits = _only("next_try_at IS NOT NULL")
    op.drop_column("delivery", "claimed_by")
    op.drop_column("delivery", "claimed_until")
    op.drop_index("ix_delivery_due", "delivery")
    op.create_index("ix_delivery_due", "delivery", ["next_try_at"], **waits)
    op.create_index("ix_delivery_account_due", "delivery", ["account_id", "next_try_at", "id"], **waits)
    op.create_index("ix_delivery_account_accepted", "delivery", ["account_id", "accepted_at"])
    wants_copy = _only("sent_copy = 'wanted'")
    op.create_index("ix_message_sent_copy", "message", ["sent_copy_at"], **wants_copy)
    op.create_index("ix_message_account_sent_copy", "message", ["account_id", "sent_copy_at"], **wants_copy)
    op.create_index(op.f("ix_notification_delivery_id"), "notification", ["delivery_id"])
    op.create_index("ix_event_detail", "event", ["summed", "at"])
    op.create_index("ix_hit_evidence_at", "hit_evidence", ["at"], **_only("source IS NOT NULL"))
    op.create_index("ix_consent_entry_words", "consent_entry", ["at"], **_only("salt IS NOT NULL"))
    op.create_index("ix_recipient_erased", "recipient", ["erased_at"], **_only("erased_at IS NOT NULL"))
    op.create_index("ix_user_session_seen", "user_session", ["seen_at"], **_only("address_digest IS NOT NULL"))
    op.create_index(op.f("ix_user_session_expires_at"), "user_session", ["expires_at"])
    op.create_index("ix_tracking_view_day", "tracking_view", ["day"])


def _only(condition: str) -> dict[str, sa.TextClause]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def downgrade() -> None:
    raise NotImplementedError("restore a backup of before")
