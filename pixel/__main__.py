"""`python -m pixel`: the edge alone. It needs the packages of requirements-edge.txt and nothing else."""

import argparse
import os
import sys
from collections.abc import Sequence

import uvicorn

from pixel.app import create_app
from pixel.environment import SettingError
from pixel.server import ServerLimits, server_config
from pixel.settings import EdgeSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until it is told to stop; 1 when a setting is wrong, with the sentence that says which."""
    parser = argparse.ArgumentParser(prog="python -m pixel", description="The edge: open image, click redirect, spool.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    chosen = parser.parse_args(arguments)
    try:
        settings = EdgeSettings.from_environment(os.environ)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 1
    sys.setswitchinterval(0.001)  # the writing thread waits this long for its turn, and every client behind it
    server = uvicorn.Server(edge_config(settings, chosen.host, chosen.port))
    server.run()
    return 0 if server.started else 1


def edge_config(settings: EdgeSettings, host: str, port: int, limits: ServerLimits | None = None) -> uvicorn.Config:
    """How the edge is served."""
    return server_config(create_app(settings), host, port, trusted_proxies=settings.trusted_proxies, limits=limits)


if __name__ == "__main__":
    sys.exit(main())
