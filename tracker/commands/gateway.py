"""Running one role alone: the gateway for mail programs, which may also be opened beside the pages, and the worker."""

import argparse
import sys

from tracker.commands import CommandError
from tracker.commands.contexts import open_context
from tracker.commands.running import start_logging, until_signal
from tracker.outbound.gateway.server import Gateway
from tracker.runtime.context import AppContext
from tracker.runtime.interpreter import keep_what_is_loaded
from tracker.worker import Worker


def gateway(words: argparse.Namespace) -> int:
    """The SMTP gateway for mail programs, until it is told to stop."""
    start_logging()
    stop = until_signal()
    with open_context() as context:
        port = context.settings.smtp_port if words.port is None else words.port
        alone = open_gateway(context, words.host or context.settings.smtp_host, port, "--port")
        alone.start()
        keep_what_is_loaded()
        stop.wait()
        alone.stop()
    return 0


def open_gateway(context: AppContext, host: str, port: int, option: str) -> Gateway:
    """A gateway that holds its port and waits to be started. Raises :class:`CommandError` naming the option."""
    try:
        made = Gateway(context, host, port)
    except OSError as error:
        text = f"INKLING_SMTP_TLS_CERT and INKLING_SMTP_TLS_KEY cannot be used together: {error}."
        raise CommandError(text) from None
    try:
        made.listen()
    except (OSError, OverflowError):
        raise CommandError(
            f"The port {port} of {host} cannot be used for mail programs; it may be taken. Choose another with {option}."
        ) from None
    how = "with TLS" if made.from_elsewhere else "from this machine only: without INKLING_SMTP_TLS_CERT there is no TLS"
    print(f"Mail programs submit to {host}:{made.port} ({how})", file=sys.stderr)
    return made


def worker(_words: argparse.Namespace) -> int:
    """Works until it is told to stop."""
    start_logging()
    stop = until_signal()
    with open_context() as context:
        print("The worker runs.", file=sys.stderr)
        working = Worker(context)
        keep_what_is_loaded()
        working.run_until(stop)
    return 0
