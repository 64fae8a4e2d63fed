"""The bare pixel behind the limits of every role's HTTP server: what they cost beside the ceiling."""

import sys

import uvicorn

from pixel.server import server_config
from tests.bench.edge_peers.bare_pixel import app

if __name__ == "__main__":
    uvicorn.Server(server_config(app, port=int(sys.argv[1]), lifespan="off")).run()
