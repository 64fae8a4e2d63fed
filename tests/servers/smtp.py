"""A real SMTP server that keeps what it is given and refuses, delays or hangs up when told to."""

import asyncio
import binascii
import socket
import threading
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers.authority import ca
from tests.servers.processes import wait_until
from tracker.demo.sandbox_smtp import SmtpListener, hang_up
from tracker.demo.world import LoopThread

Tls = Literal["none", "starttls", "implicit"]

REFUSED = "550 5.1.1 No such user here"
DEFERRED = "451 4.7.1 Try again later"


@dataclass(frozen=True)
class Accepted:
    """One transaction that the server said 250 to; `content` is the bytes after DATA, dots unstuffed."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    mail_options: tuple[str, ...]
    login: str | None
    tls: bool
    hello: str


@dataclass
class SmtpRules:
    """What the server does wrong. A test may change any of it while the server runs."""

    login: str | None = None  # with `secret`: nothing is taken without AUTH
    secret: str | None = None
    tokens: Callable[[str, str], bool] | None = None  # (login, token) → good; offers AUTH XOAUTH2
    refuse: dict[str, str] = field(default_factory=dict)  # recipient → 5yz reply
    refuse_sender: dict[str, str] = field(default_factory=dict)  # MAIL FROM → reply
    defer: dict[str, int] = field(default_factory=dict)  # recipient → how many times 4yz comes first
    defer_first: int = 0  # this many transactions are put off at MAIL FROM
    refuse_content: str | None = None  # reply to the whole message after DATA
    delay: dict[str, float] = field(default_factory=dict)  # "EHLO", "MAIL", "RCPT", "DATA" → seconds
    seven_bits: bool = False  # does not offer 8BITMIME
    one_at_a_time: bool = False  # does not offer PIPELINING
    drop_after_data: int = 0  # this many messages are kept in `dropped` and the line is cut instead of 250


class SmtpSink:
    """`host`, `port` and `ca_file` to reach it; `accepted` and `dropped` say what came; `rules` may be changed."""

    host = "127.0.0.1"
    port: int

    def __init__(self, rules: SmtpRules, tls: Tls) -> None:
        self.rules = rules
        self.tls = tls
        self.ca_file: Path = ca().file
        self.logins: Counter[str] = Counter()  # every try, right or wrong
        self.xoauth2_answers: list[bytes] = []  # what clients said to the reasons of a refusal
        self.commands: Counter[str] = Counter()  # of those that can be delayed
        self._lock = threading.Lock()
        self._accepted: list[Accepted] = []
        self._dropped: list[Accepted] = []

    @property
    def accepted(self) -> list[Accepted]:
        with self._lock:
            return list(self._accepted)

    @property
    def dropped(self) -> list[Accepted]:
        """Taken in full, but the sender never heard 250."""
        with self._lock:
            return list(self._dropped)

    def wait_for(self, n: int, seconds: float = 30) -> list[Accepted]:
        """The accepted messages, as soon as there are `n` of them."""
        wait_until(lambda: len(self.accepted) >= n, seconds)
        return self.accepted

    def clear(self) -> None:
        with self._lock:
            self._accepted.clear()
            self._dropped.clear()

    # hooks of aiosmtpd, called on the server's own thread

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        await self._dawdle("EHLO")
        session.host_name = hostname
        pipelining = [] if self.rules.one_at_a_time else ["250-PIPELINING"]
        greeting, *offers = (line for line in map(self._offer, responses) if line)
        return [greeting, *pipelining, *offers]

    def _offer(self, line: str) -> str:
        if self.rules.seven_bits and line.upper().endswith("8BITMIME"):
            return ""
        if not line.startswith("250-AUTH"):
            return line
        # with nobody to log in the library would offer AUTH without a mechanism
        by_password = [name for name in line.split()[1:] if name != "XOAUTH2"] if self.rules.login else []
        mechanisms = [*by_password, *(["XOAUTH2"] if self.rules.tokens else [])]
        return f"250-AUTH {' '.join(mechanisms)}" if mechanisms else ""

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._dawdle("MAIL")
        if (self.rules.login is not None or self.rules.tokens is not None) and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if address in self.rules.refuse_sender:
            return self.rules.refuse_sender[address]
        if self.rules.defer_first > 0:
            self.rules.defer_first -= 1
            return DEFERRED
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender taken"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._dawdle("RCPT")
        if address in self.rules.refuse:
            return self.rules.refuse[address]
        if self.rules.defer.get(address, 0) > 0:
            self.rules.defer[address] -= 1
            return DEFERRED
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient taken"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await self._dawdle("DATA")
        if self.rules.refuse_content:
            return self.rules.refuse_content
        message = _accepted(session, envelope, implicit_tls=self.tls == "implicit")
        with self._lock:
            if self.rules.drop_after_data > 0:
                self.rules.drop_after_data -= 1
                self._dropped.append(message)
                hang_up(server)
                return "421 4.4.2 Never heard"
            self._accepted.append(message)
            return f"250 2.0.0 Kept as {len(self._accepted)}"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        login = data.login.decode()
        self.logins[login] += 1
        right = (login, data.password.decode()) == (self.rules.login, self.rules.secret)
        return AuthResult(success=right, handled=False, auth_data=login)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        """As Google and Microsoft do it: a wrong token is answered with reasons, and refused after the client's empty answer."""
        login, token = _xoauth2(args[1] if len(args) > 1 else "")
        self.logins[login] += 1
        if self.rules.tokens is not None and self.rules.tokens(login, token):
            return AuthResult(success=True, auth_data=login)
        reasons = b64encode(b'{"status":"401","schemes":"bearer"}').decode()
        await server.push(f"334 {reasons}")
        answer = await server._reader.readline()
        self.xoauth2_answers.append(answer)
        await server.push("535 5.7.8 Username and Password not accepted")
        return AuthResult(success=False, handled=True)

    async def _dawdle(self, verb: str) -> None:
        """A delay that is taken out of the rules ends: a test holds an answer back for as long as it needs."""
        self.commands[verb] += 1
        began = time.monotonic()
        while time.monotonic() - began < self.rules.delay.get(verb, 0):  # noqa: ASYNC110  (the rules change in another thread)
            await asyncio.sleep(0.01)


