"""Figures of mail are counted from the index of its list, and what a prefetch hides is known by an index of those events

Revision 0021, after 0020; 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_LIST = ["user_id", "listed_at", "id"]
_COUNTED = ["state", "sent_at", "opens_tracked", "clicks_tracked", "opens", "clicks", "machine", "replies"]


def upgrade() -> None:
    op.drop_index("ix_message_user_list", "message")
    op.create_index("ix_message_user_list", "message", [*_LIST, *_COUNTED])
    prefetched = sa.text("klass = 'privacy_prefetch'")
    op.create_index("ix_event_prefetch", "event", ["message_id"], sqlite_where=prefetched, postgresql_where=prefetched)


def downgrade() -> None:
    op.drop_index("ix_event_prefetch", "event")
    op.drop_index("ix_message_user_list", "message")
    op.create_index("ix_message_user_list", "message", _LIST)
