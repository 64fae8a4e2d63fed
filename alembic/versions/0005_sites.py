"""Websites whose addresses are swapped: sites, blocks, sources, rules; visits; where letters come from

Revision 0005, after 0004; 2026-11-30
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from tracker.runtime.database import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "site_edge",
        sa.Column("name", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("letter", sqlmodel.AutoString(length=1), nullable=False),
        sa.Column("digest", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.Column("problem", sqlmodel.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_site_edge")),
        sa.UniqueConstraint("letter", name=op.f("uq_site_edge_letter")),
    )
    op.create_table(
        "site",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("key", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("name", sqlmodel.AutoString(length=200), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.Column("session_minutes", sa.Integer(), nullable=False),
        sa.Column("cookie_days", sa.Integer(), nullable=False),
        sa.Column("attribution", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("consent_mode", sa.Boolean(), nullable=False),
        sa.Column("ignore_robots", sa.Boolean(), nullable=False),
        sa.Column("ignored_referrers", sa.JSON(), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_site_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        sa.UniqueConstraint("key", name=op.f("uq_site_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_site_public_id")),
    )
    op.create_index("ix_site_user", "site", ["user_id", "id"], unique=False)
    op.create_table(
        "site_block",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.AutoString(length=200), nullable=False),
        sa.Column("sites", sa.JSON(), nullable=False),
        sa.Column("selectors", sa.JSON(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=True),
        sa.Column("views_since", sa.Integer(), nullable=False),
        sa.Column("is_error", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_site_block_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_block")),
        sa.UniqueConstraint("public_id", name=op.f("uq_site_block_public_id")),
    )
    op.create_index("ix_site_block_user", "site_block", ["user_id", "id"], unique=False)
    op.create_table(
        "site_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.AutoString(length=200), nullable=False),
        sa.Column("description", sqlmodel.AutoString(), nullable=False),
        sa.Column("rule_type", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("tracking_type", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("traffic_type", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("substitution_type", sqlmodel.AutoString(length=16), nullable=True),
        sa.Column("state", sqlmodel.AutoString(length=8), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("static_settings", sa.JSON(), nullable=False),
        sa.Column("external_settings", sa.JSON(), nullable=False),
        sa.Column("dynamic_settings", sa.JSON(), nullable=False),
        sa.Column("lease_minutes", sa.Integer(), nullable=True),
        sa.Column("rest_days", sa.Integer(), nullable=False),
        sa.Column("probe", sqlmodel.AutoString(length=8), nullable=False),
        sa.Column("probe_code", sqlmodel.AutoString(length=32), nullable=False),
        sa.Column("probe_at", UtcDateTime(), nullable=True),
        sa.Column("probe_detail", sqlmodel.AutoString(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_site_rule_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_rule")),
        sa.UniqueConstraint("public_id", name=op.f("uq_site_rule_public_id")),
    )
    op.create_index(
        "ix_site_rule_active",
        "site_rule",
        ["user_id", "position", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'active' AND removed_at IS NULL"),
        postgresql_where=sa.text("state = 'active' AND removed_at IS NULL"),
    )
    op.create_index("ix_site_rule_user", "site_rule", ["user_id", "position"], unique=False)
    op.create_table(
        "site_source",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.AutoString(length=200), nullable=False),
        sa.Column("channel", sqlmodel.AutoString(length=100), nullable=False),
        sa.Column("group", sqlmodel.AutoString(length=100), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_site_source_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_source")),
        sa.UniqueConstraint("public_id", name=op.f("uq_site_source_public_id")),
    )
    op.create_index("ix_site_source_user", "site_source", ["user_id", "position"], unique=False)
    op.create_table(
        "site_visit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("visitor", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("session", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("began_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("attributed", sa.JSON(), nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("referrer", sqlmodel.AutoString(length=1024), nullable=False),
        sa.Column("phrase", sqlmodel.AutoString(length=300), nullable=False),
        sa.Column("entrance_page", sqlmodel.AutoString(length=1024), nullable=False),
        sa.Column("page", sqlmodel.AutoString(length=1024), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("device", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("client", sqlmodel.AutoString(length=100), nullable=False),
        sa.Column("screen", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("language", sqlmodel.AutoString(length=35), nullable=False),
        sa.Column("timezone", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("rule_id", sa.Integer(), nullable=True),
        sa.Column("covered", sa.Boolean(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("robot", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["site_rule.id"], name=op.f("fk_site_visit_rule_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_site_visit_site_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_site_visit_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_visit")),
        sa.UniqueConstraint("public_id", name=op.f("uq_site_visit_public_id")),
        sa.UniqueConstraint("site_id", "visitor", "session", name="uq_site_visit_session"),
    )
    op.create_index("ix_site_visit_began", "site_visit", ["began_at"], unique=False)
    op.create_index("ix_site_visit_list", "site_visit", ["user_id", "began_at", "id"], unique=False)
    op.create_index("ix_site_visit_rule", "site_visit", ["rule_id", "began_at"], unique=False)
    op.create_index("ix_site_visit_visitor", "site_visit", ["visitor", "began_at"], unique=False)
    op.create_table(
        "site_lease",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address", sqlmodel.AutoString(length=254), nullable=False),
        sa.Column("code", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("pool", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("block", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("visit_id", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.Integer(), nullable=True),
        sa.Column("shown_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("intent_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["rule_id"], ["site_rule.id"], name=op.f("fk_site_lease_rule_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["visit_id"], ["site_visit.id"], name=op.f("fk_site_lease_visit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_lease")),
        sa.UniqueConstraint("address", "visit_id", name="uq_site_lease_address_visit"),
    )
    op.create_index("ix_site_lease_address", "site_lease", ["address", "shown_at"], unique=False)
    op.create_index("ix_site_lease_until", "site_lease", ["until"], unique=False)
    op.create_index("ix_site_lease_visit", "site_lease", ["visit_id"], unique=False)
    op.create_table(
        "site_page_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("visit_id", sa.Integer(), nullable=False),
        sa.Column("edge", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("hit", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("page", sqlmodel.AutoString(length=1024), nullable=False),
        sa.ForeignKeyConstraint(
            ["visit_id"], ["site_visit.id"], name=op.f("fk_site_page_view_visit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_page_view")),
        sa.UniqueConstraint("edge", "hit", name="uq_site_page_view_hit"),
    )
    op.create_index("ix_site_page_view_visit", "site_page_view", ["visit_id", "at"], unique=False)
    op.create_table(
        "letter_source",
        sa.Column("letter_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("sender", sqlmodel.AutoString(length=254), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("method", sqlmodel.AutoString(length=16), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("address", sqlmodel.AutoString(length=254), nullable=False),
        sa.Column("code", sqlmodel.AutoString(length=64), nullable=False),
        sa.Column("visit_id", sa.Integer(), nullable=True),
        sa.Column("rule_id", sa.Integer(), nullable=True),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["letter_id"], ["letter.id"], name=op.f("fk_letter_source_letter_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["site_rule.id"], name=op.f("fk_letter_source_rule_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_letter_source_site_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_letter_source_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["visit_id"], ["site_visit.id"], name=op.f("fk_letter_source_visit_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("letter_id", name=op.f("pk_letter_source")),
    )
    op.create_index("ix_letter_source_address", "letter_source", ["address"], unique=False)
    op.create_index("ix_letter_source_method", "letter_source", ["user_id", "method", "received_at"], unique=False)
    op.create_index("ix_letter_source_sender", "letter_source", ["user_id", "sender", "received_at"], unique=False)
    op.create_index("ix_letter_source_visit", "letter_source", ["visit_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("restore a backup of before")