@contextmanager
def smtp_sink(
    *,
    login: str | None = None,
    secret: str | None = None,
    tls: Tls = "none",
    refuse: Mapping[str, str] | Collection[str] = (),
    defer: Mapping[str, int] | None = None,
    defer_first: int = 0,
    delay: Mapping[str, float] | None = None,
    drop_after_data: int = 0,
    max_size: int = 33_554_432,
    utf8: bool = True,
    seven_bits: bool = False,
) -> Iterator[SmtpSink]:
    """A server on a free port. With `login` it wants AUTH; `tls` "starttls" is then required too."""
    sink = SmtpSink(
        SmtpRules(
            login=login,
            secret=secret,
            refuse=dict(refuse if isinstance(refuse, Mapping) else dict.fromkeys(refuse, REFUSED)),
            defer=dict(defer or {}),
            defer_first=defer_first,
            delay=dict(delay or {}),
            drop_after_data=drop_after_data,
            seven_bits=seven_bits,
        ),
        tls,
    )
    listener = SmtpListener(lambda: _session(sink, max_size, utf8))
    thread = LoopThread("smtp-sink")
    try:
        thread.run(listener.open(sink.host, tls=ca().server_context() if tls == "implicit" else None))
        sink.port = listener.port
        try:
            yield sink
        finally:
            thread.run(listener.close())
    finally:
        thread.close()


def _session(sink: SmtpSink, max_size: int, utf8: bool) -> SMTP:
    starttls = sink.tls == "starttls"
    return SMTP(
        sink,
        hostname="localhost",
        ident="sink",
        data_size_limit=max_size,
        enable_SMTPUTF8=utf8,
        tls_context=ca().server_context() if starttls else None,
        require_starttls=starttls,
        # the library takes only STARTTLS for TLS, so over implicit TLS it would offer no AUTH
        auth_require_tls=starttls,
        authenticator=sink.authenticate,
        loop=asyncio.get_running_loop(),
    )


def _accepted(session: Session, envelope: Envelope, implicit_tls: bool) -> Accepted:
    content = envelope.original_content
    assert content is not None
    return Accepted(
        sender=envelope.mail_from or "",
        recipients=tuple(envelope.rcpt_tos),
        content=content,
        mail_options=tuple(envelope.mail_options),
        login=session.auth_data if session.authenticated else None,
        tls=implicit_tls or session.ssl is not None,
        hello=session.host_name or "",
    )


def _xoauth2(words: str) -> tuple[str, str]:
    try:
        user, bearer, *_ = b64decode(words, validate=True).decode().split("\x01")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    return user.removeprefix("user="), bearer.removeprefix("auth=Bearer ")


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port
