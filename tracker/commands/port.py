"""An application at a port, until a signal."""

import uvicorn
from starlette.types import ASGIApp

from tracker.commands import CommandError
from tracker.commands.running import until_signal


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
    until_signal()
    try:
        server.run()
    except SystemExit:
        raise CommandError(
            f"The port {port} of {host} cannot be used; it may be taken. Choose another with --port."
        ) from None
    return 0 if server.started else 1
