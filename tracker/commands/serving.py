"""Running: everything in one process, or one role alone."""

import argparse
import logging
import os
import signal
import sys
import threading

import uvicorn
from starlette.types import ASGIApp

from pixel.app import create_app as create_edge
from pixel.settings import EdgeSettings
from tracker.commands import CommandError, wired_house
from tracker.demo.run import run_demo
from tracker.front import create_front
from tracker.house import House
from tracker.outgoing.gateway import Gateway
from tracker.settings import DEFAULT_URL, Settings, read_settings, read_values
from tracker.web.app import create_app
from tracker.web.set_up import make_setup_code
from tracker.worker import Worker

DEFAULT_SMTP_PORT = 2525


def serve(words: argparse.Namespace) -> int:
    """Edge, web, worker and gateway in one process."""
    start_logging()
    with wired_house(_settings_at(words.host, words.port)) as house:
        beside = _gateway_beside(house, words.smtp_port)
        greet(house, words.host, words.port)
        return run_server(create_front(house, beside), words.host, words.port)


def web(words: argparse.Namespace) -> int:
    """The pages and the API."""
    start_logging()
    with wired_house(_settings_at(words.host, words.port)) as house:
        greet(house, words.host, words.port)
        return run_server(create_app(house), words.host, words.port)


def edge(words: argparse.Namespace) -> int:
    """The public edge; it needs no database."""
    start_logging()
    read_settings()  # an unknown or wrong setting stops every role alike
    try:
        settings = EdgeSettings.from_environment(read_values())
    except ValueError as error:
        raise CommandError(str(error)) from None
    return run_server(create_edge(settings), words.host, words.port)


def _settings_at(host: str, port: int) -> Settings:
    """The settings; where no base URL is given, it is where we listen."""
    if not port or host not in ("127.0.0.1", "localhost"):
        return read_settings(default_url=DEFAULT_URL)
    return read_settings(default_url=f"http://{host}:{port}")


def worker(_words: argparse.Namespace) -> int:
    """Works until it is told to stop."""
    start_logging()
    stop = _until_signal()
    with wired_house() as house:
        print("The worker runs.", file=sys.stderr)
        Worker(house).run_until(stop)
    return 0


def gateway(words: argparse.Namespace) -> int:
    """The SMTP gateway for mail programs, until it is told to stop."""
    start_logging()
    stop = _until_signal()
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


def demo(words: argparse.Namespace) -> int:
    """A workspace to try everything in."""
    start_logging()
    _until_signal()
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
    _until_signal()
    try:
        server.run()
    except SystemExit:
        raise CommandError(
            f"The port {port} of {host} cannot be used; it may be taken. Choose another with --port."
        ) from None
    return 0 if server.started else 1


def _until_signal() -> threading.Event:
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
