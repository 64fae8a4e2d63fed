"""A backup of what runs, and what comes of it when it is restored, on both databases."""

import gzip
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlmodel import select

from tests.commands.inkling import Inkling
from tests.servers import free_port
from tests.servers.postgresql import Postgresql
from tracker.models import DrainCursor, Recipient, User
from tracker.models.rows import public_id
from tracker.recipients import find, find_or_make

ANNA = "anna@client.example"


@pytest.fixture
def restored(
    request: pytest.FixtureRequest, inkling_on_both: Inkling, tmp_path: Path
) -> Iterator[Callable[..., Inkling]]:
    """`restored(archive, …)`: where the archive was restored to, and what the command said."""
    folder = tmp_path / "restored"
    folder.mkdir()
    cluster: Postgresql | None = None
    settings = {}
    if "DATABASE_URL" in inkling_on_both.settings:
        cluster = request.getfixturevalue("postgresql")
        settings["DATABASE_URL"] = cluster.fresh_database()
    inkling = Inkling(folder, settings)

    def restored(archive: Path, *words: str) -> Inkling:
        done = inkling.in_process("restore", str(archive), *words)
        assert done.code == 0, done.err
        return inkling

    yield restored
    if cluster is not None:
        cluster.drop(settings["DATABASE_URL"])


def add(inkling: Inkling, address: str) -> None:
    context = inkling.context()
    context.database.migrate()
    with context.database.session_scope() as session:
        find_or_make(session, address, "Anna Petrova")
    context.database.close()


def holds(inkling: Inkling, address: str) -> bool:
    context = inkling.context()
    with context.database.reading() as session:
        recipient = find(session, address)
        there = recipient is not None and recipient.erased_at is None
    context.database.close()
    return there


def back_up(inkling: Inkling, path: Path) -> Path:
    done = inkling.in_process("backup", str(path))
    assert (done.code, done.err) == (0, "")
    return path


def test_what_is_backed_up_while_everything_runs_comes_back(
    inkling_on_both: Inkling, restored: Callable[..., Inkling], tmp_path: Path
) -> None:
    inkling, port = inkling_on_both, free_port()
    add(inkling, ANNA)
    inkling.in_process(
        "user", "add", "alice@seller.example", "--name", "Alice", "--password-stdin", stdin=b"correct horse 17"
    )
    context = inkling.context()
    url = context.pixel_url(public_id()).replace(context.settings.tracking_url, f"http://127.0.0.1:{port}")
    context.database.close()
    archives = [tmp_path / f"{number}.tar.gz" for number in range(3)]
    over, opened = threading.Event(), threading.Event()
    with inkling.running("serve", "--port", str(port), "--smtp-port", "0") as running:
        running.wait_for_ports(port)

        def open_all_the_time() -> None:
            with httpx.Client() as client:
                while not over.is_set():
                    assert client.get(url).status_code == 200
                    opened.set()

        thread = threading.Thread(target=open_all_the_time)
        thread.start()
        for archive in archives:
            opened.clear()
            assert opened.wait(20)
            back_up(inkling, archive)
        over.set()
        thread.join()
    for archive in archives:
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600
        assert not list(tmp_path.glob(".inkling-backup-*"))
    there = restored(archives[-1])
    assert holds(there, ANNA)
    context = there.context()
    with context.database.reading() as session:
        assert [user.email for user in session.exec(select(User))] == ["alice@seller.example"]
        cursor = session.exec(select(DrainCursor)).first()
    context.database.close()
    key_files = [folder / "data" / "secret-keys" for folder in (inkling.folder, there.folder)]
    assert key_files[0].read_text().split() == key_files[1].read_text().split()
    assert {stat.S_IMODE(path.stat().st_mode) for path in there.folder.glob("data/*") if path.is_file()} == {0o600}
    with closing(sqlite3.connect(there.folder / "data" / "spool.sqlite3")) as spool:
        ids = [id_ for (id_,) in spool.execute("SELECT id FROM hit ORDER BY id")]
    drained = cursor.after if cursor is not None else ids[0] - 1  # a new spool begins at a number of the clock's
    waiting = [id_ for id_ in ids if id_ > drained]
    assert waiting in ([], list(range(drained + 1, drained + 1 + len(waiting)))), "a hit is neither here nor there"
    checked = there("check")
    assert "WRONG" not in "\n".join(line for line in checked.text.splitlines() if "tracking host" not in line)


def test_whoever_was_erased_since_is_erased_again(
    inkling_on_both: Inkling, restored: Callable[..., Inkling], tmp_path: Path
) -> None:
    inkling = inkling_on_both
    add(inkling, ANNA)
    add(inkling, "luc@other.example")
    archive = back_up(inkling, tmp_path / "backup.tar.gz")
    inkling.in_process("recipient", "erase", ANNA)
    erasures = inkling.folder / "data" / "erasures.jsonl"
    there = restored(archive, "--erasures", str(erasures))
    assert not holds(there, ANNA)
    assert holds(there, "luc@other.example")
    assert (there.folder / "data" / "erasures.jsonl").read_text() == erasures.read_text()
    assert "petrova" not in " ".join(names(there)).lower()


def names(inkling: Inkling) -> list[str]:
    context = inkling.context()
    with context.database.reading() as session:
        every = [
            recipient.name for recipient in session.exec(select(Recipient)) if recipient.address.startswith("erased")
        ]
    context.database.close()
    return every


