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
from tracker.settings import read_settings
from tracker.web.app import create_app
from tracker.web.set_up import make_setup_code
from tracker.worker import Worker


def serve(words: argparse.Namespace) -> int:
    """Edge, web and worker in one process."""
    start_logging()
    with wired_house() as house:
        greet(house, words.host, words.port)
        return run_server(create_front(house), words.host, words.port)


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
    for ours in ("tracker", "pixel"):
        logging.getLogger(ours).setLevel(os.environ.get("LOGLEVEL", "INFO"))
