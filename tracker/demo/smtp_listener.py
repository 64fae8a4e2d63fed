"""An aiosmtpd server on a port of its own that can be closed while clients are still connected."""

import asyncio
import ssl
from collections.abc import Callable

from aiosmtpd.smtp import SMTP


class SmtpListener:
    """`new_session` makes the protocol object of every connection; open and close it on one event loop."""

    port: int

    def __init__(self, new_session: Callable[[], SMTP]) -> None:
        self._new_session = new_session
        self._sessions: list[SMTP] = []
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listens; port 0 means any free one, then found in `port`."""
        self._server = await asyncio.get_running_loop().create_server(self._accept, host, port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listens no more and cuts every line."""
        if self._server:
            self._server.close()
        for session in self._sessions:
            hang_up(session)
        await asyncio.sleep(0)

    def _accept(self) -> SMTP:
        self._sessions = [session for session in self._sessions if session.transport]
        self._sessions.append(self._new_session())
        return self._sessions[-1]


def hang_up(session: SMTP) -> None:
    """Cuts the line without a word."""
    transport = session.transport
    # a closed TLS transport cannot be aborted in Python 3.11.2
    if isinstance(transport, asyncio.WriteTransport) and not transport.is_closing():
        transport.abort()
