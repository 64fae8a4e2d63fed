"""The sandbox's submission server: takes mail from those who have a login there, and gives it to the sandbox's own mailboxes.

Nothing leaves the machine. Two local-parts behave badly on purpose, at any domain:
`bounce` is refused for good, `slow` is put off twice before each letter.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


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


REFUSED = "550 5.1.1 There is no such person in the sandbox"
PUT_OFF = "451 4.7.1 Too busy just now, try again later"
TIMES_PUT_OFF = 2

Deliver = Callable[[bytes, str], Awaitable[int]]
IsRight = Callable[[str, str], bool]


class SandboxSmtp:
    """`deliver(raw, to)` stores one copy; `is_right(login, secret)` says who may submit."""

    def __init__(self, deliver: Deliver, is_right: IsRight) -> None:
        self._deliver = deliver
        self._is_right = is_right
        self._put_off: Counter[str] = Counter()
        self.listener = SmtpListener(self._new_session)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender taken"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        person = address.partition("@")[0].lower()
        if person == "bounce":
            return REFUSED
        if person == "slow" and self._is_put_off(address.lower()):
            return PUT_OFF
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient taken"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.original_content or b""
        for recipient in dict.fromkeys(envelope.rcpt_tos):
            await self._deliver(_trace(envelope.mail_from or "", recipient, session) + raw, recipient)
        return "250 2.0.0 Delivered in the sandbox"

    def _is_put_off(self, address: str) -> bool:
        self._put_off[address] = (self._put_off[address] + 1) % (TIMES_PUT_OFF + 1)
        return self._put_off[address] != 0

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = self._is_right(data.login.decode(errors="replace"), data.password.decode(errors="replace"))
        return AuthResult(success=right, handled=False, auth_data=data.login)

    def _new_session(self) -> SMTP:
        return SMTP(
            self,
            hostname="sandbox.localhost",
            ident="Inkling sandbox",
            enable_SMTPUTF8=True,
            auth_require_tls=False,  # listens on loopback only
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )


def _trace(sender: str, recipient: str, session: Session) -> bytes:
    """The trace fields that a delivering server adds on top (RFC 5321 §4.4, RFC 9228)."""
    now = format_datetime(datetime.now(UTC))
    hello = (session.host_name or "unknown").translate({13: None, 10: None})
    return (
        f"Return-Path: <{sender}>\r\n"
        f"Delivered-To: {recipient}\r\n"
        f"Received: from {hello} by sandbox.localhost with ESMTPA; {now}\r\n"
    ).encode()
