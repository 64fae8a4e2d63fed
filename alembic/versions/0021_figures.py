"""Figures of mail are counted from the index of its list; what hides an opening and what was given to others has an index

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

_UNKNOWABLE = ("text_only", "group_too_large", "host_unhealthy", "rewriting_failed", "protected", "signed_already")
_PARTIAL = (
    ("ix_event_prefetch", "event", ["message_id"], "klass = 'privacy_prefetch'"),
    ("ix_delivery_unknowable", "delivery", ["message_id"], f"opens_rule IN {_UNKNOWABLE}"),
    (
        "ix_enquiry_status_others",
        "enquiry_status",
        ["manager_id", "user_id"],
        "CASE WHEN manager_id = user_id THEN 0 ELSE 1 END = 1",
    ),
)


def upgrade() -> None:
    op.drop_index("ix_message_user_list", "message")
    op.create_index("ix_message_user_list", "message", [*_LIST, *_COUNTED])
    op.drop_index("ix_enquiry_status_others", "enquiry_status")
    for name, table, columns, words in _PARTIAL:
        op.create_index(name, table, columns, sqlite_where=sa.text(words), postgresql_where=sa.text(words))


def downgrade() -> None:
    for name, table, _columns, _words in _PARTIAL:
        op.drop_index(name, table)
    op.create_index("ix_enquiry_status_others", "enquiry_status", ["manager_id", "user_id"])
    op.drop_index("ix_message_user_list", "message")
    op.create_index("ix_message_user_list", "message", _LIST)
