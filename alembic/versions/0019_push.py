"""Push: the browsers that are told of news while no page is open

Revision 0019, after 0018; 2026-11-30
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from tracker.runtime.database import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "push_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public", sqlmodel.AutoString(length=100), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_key")),
    )
    op.create_table(
        "push_subscription",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("endpoint_digest", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("failing_since", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [f"{column}"], [f"{table}.id"], name=op.f(f"fk_push_subscription_{column}"), ondelete="CASCADE"
            )
            for column, table in (("user_id", "user_account"), ("session_id", "user_session"))
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscription")),
        sa.UniqueConstraint("endpoint_digest", name=op.f("uq_push_subscription_endpoint_digest")),
    )
    op.create_index(op.f("ix_push_subscription_user_id"), "push_subscription", ["user_id"])
    op.create_index(op.f("ix_push_subscription_session_id"), "push_subscription", ["session_id"])
    op.create_table(
        "push_delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("notification_id", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [f"{table}_id"],
                [f"{name}.id"],
                name=op.f(f"fk_push_delivery_{table}_id"),
                ondelete="CASCADE",
            )
            for table, name in (("subscription", "push_subscription"), ("notification", "notification"))
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_delivery")),
        sa.UniqueConstraint("subscription_id", "notification_id", name="uq_push_delivery_subscription_notification"),
    )
    op.create_index(op.f("ix_push_delivery_notification_id"), "push_delivery", ["notification_id"])
    op.create_index(op.f("ix_push_delivery_due_at"), "push_delivery", ["due_at"])


def downgrade() -> None:
    op.drop_table("push_delivery")
    op.drop_table("push_subscription")
    op.drop_table("push_key")
