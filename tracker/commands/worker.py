"""Running a worker alone."""

import argparse
import sys

from tracker.commands.contexts import open_context
from tracker.commands.running import start_logging, until_signal
from tracker.worker import Worker


def worker(_words: argparse.Namespace) -> int:
    """Works until it is told to stop."""
    start_logging()
    stop = until_signal()
    with open_context() as context:
        print("The worker runs.", file=sys.stderr)
        Worker(context).run_until(stop)
    return 0
