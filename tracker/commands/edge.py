"""Running the edge alone."""

import argparse

from pixel.__main__ import run_edge
from pixel.settings import EdgeSettings
from tracker.commands import CommandError
from tracker.commands.ports import port_is_taken
from tracker.commands.running import start_logging, until_signal
from tracker.runtime.settings import read_settings, read_values


def edge(words: argparse.Namespace) -> int:
    """The public edge, as one process or several; it needs no database."""
    start_logging()
    read_settings()  # an unknown or wrong setting stops every role alike
    settings = EdgeSettings.from_environment(read_values())
    until_signal()
    try:
        code = run_edge(settings, words.host, words.port, words.workers)
    except OSError as error:
        raise port_is_taken(words.host, words.port, error) from None
    except SystemExit:  # the server has said why
        code = 1
    if code:
        raise CommandError("The edge could not start; the lines above say why.")
    return code
