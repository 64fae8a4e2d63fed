"""One line of a mail program: what is said and answered on it (RFC 5321, 6409, 4954, 3207, 2034)."""

import asyncio
import binascii
import logging
import re
import ssl
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from ipaddress import ip_address
from typing import TypeVar, cast
from urllib.parse import urlsplit

from aiosmtpd.smtp import MISSING, SMTP, Envelope, Session
from sqlalchemy.exc import SQLAlchemyError

from pixel.connections import ConnectionGuard
from tracker.mail.addresses import AddressError, lookup_or_none, normalise
from tracker.outbound.gateway.access import GatewayLimits, Refused, Submitter, check_sender, sign_in, submit
from tracker.outbound.gateway.content import read_content
from tracker.runtime.context import AppContext
from tracker.runtime.limits import MAX_RECIPIENTS

T = TypeVar("T")

log = logging.getLogger(__name__)

TROUBLE = "451 4.3.0 Temporary trouble here; nothing was taken, try again later"
WRONG = "535 5.7.8 Authentication failed: give your address, and as the password a token from the settings"
CUT = "421 4.7.0 Too many wrong tries in a row"
ENCRYPT_FIRST = "538 5.7.11 Encryption is needed before signing in"
CLOSING = "421 4.3.2 The gateway is closing; try again in a moment"
GREETING_WORDS = "Inkling"
_LINE_LIMIT = 65_536
_COMMAND_LIMIT = 12_288  # RFC 4954 section 4.
_AUTH_PARAMETER = re.compile(r"\s+AUTH=\S*", re.IGNORECASE)
_ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_USUAL_PATH = re.compile(rf"<({_ATOMS}@{_ATOMS})>((?: [A-Za-z0-9=]+)*)")
_HAS_STATUS = re.compile(r"\d{3}[ -]\d\.\d{1,3}\.\d{1,3}(?: |$)")
_STATUS = {
    "221": "2.0.0",
    "250": "2.0.0",
    "252": "2.1.5",
    "421": "4.3.0",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "530": "5.7.0",
    "552": "5.3.4",
    "553": "5.1.3",
    "554": "5.7.0",
    "555": "5.5.4",
}
"""Enhanced status codes (RFC 3463) of the replies that the library gives without one."""


class ClientSlot:
    """The place of one client among all, from when it is taken until its connection ends. Whoever has not signed in may lose it."""

    def __init__(self, guard: ConnectionGuard, peer: str, end: Callable[[], object]) -> None:
        """``end`` ends the connection at once, whatever has become of it until then."""
        self.source, self.end = guard.source_of(peer), end
        self._guard = guard
        self.is_held = guard.enter(self)

    def keep(self) -> None:
        if self.is_held:
            self._guard.works(self)

    def leave(self) -> None:
        if self.is_held:
            self.is_held = False
            self._guard.leave(self)

    def drop(self) -> None:
        self.leave()
        self.end()


