"""`python -m pixel`: the edge alone. It needs the packages of requirements-edge.txt and nothing else."""

import argparse
import gc
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace

import uvicorn

from pixel.app import EdgeApp, create_app
from pixel.connections import ServerLimits
from pixel.environment import SettingError
from pixel.server import server_config
from pixel.settings import EdgeSettings
from pixel.workers import MOST_WORKERS, run_workers


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until it is told to stop; 1 when a setting is wrong, with the sentence that says which."""
    parser = argparse.ArgumentParser(prog="python -m pixel", description="The edge: open image, click redirect, spool.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help=f"processes on the port (1 to {MOST_WORKERS})"
    )
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.workers <= MOST_WORKERS:
        parser.error(f"--workers is a number from 1 to {MOST_WORKERS}")
    try:
        settings = EdgeSettings.from_environment(os.environ)
        return run_edge(settings, chosen.host, chosen.port, chosen.workers)
    except SettingError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"the port {chosen.port} of {chosen.host} cannot be used: {error.strerror}", file=sys.stderr)
    return 1


def run_edge(settings: EdgeSettings, host: str, port: int, workers: int = 1) -> int:
    """Serves until a signal, with several workers by as many processes; the exit code. Raises OSError when they cannot have the
    port."""
    # the writing thread waits this long for each of its turns, and every client behind it
    sys.setswitchinterval(0.0002)
    app = create_app(replace(settings, workers=workers))
    gc.collect()
    gc.freeze()  # what was imported is never garbage
    if workers == 1:
        return _serve(uvicorn.Server(_config(app, host, port)))

    def serve(number: int, shared: socket.socket) -> int:
        app.settings = replace(app.settings, worker=number)
        return _serve(uvicorn.Server(_config(app, host, port)), [shared])

    return run_workers(workers, host, port, serve)


def _serve(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> int:
    server.run(sockets)
    return 0 if server.started else 1


def edge_config(settings: EdgeSettings, host: str, port: int, limits: ServerLimits | None = None) -> uvicorn.Config:
    """How the edge is served."""
    return _config(create_app(settings), host, port, limits)


def _config(app: EdgeApp, host: str, port: int, limits: ServerLimits | None = None) -> uvicorn.Config:
    return server_config(app, host, port, trusted_proxies=app.settings.trusted_proxies, limits=limits)


if __name__ == "__main__":
    sys.exit(main())
