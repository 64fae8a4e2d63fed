"""Indexes for what goes by its time: letters that are tried again, pages of visits

Revision 0008, after 0007; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TRIED = sa.text("tries > 0")


def upgrade() -> None:
    op.create_index("ix_fetch_retry_tried", "fetch_retry", ["try_at"], sqlite_where=_TRIED, postgresql_where=_TRIED)
    op.create_index("ix_site_page_view_at", "site_page_view", ["at"])


def downgrade() -> None:
    op.drop_index("ix_site_page_view_at", table_name="site_page_view")
    op.drop_index("ix_fetch_retry_tried", table_name="fetch_retry")
