# ruff: noqa: S608
"""The index of words: what is searched, what was changed, and the triggers that see it

Revision 0013, after 0012; 2026-11-30
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# table: kind of what is found, the column with its number, the columns with texts
_WATCHED = {
    "message": (0, "id", ("subject", "snippet", "names")),
    "message_body": (0, "message_id", ("html", "text")),
    "delivery": (0, "message_id", ("address", "name")),
    "letter": (1, "id", ("subject", "snippet", "sender", "sender_address", "sender_name", "deleted_at")),
    "letter_body": (1, "letter_id", ("text",)),
    "recipient": (2, "id", ("address", "name", "company", "erased_at")),
    "customer": (3, "id", ("name", "external_id")),
    "customer_address": (3, "customer_id", ("address",)),
    "customer_order": (4, "id", ("number", "external_id")),
}
_BEFORE = {"message": 0, "letter": 1, "recipient": 2, "customer": 3, "customer_order": 4}
# who is known by another name is found by it with the mail to them
_MAIL_TO = "INSERT INTO search_change (kind, row_id, fresh) SELECT 0, message_id, TRUE FROM delivery WHERE recipient_id = NEW.id;"
_VECTOR = "array_to_tsvector(string_to_array(words, ' '))"


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "search_entry",
        sa.Column("entry", number, autoincrement=False, nullable=False),
        sa.Column("words", sqlmodel.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_search_entry")),
    )
    op.create_table(
        "search_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("fresh", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_change")),
    )
    fresh = {"sqlite_where": sa.text("fresh = 1"), "postgresql_where": sa.text("fresh")}
    op.create_index("ix_search_change_fresh", "search_change", ["id"], **fresh)
    (_sqlite if op.get_bind().dialect.name == "sqlite" else _postgresql)()
    for table, kind in _BEFORE.items():
        op.execute(
            f"INSERT INTO search_change (kind, row_id, fresh) SELECT {kind}, id, FALSE FROM {table} ORDER BY id DESC"
        )
    op.drop_table("customer_term")


def _sqlite() -> None:
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(words, content='search_entry', content_rowid='entry', detail=none, "
        "columnsize=0, prefix='2 3', tokenize=\"unicode61 remove_diacritics 0 tokenchars '_'\")"
    )
    add = "INSERT INTO search_index(rowid, words) VALUES (NEW.entry, NEW.words);"
    take = "INSERT INTO search_index(search_index, rowid, words) VALUES ('delete', OLD.entry, OLD.words);"
    for name, event, work in (
        ("added", "INSERT", add),
        ("deleted", "DELETE", take),
        ("changed", "UPDATE OF words", f"{take} {add}"),
    ):
        op.execute(f"CREATE TRIGGER search_entry_{name} AFTER {event} ON search_entry BEGIN {work} END")
    for table, (kind, key, texts) in _WATCHED.items():
        for name, event, row in (
            ("added", "INSERT", "NEW"),
            ("changed", f"UPDATE OF {', '.join(texts)}", "NEW"),
            ("deleted", "DELETE", "OLD"),
        ):
            op.execute(
                f"CREATE TRIGGER search_{table}_{name} AFTER {event} ON {table} BEGIN "
                f"INSERT INTO search_change (kind, row_id, fresh) VALUES ({kind}, {row}.{key}, 1); END"
            )
    op.execute(f"CREATE TRIGGER search_recipient_named AFTER UPDATE OF name ON recipient BEGIN {_MAIL_TO} END")


def _postgresql() -> None:
    op.execute(f"CREATE INDEX ix_search_entry_words ON search_entry USING gin ({_VECTOR}) WITH (fastupdate = off)")
    for table, (kind, key, texts) in _WATCHED.items():
        op.execute(
            f"CREATE FUNCTION search_note_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP = 'DELETE' THEN INSERT INTO search_change (kind, row_id, fresh) VALUES ({kind}, OLD.{key}, TRUE); "
            f"ELSE INSERT INTO search_change (kind, row_id, fresh) VALUES ({kind}, NEW.{key}, TRUE); END IF; "
            "RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER search_{table} AFTER INSERT OR DELETE OR UPDATE OF {', '.join(texts)} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION search_note_{table}()"
        )
    op.execute(
        "CREATE FUNCTION search_note_mail_to() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {_MAIL_TO} RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER search_recipient_named AFTER UPDATE OF name ON recipient "
        "FOR EACH ROW EXECUTE FUNCTION search_note_mail_to()"
    )


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute("DROP TRIGGER search_recipient_named" + ("" if is_sqlite else " ON recipient"))
    if not is_sqlite:
        op.execute("DROP FUNCTION search_note_mail_to()")
    for table in _WATCHED:
        if is_sqlite:
            for name in ("added", "changed", "deleted"):
                op.execute(f"DROP TRIGGER search_{table}_{name}")
        else:
            op.execute(f"DROP TRIGGER search_{table} ON {table}")
            op.execute(f"DROP FUNCTION search_note_{table}()")
    if is_sqlite:
        op.execute("DROP TABLE search_index")
    op.drop_table("search_change")
    op.drop_table("search_entry")
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
