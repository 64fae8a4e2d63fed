"""An application at a port, until a signal."""

import uvicorn
from starlette.types import ASGIApp

from pixel.server import server_config
from tracker.commands import CommandError
from tracker.commands.running import until_signal
from tracker.runtime.settings import Network


def run_server(app: ASGIApp, host: str, port: int, trusted_proxies: tuple[Network, ...]) -> int:
    """Serves an application until a signal. Exit code 1 when the port cannot be had."""
    server = uvicorn.Server(server_config(app, host, port, trusted_proxies=trusted_proxies))
    until_signal()
    try:
        server.run()
    except SystemExit:
        raise CommandError(
            f"The port {port} of {host} cannot be used; it may be taken. Choose another with --port."
        ) from None
    return 0 if server.started else 1
