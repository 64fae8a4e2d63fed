"""Judging again what is held."""

import argparse

from tracker.commands.contexts import open_context
from tracker.engagement.rejudge import rejudge_held


def rejudge(words: argparse.Namespace) -> int:
    """Judges what is held again; safe while the worker runs. Counters and bell follow."""
    with open_context() as context:
        changed = rejudge_held(context, words.since)
    print(f"{changed} verdict{'' if changed == 1 else 's'} changed.")
    return 0
