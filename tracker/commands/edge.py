"""Running the edge alone."""

import argparse

from pixel.app import create_app
from pixel.settings import EdgeSettings
from tracker.commands.running import run_server, start_logging
from tracker.runtime.settings import read_settings, read_values


def edge(words: argparse.Namespace) -> int:
    """The public edge; it needs no database."""
    start_logging()
    read_settings()  # an unknown or wrong setting stops every role alike
    settings = EdgeSettings.from_environment(read_values())
    return run_server(create_app(settings), words.host, words.port, settings.trusted_proxies)
