"""Running the demo."""

import argparse

from tracker.commands.running import start_logging, until_signal
from tracker.demo.run import run_demo


def demo(words: argparse.Namespace) -> int:
    """A workspace to try everything in."""
    start_logging()
    until_signal()
    return run_demo(words.host, words.port, words.smtp_port)
