"""A beginning that 200,000 words share: SQLite's index of words has those of up to ten letters, PostgreSQL has one for each kind

Revision 0018, after 0017; 2026-11-30
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


_KINDS = range(5)
_VECTOR = "array_to_tsvector(string_to_array(words, ' '))"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild("2 3 4 5 6 7 8 9 10")
        return
    for kind in _KINDS:
        _index(f"_{kind}", f" WHERE (entry & 7) = {kind}")
    op.execute("DROP INDEX ix_search_entry_words")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild("2 3")
        return
    _index("", "")
    for kind in _KINDS:
        op.execute(f"DROP INDEX ix_search_entry_words_{kind}")


def _rebuild(beginnings: str) -> None:
    """From the rows that are there, in bounded memory; the triggers that write to it stay."""
    op.execute("DROP TABLE search_index")
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(words, content='search_entry', content_rowid='entry', detail=none, "
        f"columnsize=0, prefix='{beginnings}', tokenize=\"unicode61 remove_diacritics 0 tokenchars '_'\")"
    )
    op.execute("INSERT INTO search_index(search_index) VALUES ('rebuild')")


def _index(name: str, where: str) -> None:
    op.execute(
        f"CREATE INDEX ix_search_entry_words{name} ON search_entry USING gin ({_VECTOR}) WITH (fastupdate = off){where}"
    )
