"""Running: everything in one process, or one role alone."""

import argparse
import logging
import os
import signal
import sys
import threading

import uvicorn
from starlette.types import ASGIApp

from pixel.__main__ import main as edge_main
from tracker.commands import CommandError, wired_house
from tracker.db import Database
from tracker.demo.run import run_demo
from tracker.front import create_front
from tracker.house import House
from tracker.outgoing.gateway import Gateway
from tracker.settings import read_settings
from tracker.web.app import create_app
from tracker.web.set_up import make_setup_code
from tracker.worker import Worker

DEFAULT_SMTP_PORT = 2525


def serve(words: argparse.Namespace) -> int:
    """Edge, web, worker and gateway in one process."""
    start_logging()
    with wired_house() as house:
        beside = _gateway_beside(house, words.smtp_port)
        greet(house, words.host, words.port)
        return run_server(create_front(house, beside), words.host, words.port)


def web(words: argparse.Namespace) -> int:
    """The pages and the API."""
    start_logging()
    with wired_house() as house:
        greet(house, words.host, words.port)
        return run_server(create_app(house), words.host, words.port)


def edge(words: argparse.Namespace) -> int:
    """The public edge; it needs no database."""
    read_settings()  # an unknown or wrong setting stops every role alike
    return edge_main(["--host", words.host, "--port", str(words.port)])


def worker(_words: argparse.Namespace) -> int:
    """Works until it is told to stop."""
    start_logging()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with wired_house() as house:
        print("The worker runs.", file=sys.stderr)
        Worker(house).run_until(stop)
    return 0


def gateway(words: argparse.Namespace) -> int:
    """The SMTP gateway for mail programs, until it is told to stop."""
    start_logging()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with wired_house() as house:
        port = house.settings.smtp_port if words.port is None else words.port
        alone = open_gateway(house, words.host or house.settings.smtp_host, port, "--port")
        alone.start()
        stop.wait()
        alone.stop()
    return 0


def _gateway_beside(house: House, wanted: int | None) -> Gateway | None:
    """The gateway of ``serve``; 0 switches it off. A port that nobody asked for and that is taken stops nothing."""
    port = house.settings.smtp_port if wanted is None else wanted
    if port == 0:
        return None
    try:
        return open_gateway(house, house.settings.smtp_host, port, "--smtp-port")
    except CommandError as error:
        if wanted is not None or port != DEFAULT_SMTP_PORT:
            raise
        print(f"No gateway for mail programs: {error}", file=sys.stderr)
        return None


def open_gateway(house: House, host: str, port: int, option: str) -> Gateway:
    """A gateway that holds its port and waits to be started. Raises :class:`CommandError` naming the option."""
    try:
        made = Gateway(house, host, port)
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


def migrate(_words: argparse.Namespace) -> int:
    """Brings the database to the newest revision, whichever it is."""
    database = Database(read_settings())
    try:
        database.migrate()
        print(f"The database is at revision {database.revision()[0]}.")
    finally:
        database.close()
    return 0


def demo(words: argparse.Namespace) -> int:
    """A workspace to try everything in."""
    start_logging()
    return run_demo(words.host, words.port)


def greet(house: House, host: str, port: int) -> None:
    """Says where to go; at the first start also the one-time code of the set-up page."""
    print(f"Inkling: {house.settings.base_url}  (listening on {host}:{port})", file=sys.stderr)
    code = make_setup_code(house)
    if code is not None:
        print(f"First start: open {house.settings.base_url}/set-up and enter the code  {code}", file=sys.stderr)


def run_server(app: ASGIApp, host: str, port: int) -> int:
    """Serves an application until a signal. Exit code 1 when the port cannot be had."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    try:
        server.run()
    except SystemExit:
        raise CommandError(
            f"The port {port} of {host} cannot be used; it may be taken. Choose another with --port."
        ) from None
    return 0 if server.started else 1


def start_logging() -> None:
    """One line per event of ours on standard error. Libraries speak up only when something is wrong: their lines hold addresses."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of its own deprecations
    for ours in ("tracker", "pixel"):
        logging.getLogger(ours).setLevel(os.environ.get("LOGLEVEL", "INFO"))
