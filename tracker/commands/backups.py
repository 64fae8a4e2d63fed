"""`inkling backup` and `inkling restore`."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from sqlmodel import Session, delete, func, select

from tracker.commands import CommandError
from tracker.commands.contexts import open_context
from tracker.models import Delivery
from tracker.outbound.send_quota import WAITING
from tracker.privacy.erase import erase_again
from tracker.runtime.backup import KEY_FILE, BackupError, back_up
from tracker.runtime.backup import restore as restore_files
from tracker.runtime.lease import Lease
from tracker.runtime.settings import Settings, read_settings


def backup(words: argparse.Namespace) -> int:
    """Copies database, spool and keys into one archive, whatever runs meanwhile. The database is not migrated before."""
    settings, path = read_settings(), Path(words.file).absolute()
    try:
        manifest = back_up(settings, settings.secret_keys or _keys_of(settings), path)
    except BackupError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename or path}: {error.strerror}.") from None
    print(f"{path}: {', '.join(manifest.digests)} ({path.stat().st_size:,} bytes), revision {manifest.revision}.")
    return 0


def restore(words: argparse.Namespace) -> int:
    """Lays an archive into an empty data folder, brings the database up to date, and erases again who was erased since."""
    settings = read_settings()
    try:
        manifest = restore_files(settings, Path(words.file))
        if words.erasures:
            _take_list(Path(words.erasures), settings.erasures_path)
    except BackupError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename or words.file}: {error.strerror}.") from None
    with open_context(migrate=True) as context:
        erased = erase_again(context)
        with context.database.session_scope() as session:
            session.exec(delete(Lease))
            waiting = _waiting(session)
    print(f"Restored as of {manifest.made_at}, into {settings.data_dir}. {erased} erased again.")
    if not settings.erasures_path.exists():
        print(
            "Nobody was erased again: there is no list. Whoever was erased since this backup is in the database again."
            " Find the list (erasures.jsonl) and run: inkling recipient replay FILE",
            file=sys.stderr,
        )
    if waiting:
        print(f"{waiting} copies were waiting to be sent then, and are sent as soon as Inkling starts.")
    return 0


def _keys_of(settings: Settings) -> tuple[str, ...]:
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        raise BackupError(f"There is nothing to back up: {path} is missing.")
    return tuple(path.read_text("utf-8").replace(",", " ").split())


def _take_list(source: Path, target: Path) -> None:
    """The list goes on where it is from now on; one that is there already is added to."""
    if target.exists() and source.samefile(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        source.open("rb") as lines,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file,
    ):
        shutil.copyfileobj(lines, file)


def _waiting(session: Session) -> int:
    return session.exec(select(func.count()).where(Delivery.status.in_(WAITING))).one()  # type: ignore[attr-defined]