class GatewaySession(SMTP):
    """The protocol of one connection. Its replies all carry enhanced status codes; the database is asked in ``pool``."""

    line_length_limit = _LINE_LIMIT  # of the reader's buffer; lines of content may be of any length

    def __init__(
        self,
        context: AppContext,
        limits: GatewayLimits,
        pool: Executor,
        tls: ssl.SSLContext | None,
        place: ClientSlot,
        *,
        encrypted: bool,
    ) -> None:
        super().__init__(
            self,
            hostname=urlsplit(context.settings.base_url).hostname or "localhost",
            ident=GREETING_WORDS,
            data_size_limit=limits.message_bytes,
            enable_SMTPUTF8=True,
            auth_required=True,
            tls_context=None if encrypted else tls,
            loop=asyncio.get_running_loop(),
        )
        self.command_size_limits = defaultdict(lambda: _COMMAND_LIMIT)  # the library shares one between all connections
        self.busy = False
        self.ended = asyncio.Event()
        self._submitter: Submitter | None = None
        self._place = place
        self._context, self._limits, self._pool, self._encrypted = context, limits, pool, encrypted
        self._plain_replies = False
        self._wrong = 0
        self._closing = False

    def __dir__(self) -> Sequence[str]:
        """For each connection the library looks for its commands and hooks among all names, three times over."""
        return _COMMANDS_AND_HOOKS

    # what the library asks of us

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        ours = ["250-PIPELINING", "250-ENHANCEDSTATUSCODES", *(["250-AUTH PLAIN LOGIN"] if self._may_sign_in() else [])]
        known = [line for line in responses[:-1] if not line.startswith("250-AUTH")]
        return [*known, *ours, responses[-1]]

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._ask(check_sender, self._submitter, address)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender taken"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        try:
            normal = normalise(address)
        except AddressError:
            return "553 5.1.3 This is not an address that mail can be sent to"
        if lookup_or_none(normal) in {lookup_or_none(known) for known in envelope.rcpt_tos}:
            return "250 2.1.5 Recipient taken already"
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return f"452 4.5.3 Too many recipients; {MAX_RECIPIENTS} are allowed for one message"
        envelope.rcpt_tos.append(normal)
        return "250 2.1.5 Recipient taken"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        assert envelope.mail_from is not None
        assert envelope.original_content is not None
        content, envelope.original_content = envelope.original_content, None
        reading = self._ask(submit, self._submitter, envelope.mail_from, envelope.rcpt_tos, content)
        del content  # a large message does not stay here while it is written
        committed: Future[str] = await reading
        public_id: str = await asyncio.wrap_future(committed)
        return f"250 2.0.0 Queued as {public_id}"

    async def handle_exception(self, error: Exception) -> str:
        """Nothing of the content, of an address or of a secret may reach log or client, so only the kind of error is told."""
        if isinstance(error, Refused):
            return error.reply
        level = logging.WARNING if isinstance(error, SQLAlchemyError) else logging.ERROR
        log.log(level, "gateway: %s", type(error).__name__)
        return TROUBLE

    async def _ask(self, function: Callable[..., T], *words: object) -> T:
        return await self.loop.run_in_executor(self._pool, partial(function, self._context, *words))

    # commands that differ from the library's

    async def smtp_HELO(self, hostname: str) -> None:
        self._plain_replies = True  # RFC 2034 section 3: no codes in the answers to HELO and EHLO
        await super().smtp_HELO(hostname)
        self._plain_replies = False

    async def smtp_EHLO(self, hostname: str) -> None:
        self._plain_replies = True
        await super().smtp_EHLO(hostname)
        self._plain_replies = False

    async def smtp_STARTTLS(self, arg: str) -> None:
        if self._is_encrypted():
            await self.push("503 5.5.1 TLS is on already")
        else:
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str | None) -> None:
        assert self.session is not None
        assert self.envelope is not None
        mechanism, _, initial = (arg or "").strip().partition(" ")
        ask = {"PLAIN": self._ask_plain, "LOGIN": self._ask_login}.get(mechanism.upper())
        if await self.check_helo_needed("EHLO"):
            return
        if not self._may_sign_in():
            await self.push(ENCRYPT_FIRST)
        elif self.session.authenticated or self.envelope.mail_from:
            await self.push("503 5.5.1 Not now: signed in already, or in the middle of a message")
        elif ask is None:
            await self.push("504 5.5.4 Only PLAIN and LOGIN are known here")
        elif (said := await ask(initial.strip())) is not None:
            await self._sign_in(self.session, *said)

    async def smtp_MAIL(self, arg: str | None) -> None:
        # RFC 4954 section 5: the parameter must be taken from everybody, and believed from nobody
        await super().smtp_MAIL(_AUTH_PARAMETER.sub("", arg) if arg else arg)

    async def smtp_DATA(self, arg: str | None) -> None:
        assert self.envelope is not None
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no words")
        elif not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 No recipient was taken yet")
        else:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._take_content(self.envelope)

    async def _take_content(self, envelope: Envelope) -> None:
        content = await read_content(self._reader, self._limits.message_bytes, self._reset_timeout)
        self.busy = True
        try:
            if content is None:
                await self.push(f"552 5.3.4 The message is larger than {self._limits.message_bytes} bytes")
            else:
                envelope.original_content = content
                await self.push(await self._call_handler_hook("DATA"))
        finally:
            self.busy = False
            self.envelope = self._create_envelope()
        if self._closing:
            await self.say_goodbye()

    # signing in

    def _is_encrypted(self) -> bool:
        return self._encrypted or self._tls_protocol is not None

    def _may_sign_in(self) -> bool:
        """Tokens travel encrypted, or do not leave the machine."""
        return self._is_encrypted() or ip_address(self._source().partition("%")[0]).is_loopback

    def _source(self) -> str:
        peer = self.session.peer if self.session is not None else None
        return str(peer[0]) if peer else "0.0.0.0"  # noqa: S104 (nobody's address)

    async def _ask_plain(self, initial: str) -> tuple[bytes, bytes] | None:
        """RFC 4616: on whose behalf, NUL, login, NUL, password. Nobody may act on somebody else's behalf."""
        said = await self._answer(initial, "")
        if said is None:
            return None
        behalf, _, rest = said.partition(b"\0")
        login, nul, secret = rest.partition(b"\0")
        if not nul or (behalf and behalf != login):
            await self.push("501 5.5.2 This is not what PLAIN looks like (RFC 4616)")
            return None
        return login, secret

    async def _ask_login(self, initial: str) -> tuple[bytes, bytes] | None:
        login = await self._answer(initial, "Username:")
        secret = None if login is None else await self._answer("", "Password:")
        return None if login is None or secret is None else (login, secret)

    async def _answer(self, initial: str, challenge: str) -> bytes | None:
        """What the client says of itself, given with the command or asked for; None when it was no base64 and was told so."""
        if not initial:
            said = await self.challenge_auth(challenge)
            return None if said is MISSING else bytes(said)
        try:
            return b"" if initial == "=" else b64decode(initial.encode(), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            await self.push("501 5.5.2 This is not base64")
            return None

    async def _sign_in(self, session: Session, login: bytes, secret: bytes) -> None:
        words = (login.decode(errors="replace"), secret.decode(errors="replace"), self._source(), self._limits)
        try:
            submitter = await self._ask(sign_in, *words)
        except Refused as refused:
            await self._slow_down(refused.reply)
        else:
            if submitter is None:
                await self._slow_down(WRONG)
            else:
                session.authenticated, self._submitter = True, submitter
                self._place.keep()
                await self.push("235 2.7.0 Signed in")

    async def _slow_down(self, reply: str) -> None:
        self._wrong += 1
        await asyncio.sleep(self._limits.seconds_after_wrong)
        await self.push(reply)
        if self._wrong >= self._limits.wrong_in_a_row:
            await self.push(CUT)
            self._close()

    # the line

    async def push(self, status: str | bytes) -> None:
        text = status if isinstance(status, str) else status.decode(errors="replace")
        await super().push(text if self._plain_replies else _with_status(text))

    async def say_goodbye(self) -> None:
        """Ends the line; one that is just committing a message ends once its answer is given."""
        self._closing = True
        if not self.busy and self.transport is not None:
            await self.push(CLOSING)
            self._close()

    def abort(self) -> None:
        """Ends the line at once, whatever is on its way."""
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._place.leave()
        self.ended.set()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        if usual := _USUAL_PATH.fullmatch(arg):  # the library's parser takes a third of the loop's time
            return usual[1], usual[2].lstrip()
        try:
            return super()._getaddr(arg)
        except Exception:  # the library's parser stumbles over some of what is no address
            return None, None


_COMMANDS_AND_HOOKS = [name for name in dir(GatewaySession) if name.startswith(("auth_", "handle_", "smtp_"))]


def _with_status(reply: str) -> str:
    """The reply with an enhanced status code after its number, unless it has one. The greeting and 3yz have none (RFC 2034)."""
    code = "2.0.0" if reply.startswith("220 Ready") else _STATUS.get(reply[:3])
    return reply if code is None or _HAS_STATUS.match(reply) else f"{reply[:4]}{code} {reply[4:]}"
