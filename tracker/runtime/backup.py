"""Backups: database, spool and keys of a running installation in one archive, consistent with each other, and back.

The archive is a gzipped tar of ``manifest.json`` (revision, digests), the database (``inkling.sqlite3``, or
``inkling.dump`` by pg_dump in its custom format), ``spool.sqlite3`` with those of further workers, and ``secret-keys``. It never
holds the list of erasures: that one is newer than any backup, and is laid beside what is restored.
"""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import text
from sqlalchemy.engine import make_url

from pixel.spool import spool_paths
from tracker.runtime.database import Database, now
from tracker.runtime.revisions import is_known
from tracker.runtime.settings import Settings

MANIFEST = "manifest.json"
SQLITE, DUMP, KEY_FILE = "inkling.sqlite3", "inkling.dump", "secret-keys"
_MOST_MANIFEST = 64 * 1024
_TOOLS = {"pg_dump": "backup", "pg_restore": "restore"}


class BackupError(Exception):
    """What was asked cannot be done; nothing was changed. The text is a sentence for the operator."""


@dataclass(frozen=True)
class Manifest:
    """What an archive holds: the revision of its database, and by member its SHA-256."""

    revision: str
    made_at: str
    digests: Mapping[str, str]


def back_up(settings: Settings, keys: tuple[str, ...], path: Path) -> Manifest:
    """Writes the archive, readable by its owner alone; a file of that name is replaced once the new one is whole.

    May run at any time: the database is copied as it was at one moment, the spool as it was right after it, so that every hit is
    in one of the two and none is counted twice. Needs room beside ``path`` for a copy of both.
    """
    database = Database(settings)
    try:
        revision = database.revision()[0]
        if revision is None:
            raise BackupError("There is nothing to back up: the database is empty.")
        with TemporaryDirectory(prefix=".inkling-backup-", dir=path.parent) as name:
            folder = Path(name)
            _copy(database, settings, folder)
            _write(folder / KEY_FILE, ("\n".join(keys) + "\n").encode())
            digests = {member.name: _digest(member) for member in sorted(folder.iterdir())}
            manifest = Manifest(revision, now().isoformat(timespec="seconds"), digests)
            _write(folder / MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
            _pack(folder, [MANIFEST, *digests], path)
        return manifest
    finally:
        database.close()


def restore(settings: Settings, path: Path) -> Manifest:
    """Lays what an archive holds into an empty data folder and, on PostgreSQL, an empty database."""
    _check_empty(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(prefix=".restore-", dir=settings.data_dir) as name:
        folder = Path(name)
        manifest = _unpack(path, folder)
        if not is_known(manifest.revision):
            raise BackupError("The backup was made by a newer version of Inkling. Install that version.")
        dump, file = folder / DUMP, folder / SQLITE
        if settings.is_sqlite != file.exists():
            kind = "an SQLite file" if file.exists() else "PostgreSQL"
            raise BackupError(f"The backup is of {kind}; INKLING_DATABASE_URL names another kind of database.")
        _check_keys(settings, (folder / KEY_FILE).read_text("utf-8").split())
        if settings.is_sqlite:
            file.rename(make_url(settings.database_url).database or "")
        else:
            _run_tool("pg_restore", settings, ["--no-owner", "--no-privileges", "--single-transaction", str(dump)])
        keys = [] if settings.secret_keys else [folder / KEY_FILE]
        for file in (*spool_paths(folder).values(), *keys):
            file.rename(settings.data_dir / file.name)
    return manifest


def _copy(database: Database, settings: Settings, folder: Path) -> None:
    """The database first: hits that were taken out of the spool meanwhile are in it, and those that came are not in either."""
    spools = spool_paths(settings.data_dir).values()
    if settings.is_sqlite:
        with _snapshot(Path(make_url(settings.database_url).database or "")) as source, _snapshots(spools) as hits:
            _copy_sqlite(source, folder / SQLITE)
            _copy_spools(hits, folder)
        return
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        with _snapshots(spools) as hits:
            dump = ["--format=custom", "--compress=0", f"--snapshot={snapshot}", f"--file={folder / DUMP}"]
            _run_tool("pg_dump", settings, dump)
            _copy_spools(hits, folder)


@contextmanager
def _snapshot(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that sees the file as it is now, for as long as the block lasts, while others write; None without a file."""
    if not path.exists():
        yield None
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield connection


@contextmanager
def _snapshots(paths: Iterable[Path]) -> Iterator[dict[str, sqlite3.Connection | None]]:
    """The same of several files, by their names."""
    with ExitStack() as stack:
        yield {path.name: stack.enter_context(_snapshot(path)) for path in paths}


def _copy_spools(spools: Mapping[str, sqlite3.Connection | None], folder: Path) -> None:
    for name, source in spools.items():
        _copy_sqlite(source, folder / name)


def _copy_sqlite(source: sqlite3.Connection | None, path: Path) -> None:
    if source is not None:
        _write(path, b"")
        with closing(sqlite3.connect(path)) as target:
            source.backup(target)


def _pack(folder: Path, names: list[str], path: Path) -> None:
    part = folder / ".archive"
    _write(part, b"")
    with tarfile.open(part, "w:gz", compresslevel=3) as archive:
        for name in names:
            archive.add(folder / name, name)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _members(manifest: Manifest) -> list[str]:
    """Of what the manifest names, what an archive may hold."""
    known = rf"{re.escape(SQLITE)}|{re.escape(DUMP)}|{re.escape(KEY_FILE)}|spool(-[1-9][0-9]*)?\.sqlite3"
    return [name for name in manifest.digests if re.fullmatch(known, name)]


def _unpack(path: Path, folder: Path) -> Manifest:
    """Only members that the manifest names are read, and each must be what it was."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            manifest = _read_manifest(archive)
            for name in _members(manifest):
                source = archive.extractfile(name)
                if source is None:
                    raise KeyError(name)
                _write(folder / name, b"")
                with (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1024 * 1024)
                if _digest(folder / name) != manifest.digests[name]:
                    raise BackupError(f"{path} is damaged: {name} is not what was backed up.")
    except (tarfile.TarError, EOFError, KeyError, ValueError, TypeError, OSError) as error:
        problem = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged, or none of ours"
        raise BackupError(f"{path} cannot be read as a backup: {problem}.") from None
    if KEY_FILE not in manifest.digests or not {SQLITE, DUMP} & set(manifest.digests):
        raise BackupError(f"{path} cannot be read as a backup: database or keys are missing.")
    return manifest


def _read_manifest(archive: tarfile.TarFile) -> Manifest:
    member = archive.extractfile(MANIFEST)
    values = json.loads(member.read(_MOST_MANIFEST)) if member is not None else {}
    return Manifest(**{name: values[name] for name in ("revision", "made_at", "digests")})


def _check_empty(settings: Settings) -> None:
    if settings.data_dir.exists() and (names := sorted(entry.name for entry in settings.data_dir.iterdir())):
        raise BackupError(f"INKLING_DATA_DIR: {settings.data_dir} is not empty ({names[0]}). Name an empty folder.")
    if not settings.is_sqlite:
        database = Database(settings)
        try:
            with database.engine.connect() as connection:
                tables = text("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
                if connection.execute(tables).scalar_one():
                    raise BackupError("INKLING_DATABASE_URL: the database is not empty. Make a new one.")
        finally:
            database.close()
    elif Path(make_url(settings.database_url).database or "").exists():
        raise BackupError("INKLING_DATABASE_URL: the file is there already. Name one that is not.")


def _check_keys(settings: Settings, keys: list[str]) -> None:
    if settings.secret_keys and (missing := [key for key in keys if key not in settings.secret_keys]):
        raise BackupError(
            f"INKLING_SECRET_KEYS lacks {len(missing)} of the {len(keys)} keys in the backup: its passwords could not be"
            " opened and its links would lead nowhere. Add them, or leave the setting out."
        )


def _run_tool(name: str, settings: Settings, words: list[str]) -> None:
    """Runs a program of PostgreSQL's. The password goes by the environment: other users see the words of a call."""
    program = shutil.which(name)
    if program is None:
        raise BackupError(f"{name} is needed to {_TOOLS[name]} PostgreSQL. Install the client programs of its version.")
    url = make_url(settings.database_url)
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    server = url.set(drivername="postgresql", password=None).render_as_string()
    call = [program, f"--dbname={server}", "--no-password", *words]
    done = subprocess.run(call, env=environment, capture_output=True, text=True)  # noqa: S603  the operator's own words
    if done.returncode:
        raise BackupError(f"{name}: {done.stderr.strip().splitlines()[0] if done.stderr.strip() else 'failed'}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
