"""What every command has that goes on until a signal."""

import logging
import os
import signal
import threading

from tracker.commands import CommandError


def until_signal() -> threading.Event:
    """Set by the signal that ends us. A server of uvicorn minds signals itself and, once it has ended, sends us the same
    one again: by then it must not kill us before everything is put away."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def start_logging() -> None:
    """One line per event of ours on standard error. Libraries speak up only when something is wrong: their lines hold addresses."""
    level = os.environ.get("LOGLEVEL", "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise CommandError(f"LOGLEVEL must be one of {', '.join(logging.getLevelNamesMapping())}, not {level}.")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of its own deprecations
    for ours in ("tracker", "pixel"):
        logging.getLogger(ours).setLevel(level)
