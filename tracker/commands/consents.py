"""`inkling consent`: consents out of a CSV file, with the result of each row that was not taken; and a notice replaced."""

import argparse
import sys
from pathlib import Path

from tracker.commands import CommandError
from tracker.commands.contexts import open_context
from tracker.consent.audit import retire_notice as retire
from tracker.consent.bulk_import import import_consents
from tracker.runtime.csv_file import UnreadableFile


def retire_notice(words: argparse.Namespace) -> int:
    """Consents given to other versions of a notice lapse, because it was replaced by a materially different one."""
    with open_context() as context:
        count = retire(context, words.notice, words.keep)
    print(f"Lapsed: {count}. Their people may be asked again.")
    return 0


def import_file(words: argparse.Namespace) -> int:
    """One line per refused row on standard output, then the sum. Exit code 1 when any was refused."""
    try:
        content = sys.stdin.buffer.read() if words.file == "-" else Path(words.file).read_bytes()
    except OSError as error:
        raise CommandError(f"{words.file} cannot be read: {error.strerror}.") from None
    recorded = refused = rows = 0
    try:
        with open_context() as context:
            for result in import_consents(context, content, by="system"):
                rows, recorded = rows + 1, recorded + result.recorded
                if result.problem:
                    refused += 1
                    print(f"line {result.line}\t{result.address}\t{result.field or '-'}\t{result.problem}")
    except UnreadableFile as error:
        raise CommandError(str(error)) from None
    print(f"Read {rows} rows: recorded {recorded} entries, refused {refused} of the rows.")
    return 1 if refused else 0
