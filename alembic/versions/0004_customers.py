"""Customers, orders, shops and groups of managers; what letters are bound to, and the work on enquiries

Revision 0004, after 0003; 2026-11-30
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from tracker.runtime.database import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "manager_group",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("name", sqlmodel.AutoString(length=200), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_manager_group")),
        sa.UniqueConstraint("name", name=op.f("uq_manager_group_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_manager_group_public_id")),
    )
    op.create_table(
        "shop",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("name", sqlmodel.AutoString(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop")),
        sa.UniqueConstraint("name", name=op.f("uq_shop_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_shop_public_id")),
    )
    op.create_table(
        "customer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("external_id", sqlmodel.AutoString(length=200), nullable=True),
        sa.Column("name", sqlmodel.AutoString(length=200), nullable=False),
        sa.Column("manager_id", sa.Integer(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("source", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["manager_id"], ["user_account.id"], name=op.f("fk_customer_manager_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_customer_shop_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
        sa.UniqueConstraint("external_id", name=op.f("uq_customer_external_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_customer_public_id")),
    )
    op.create_index("ix_customer_list", "customer", ["created_at", "id"])
    op.create_index(op.f("ix_customer_manager_id"), "customer", ["manager_id"])
    op.create_index(op.f("ix_customer_shop_id"), "customer", ["shop_id"])

    op.create_table(
        "manager_group_member",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["manager_group.id"], name=op.f("fk_manager_group_member_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_manager_group_member_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_manager_group_member")),
    )
    op.create_index(op.f("ix_manager_group_member_user_id"), "manager_group_member", ["user_id"])

    op.create_table(
        "customer_address",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("address", sqlmodel.AutoString(length=254), nullable=False),
        sa.Column("lookup", sqlmodel.AutoString(length=254), nullable=False),
        sa.Column("created_for", sqlmodel.AutoString(length=280), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_customer_address_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_address")),
        sa.UniqueConstraint("created_for", name=op.f("uq_customer_address_created_for")),
        sa.UniqueConstraint("customer_id", "lookup", name="uq_customer_address_customer_lookup"),
    )
    op.create_index("ix_customer_address_lookup", "customer_address", ["lookup"])

    op.create_table(
        "customer_order",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("external_id", sqlmodel.AutoString(length=200), nullable=True),
        sa.Column("number", sqlmodel.AutoString(length=32), nullable=False),
        sa.Column("customer_id", sa.Integer(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=True),
        sa.Column("shop_key", sa.Integer(), nullable=False),
        sa.Column("manager_id", sa.Integer(), nullable=True),
        sa.Column("status", sqlmodel.AutoString(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_customer_order_customer_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["manager_id"], ["user_account.id"], name=op.f("fk_customer_order_manager_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_customer_order_shop_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_order")),
        sa.UniqueConstraint("external_id", name=op.f("uq_customer_order_external_id")),
        sa.UniqueConstraint("number", "shop_key", name="uq_customer_order_number_shop"),
        sa.UniqueConstraint("public_id", name=op.f("uq_customer_order_public_id")),
    )
    op.create_index("ix_customer_order_customer", "customer_order", ["customer_id", "created_at", "id"])
    op.create_index("ix_customer_order_list", "customer_order", ["created_at", "id"])
    op.create_index(op.f("ix_customer_order_manager_id"), "customer_order", ["manager_id"])
    op.create_index("ix_customer_order_number", "customer_order", ["number"])
    op.create_index(op.f("ix_customer_order_shop_id"), "customer_order", ["shop_id"])

    op.create_table(
        "customer_term",
        sa.Column("term", sqlmodel.AutoString(length=254), nullable=False),
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_customer_term_customer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("term", "customer_id", name=op.f("pk_customer_term")),
    )
    op.create_index("ix_customer_term_begin", "customer_term", ["term"], postgresql_ops={"term": "text_pattern_ops"})
    op.create_index(op.f("ix_customer_term_customer_id"), "customer_term", ["customer_id"])

    op.create_table(
        "enquiry_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("letter_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("what", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("to_user_id", sa.Integer(), nullable=True),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["letter_id"], ["letter.id"], name=op.f("fk_enquiry_change_letter_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["to_user_id"], ["user_account.id"], name=op.f("fk_enquiry_change_to_user_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_enquiry_change_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enquiry_change")),
    )
    op.create_index("ix_enquiry_change_letter", "enquiry_change", ["letter_id", "id"])

    op.create_table(
        "enquiry_status",
        sa.Column("letter_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column("sender", sqlmodel.AutoString(length=254), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("manager_id", sa.Integer(), nullable=True),
        sa.Column("waiting_since", UtcDateTime(), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("last_answer_at", UtcDateTime(), nullable=True),
        sa.Column("snoozed_until", UtcDateTime(), nullable=True),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["answered_by"], ["user_account.id"], name=op.f("fk_enquiry_status_answered_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["letter_id"], ["letter.id"], name=op.f("fk_enquiry_status_letter_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_enquiry_status_mailbox_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["manager_id"], ["user_account.id"], name=op.f("fk_enquiry_status_manager_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_enquiry_status_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("letter_id", name=op.f("pk_enquiry_status")),
    )
    op.create_index("ix_enquiry_status_mailbox", "enquiry_status", ["mailbox_id", "received_at", "letter_id"])
    op.create_index("ix_enquiry_status_manager", "enquiry_status", ["manager_id", "received_at", "letter_id"])
    op.create_index(
        "ix_enquiry_status_open", "enquiry_status", ["user_id", "received_at", "letter_id"], **_only("done_at IS NULL")
    )
    op.create_index(
        "ix_enquiry_status_snoozed", "enquiry_status", ["snoozed_until"], **_only("snoozed_until IS NOT NULL")
    )
    op.create_index("ix_enquiry_status_waiting", "enquiry_status", ["sender"], **_only("waiting_since IS NOT NULL"))

    op.create_table(
        "letter_binding",
        sa.Column("letter_id", sa.Integer(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("customer_id", sa.Integer(), nullable=True),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column("rule", sqlmodel.AutoString(length=20), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("number", sqlmodel.AutoString(length=32), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_letter_binding_customer_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["user_account.id"], name=op.f("fk_letter_binding_decided_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["letter_id"], ["letter.id"], name=op.f("fk_letter_binding_letter_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["customer_order.id"], name=op.f("fk_letter_binding_order_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("letter_id", name=op.f("pk_letter_binding")),
    )
    op.create_index("ix_letter_binding_customer", "letter_binding", ["customer_id", "received_at", "letter_id"])
    op.create_index("ix_letter_binding_order", "letter_binding", ["order_id", "received_at", "letter_id"])

    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.alter_column(
            "kind", existing_type=sa.VARCHAR(length=16), type_=sqlmodel.AutoString(length=24), existing_nullable=False
        )


def _only(condition: str) -> dict[str, sa.TextClause]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def downgrade() -> None:
    raise NotImplementedError("restore a backup of before")
