"""Judging hits out of a file, as production would. It needs no context."""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from tracker.commands import CommandError
from tracker.engagement.judge.judge_lines import BadLines, judge_lines


def judge(words: argparse.Namespace) -> int:
    """One verdict per event as JSON Lines. A line that cannot be read is named on standard error; the others are judged."""
    try:
        with nullcontext(sys.stdin.buffer) if words.file == "-" else Path(words.file).open("rb") as lines:
            for verdict in judge_lines(line.decode() for line in lines):
                print(verdict)
    except BrokenPipeError:  # of our own output
        raise
    except OSError as error:
        raise CommandError(f"{words.file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{words.file} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    except BadLines as error:
        raise CommandError("\n".join(error.sentences)) from None
    return 0
