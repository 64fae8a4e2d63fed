"""When the probe of a website's rule is looked for next, and its sentence in any language

Revision 0010, after 0009; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

from tracker.runtime.database import LocalizedTextColumn, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SENT = sa.text("probe = 'sent'")


def upgrade() -> None:
    op.drop_column("site_rule", "probe_detail")  # nothing was ever written there
    op.add_column("site_rule", sa.Column("probe_detail", LocalizedTextColumn(), nullable=True))
    op.add_column("site_rule", sa.Column("probe_due_at", UtcDateTime(), nullable=True))
    op.create_index("ix_site_rule_probe", "site_rule", ["probe_due_at"], sqlite_where=_SENT, postgresql_where=_SENT)


def downgrade() -> None:
    op.drop_index("ix_site_rule_probe", table_name="site_rule")
    op.drop_column("site_rule", "probe_due_at")
    op.drop_column("site_rule", "probe_detail")
    op.add_column("site_rule", sa.Column("probe_detail", sa.String(), nullable=False, server_default=""))