def test_without_the_list_it_warns(inkling: Inkling, tmp_path: Path) -> None:
    add(inkling, ANNA)
    archive = back_up(inkling, tmp_path / "backup.tar.gz")
    done = Inkling(tmp_path / "data", {"DATA_DIR": str(tmp_path / "elsewhere")})("restore", str(archive))
    assert done.code == 0
    assert "there is no list" in done.err


def test_a_list_kept_elsewhere_is_used_without_being_named(inkling: Inkling, tmp_path: Path) -> None:
    """INKLING_ERASURES on another disk: whoever restores the whole data folder by hand does not undo it either."""
    erasures = tmp_path / "apart" / "list.jsonl"
    erasures.parent.mkdir()
    inkling.settings["ERASURES"] = str(erasures)
    add(inkling, ANNA)
    archive = back_up(inkling, tmp_path / "backup.tar.gz")
    inkling.in_process("recipient", "erase", ANNA)
    assert erasures.exists()
    assert not (inkling.folder / "data" / "erasures.jsonl").exists()
    shutil.rmtree(inkling.folder / "data")
    done = inkling.in_process("restore", str(archive))
    assert (done.code, done.err) == (0, "")
    assert "1 erased again" in done.text
    assert not holds(inkling, ANNA)


@pytest.fixture
def archive(inkling: Inkling, tmp_path: Path) -> Path:
    add(inkling, ANNA)
    return back_up(inkling, tmp_path / "backup.tar.gz")


def refusal(inkling: Inkling, path: Path, **settings: str) -> str:
    folder = inkling.folder / "new"
    done = Inkling(inkling.folder, {"DATA_DIR": str(folder), **settings}).in_process("restore", str(path))
    assert (done.code, done.out) == (1, b"")
    assert not folder.exists() or not list(folder.iterdir()), "nothing is left half done"
    return done.sentence


def damaged(archive: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    with tarfile.open(archive) as packed:
        members = {name: member.read() for name in packed.getnames() if (member := packed.extractfile(name))}
    change(members)
    path = archive.with_name("changed.tar.gz")
    with tarfile.open(path, "w:gz") as packed:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return path


def newer(members: dict[str, bytes]) -> None:
    members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | {"revision": "9999"}).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda members: members.update({"inkling.sqlite3": members["inkling.sqlite3"][:-1] + b"!"}), "is damaged"),
        (lambda members: members.pop("inkling.sqlite3"), "cannot be read as a backup"),
        (lambda members: members.pop("secret-keys"), "cannot be read as a backup"),
        (lambda members: members.pop("manifest.json"), "cannot be read as a backup"),
        (lambda members: members.update({"manifest.json": b"[]"}), "cannot be read as a backup"),
        (newer, "newer version of Inkling"),
    ],
)
def test_an_archive_that_is_not_whole_is_refused(
    inkling: Inkling, archive: Path, change: Callable[[dict[str, bytes]], object], words: str
) -> None:
    assert words in refusal(inkling, damaged(archive, change))


def test_files_that_are_no_backup_are_refused(inkling: Inkling, archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    for number, other in enumerate((content[: len(content) // 2], b"", b"words", gzip.compress(b"words"))):
        path = tmp_path / f"other-{number}"
        path.write_bytes(other)
        assert "cannot be read as a backup" in refusal(inkling, path)
    assert "No such file" in refusal(inkling, tmp_path / "nothing")


def test_members_that_lead_elsewhere_are_not_unpacked(inkling: Inkling, archive: Path, tmp_path: Path) -> None:
    path = damaged(archive, lambda members: members.update({"../outside": b"x", "/tmp/outside": b"x"}))
    done = inkling.in_process("restore", str(path), DATA_DIR=str(tmp_path / "new"))
    assert done.code == 0
    assert not (tmp_path / "outside").exists()


def test_nothing_is_written_over(inkling: Inkling, archive: Path) -> None:
    done = inkling.in_process("restore", str(archive))
    assert done.code == 1
    assert "is not empty" in done.sentence
    assert holds(inkling, ANNA)


def test_keys_that_lack_one_of_the_backup_are_refused(inkling: Inkling, archive: Path) -> None:
    words = refusal(inkling, archive, SECRET_KEYS="another-0123456789-abcdefghijklmnopqrstuvwxyz")
    assert "INKLING_SECRET_KEYS lacks 1 of the 1 keys" in words


def test_a_backup_of_one_database_is_not_restored_into_the_other(
    inkling: Inkling, archive: Path, postgresql: Postgresql
) -> None:
    url = postgresql.fresh_database()
    assert "another kind of database" in refusal(inkling, archive, DATABASE_URL=url)
    assert "the database is not empty" in refusal(
        inkling, archive, DATABASE_URL=postgresql.fresh_database(lambda url: _make_table(url))
    )


def _make_table(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (id int)")


def test_a_backup_that_cannot_be_made_leaves_the_older_one(inkling: Inkling, archive: Path, tmp_path: Path) -> None:
    before = archive.read_bytes()
    empty = Inkling(tmp_path, {"DATA_DIR": str(tmp_path / "empty")})
    done = empty("backup", str(archive))
    assert done.code == 1
    assert "nothing to back up" in done.sentence
    assert archive.read_bytes() == before
    assert "No such file" in inkling.in_process("backup", str(tmp_path / "no" / "such" / "folder")).sentence


def test_postgresql_without_its_programs_says_what_to_install(
    postgresql: Postgresql, inkling: Inkling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.fixtures.contexts import migrate_postgresql

    inkling.settings["DATABASE_URL"] = postgresql.fresh_database(migrate_postgresql)
    add(inkling, ANNA)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert "pg_dump is needed" in inkling.in_process("backup", str(tmp_path / "b")).sentence
