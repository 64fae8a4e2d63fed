"""What every command has that goes on until a signal, and an application at a port until then."""

import logging
import os
import signal
import threading

import uvicorn
from starlette.types import ASGIApp

from pixel.server import server_config
from tracker.commands import CommandError
from tracker.commands.ports import port_is_taken
from tracker.runtime.interpreter import keep_what_is_loaded, take_short_turns
from tracker.runtime.settings import Network


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


def run_server(app: ASGIApp, host: str, port: int, trusted_proxies: tuple[Network, ...]) -> int:
    """Serves an application until a signal. Exit code 1 when the port cannot be had."""
    server = uvicorn.Server(server_config(app, host, port, trusted_proxies=trusted_proxies))
    until_signal()
    take_short_turns()
    keep_what_is_loaded()
    try:
        server.run()
    except SystemExit:
        if server.lifespan.should_exit:
            raise CommandError("Inkling could not start; the lines above say why.") from None
        raise port_is_taken(host, port) from None
    return 0 if server.started else 1
