"""The rights of a recipient from the command line: the archive, erasure, and erasing again after a backup was restored."""

import argparse
import json
import sys
from pathlib import Path

from tracker.commands import CommandError
from tracker.commands.contexts import open_context
from tracker.mail.addresses import AddressError
from tracker.privacy.archive import archive_of
from tracker.privacy.erase import erase, erase_again
from tracker.privacy.replay import remembered
from tracker.recipients import find


def export_recipient(words: argparse.Namespace) -> int:
    """Everything that is held about somebody, as a ZIP file on standard output."""
    with open_context() as context:
        try:
            with context.database.reading() as session:
                recipient = find(session, words.email)
        except AddressError as error:
            raise CommandError(str(error)) from None
        if recipient is None:
            raise CommandError(f"Nothing is held about {words.email}: there is no such recipient.")
        if sys.stdout.isatty():
            raise CommandError(
                "The archive is a ZIP file. Send it to a file: inkling recipient export EMAIL > archive.zip"
            )
        sys.stdout.buffer.write(archive_of(context, recipient, words.language))
    return 0


def erase_recipient(words: argparse.Namespace) -> int:
    """Erases somebody and prints the receipt (JSON)."""
    with open_context() as context:
        try:
            receipt = erase(context, words.email, "system")
        except AddressError as error:
            raise CommandError(str(error)) from None
    answer = {"receipt": receipt.public_id, "at": receipt.at.isoformat(timespec="seconds"), "digest": receipt.digest}
    print(json.dumps({**answer, "text": receipt.text, "done": receipt.done}, ensure_ascii=False))
    return 0


def replay_erasures(words: argparse.Namespace) -> int:
    """Erases again whom a restored backup brought back: by a list such as erasures.jsonl of the data folder."""
    with open_context() as context:
        digests = remembered(Path(words.file).read_text("utf-8").splitlines()) if words.file else None
        print(f"{erase_again(context, digests)} erased again.")
    return 0
