"""Judging again what is held."""

import argparse

from tracker.commands.houses import wired_house
from tracker.engagement.reevaluate import reevaluate


def rejudge(words: argparse.Namespace) -> int:
    """Judges what is held again; safe while the worker runs. Counters and bell follow."""
    with wired_house() as house:
        changed = reevaluate(house, words.since)
    print(f"{changed} verdict{'' if changed == 1 else 's'} changed.")
    return 0
