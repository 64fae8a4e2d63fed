"""A client that asks for ever, and remembers what was answered."""

import socket

from pixel.tokens import Tokens, new_public_id, open_path
from tests.pixel.edge_server import read_reply


def ask_until_the_end(port: int, tokens: Tokens, answered: list[str]) -> None:
    """One client with a kept connection and a new token each time; notes the token when its answer has come."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            while True:
                token = tokens.open(new_public_id())
                connection.sendall(f"GET {open_path(token)} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                if read_reply(connection).status == 200:
                    answered.append(token)
    except OSError:
        return  # the edge was killed
