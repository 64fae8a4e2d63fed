"""Running pages and API: with everything beside them in one process, or alone."""

import argparse
import sys

from tracker.commands import CommandError
from tracker.commands.contexts import open_context
from tracker.commands.gateway import open_gateway
from tracker.commands.running import run_server, start_logging
from tracker.outbound.gateway.server import Gateway
from tracker.runtime.context import AppContext
from tracker.runtime.settings import DEFAULT_URL, Settings, read_settings
from tracker.serve import create_combined_app
from tracker.web.app import create_app
from tracker.web.workspace.set_up_page import make_setup_code

DEFAULT_SMTP_PORT = 2525


def serve(words: argparse.Namespace) -> int:
    """Edge, web, worker and gateway in one process."""
    start_logging()
    with open_context(_settings_at(words.host, words.port)) as context:
        gateway = _gateway_of(context, words.smtp_port)
        print_startup(context, words.host, words.port)
        return run_server(
            create_combined_app(context, gateway), words.host, words.port, context.settings.trusted_proxies
        )


def web(words: argparse.Namespace) -> int:
    """The pages and the API."""
    start_logging()
    with open_context(_settings_at(words.host, words.port)) as context:
        print_startup(context, words.host, words.port)
        return run_server(create_app(context), words.host, words.port, context.settings.trusted_proxies)


def _settings_at(host: str, port: int) -> Settings:
    """The settings; where no base URL is given, it is where we listen."""
    if not port or host not in ("127.0.0.1", "localhost"):
        return read_settings(default_url=DEFAULT_URL)
    return read_settings(default_url=f"http://{host}:{port}")


def _gateway_of(context: AppContext, wanted: int | None) -> Gateway | None:
    """The gateway of ``serve``; 0 switches it off. A port that nobody asked for and that is taken stops nothing."""
    port = context.settings.smtp_port if wanted is None else wanted
    if port == 0:
        return None
    try:
        return open_gateway(context, context.settings.smtp_host, port, "--smtp-port")
    except CommandError as error:
        if wanted is not None or port != DEFAULT_SMTP_PORT:
            raise
        print(f"No gateway for mail programs: {error}", file=sys.stderr)
        return None


def print_startup(context: AppContext, host: str, port: int) -> None:
    """Says where to go; at the first start also the one-time code of the set-up page."""
    print(f"Inkling: {context.settings.base_url}  (listening on {host}:{port})", file=sys.stderr)
    code = make_setup_code(context)
    if code is not None:
        print(f"First start: open {context.settings.base_url}/set-up and enter the code  {code}", file=sys.stderr)
