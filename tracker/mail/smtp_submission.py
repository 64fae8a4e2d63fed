"""Handing mail to an SMTP server: the one place where it is done, for queued mail, notices, digests and tests alike.

A server that drips or dawdles ends by a deadline: one for opening the connection, one for each message.
"""

import math
import re
import smtplib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import IO, Any

from tracker.mail.connection_errors import explain
from tracker.mail.connections import (
    ANSWER_SECONDS,
    ConnectError,
    Server,
    address_of,
    no_xoauth2,
    open_socket,
    with_token,
    xoauth2,
)
from tracker.mail.mime.transport import Unfit, in_ascii_headers, in_seven_bits, needs_utf8
from tracker.models import DeliveryStatus
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline, Shutdown
from tracker.runtime.localized_text import LocalizedText, server_reply_text

OPENING_SECONDS = 60.0
"""For connecting and signing in together; for the envelope of a message, too."""
CONTENT_SECONDS = 600.0
"""For the content and the answer to it: RFC 5321 section 4.5.3.2.6 has ten minutes. Who gives up earlier sends it twice."""
SLOWEST_BYTES = 50_000
"""Bytes a second of the slowest line on which a large message still goes out."""
CLOSING_SECONDS = 5.0
_ONE_PIECE = 64 * 1024
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
LONGEST_REPLY = 64 * 1024
"""Bytes of a reply with all its lines. RFC 5321 section 4.5.3.1.5 has 512 for each."""


@dataclass(frozen=True)
class Outcome:
    """What became of one hand-over: ``accepted``, ``rejected`` (for good) or ``deferred`` (later again).

    ``reply`` is what the server said, or a sentence about what went wrong; empty when it was accepted.
    """

    status: DeliveryStatus
    reply: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.status == DeliveryStatus.ACCEPTED

    @property
    def is_deferred(self) -> bool:
        return self.status == DeliveryStatus.DEFERRED


def submit(
    context: AppContext,
    server: Server,
    sender: str,
    recipient: str,
    raw: bytes,
    shutdown: Shutdown | None = None,
    seconds: float = math.inf,
) -> Outcome:
    """Hands one message over on a connection of its own, which a ``shutdown`` cuts, within so many ``seconds`` in all.

    Never raises for what the server does or fails to do: without a connection, or when it breaks, the outcome is ``deferred``, with
    a sentence for people. It takes some minutes at most.
    """
    try:
        with (
            Deadline(OPENING_SECONDS, seconds) as deadline,
            (shutdown or Shutdown()).watching(deadline),
            smtp(context, server, deadline) as connection,
        ):
            return connection.hand_over(sender, recipient, raw)
    except ConnectError as error:
        return deferred(error)


def deferred(error: ConnectError) -> Outcome:
    """Without a connection the message waits."""
    return Outcome(DeliveryStatus.DEFERRED, error.sentence)


@contextmanager
def smtp(context: AppContext, server: Server, deadline: Deadline | None = None) -> Iterator["SmtpConnection"]:
    """A signed-in submission session. Raises :class:`ConnectError` when it cannot be had.

    ``deadline`` is the time for the talk, :data:`OPENING_SECONDS` by default; each hand-over starts it anew.
    """
    with nullcontext(deadline) if deadline is not None else Deadline(OPENING_SECONDS) as end:
        connection: SmtpConnection | None = None
        try:
            try:
                connection = SmtpConnection(context, server, end)
                connection.sign_in()
            except (OSError, smtplib.SMTPException) as error:
                raise explain(server, TimeoutError() if end.is_over else error, OPENING_SECONDS) from None
            yield connection
        finally:
            if connection is not None:
                connection.hang_up()


class _Replies:
    """What a server says, line by line: smtplib takes half a line before the end for a whole one, and replies without end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.close = file.close
        self.length = 0

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self.length += len(line)
        if self.length > LONGEST_REPLY:
            raise OSError(f"the reply is longer than {LONGEST_REPLY} bytes")
        return line if line.endswith(b"\n") or len(line) >= limit else b""


class _Utf8(str):
    """RFC 4616 section 2; smtplib takes every login and password for ASCII."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("utf-8", errors)


class SmtpConnection(smtplib.SMTP):
    """Connects to the checked address while TLS checks the certificate against the host's name."""

    def __init__(self, context: AppContext, server: Server, deadline: Deadline) -> None:
        self._address = address_of(context, server)
        self._tls = context.tls_context()
        self._context = context
        self._server = server
        self._deadline = deadline
        self._recipient = ""
        super().__init__(timeout=ANSWER_SECONDS)
        self.before_content: Callable[[], None] = lambda: None
        """Called when a server has taken an envelope; the content leaves after it."""
        # smtplib checks certificates against this name in starttls().
        self._host = server.host

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return open_socket(self._address, self._server, self._tls, timeout, self._deadline)

    def sign_in(self) -> None:
        self.connect(self._server.host, self._server.port)
        self.ehlo()
        if self._server.security == "starttls":
            self.starttls(context=self._tls)
            self.ehlo()
        if self._server.grant is not None:
            with_token(self._context, self._server, self._sign_in_with)
        elif self._server.login:
            self.login(_Utf8(self._server.login), _Utf8(self._server.secret))

    def auth(self, mechanism: str, authobject: Any, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        def answer(challenge: bytes | None = None) -> Any:
            text = authobject(challenge)
            return None if text is None else _Utf8(text)

        return super().auth(mechanism, answer, initial_response_ok=initial_response_ok)

    def _sign_in_with(self, login: str, token: str) -> None:
        if "XOAUTH2" not in self.esmtp_features.get("auth", "").upper().split():
            raise no_xoauth2(self._server)
        # The empty answer to the server's reasons is what ends a failed try.
        first = xoauth2(login, token)
        self.auth("XOAUTH2", lambda challenge=None: first if challenge is None else "", initial_response_ok=True)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock.makefile("rb"))
        if self.file is not None:
            self.file.length = 0
        return super().getreply()

    @property
    def is_open(self) -> bool:
        """False once the server has hung up, be it politely."""
        return self.sock is not None

    def hand_over(self, sender: str, recipient: str, raw: bytes) -> Outcome:
        """Raises :class:`ConnectError` when the connection breaks: nobody knows then what became of the message."""
        try:
            raw, options = self._fitting(sender + recipient, raw)
        except Unfit as unfit:
            return Outcome(DeliveryStatus.REJECTED, unfit.sentence)
        self._deadline.restart(OPENING_SECONDS)
        self._recipient = recipient
        try:
            self.sendmail(sender, [recipient], raw, mail_options=options)
        except smtplib.SMTPRecipientsRefused as error:
            return _refusal(*next(iter(error.recipients.values())))
        except smtplib.SMTPResponseException as error:
            return _refusal(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            raise self._broken(error) from None
        return Outcome(DeliveryStatus.ACCEPTED)

    def _fitting(self, envelope: str, raw: bytes) -> tuple[bytes, list[str]]:
        """The message as this server can carry it, and what to say with MAIL FROM. Raises :class:`Unfit`."""
        options, is_utf8 = [], not envelope.isascii()
        if not is_utf8 and needs_utf8(raw):
            try:
                raw = in_ascii_headers(raw)
            except Unfit:
                if not self.has_extn("smtputf8"):
                    raise
                is_utf8 = True
        if is_utf8:
            if not self.has_extn("smtputf8"):
                raise Unfit(LocalizedText("The server does not take addresses with letters beyond ASCII (SMTPUTF8)."))
            options.append("SMTPUTF8")
        if not raw.isascii():
            if self.has_extn("8bitmime"):
                options.append("BODY=8BITMIME")  # RFC 6152: otherwise a server may take it for seven bits
            else:
                raw = in_seven_bits(raw)
        return raw, options

    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Together with RCPT where the server takes that (RFC 2920): a journey less for every message."""
        if not self.has_extn("pipelining"):
            return super().mail(sender, options)
        self.command_encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
        lines = (
            f"mail FROM:{smtplib.quoteaddr(sender)} {' '.join(options)}".rstrip(),
            f"rcpt TO:{smtplib.quoteaddr(self._recipient)}",
        )
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("an address holds a line break")
        self.send("".join(f"{line}\r\n" for line in lines))
        code, said = self.getreply()
        if code != 250:
            with suppress(smtplib.SMTPServerDisconnected):
                self.getreply()  # to RCPT
        return code, said

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        return self.getreply() if self.has_extn("pipelining") else super().rcpt(recip, options)

    def data(self, msg: Any) -> tuple[int, bytes]:
        """As smtplib does it, but with time for a large message, since a socket's timeout is for all that is sent at once, and
        without its four copies of it."""
        self.before_content()
        seconds = CONTENT_SECONDS + len(msg) / SLOWEST_BYTES
        self._deadline.restart(seconds)
        assert self.sock is not None
        self.sock.settimeout(seconds)
        self.putcmd("data")
        code, said = self.getreply()
        if code != 354:
            raise smtplib.SMTPDataError(code, said)
        for piece in _in_transit(msg):
            self.send(piece)
        answer = self.getreply()
        if self.sock is not None:
            self.sock.settimeout(ANSWER_SECONDS)
        return answer

    def _broken(self, error: Exception) -> ConnectError:
        if self._deadline.is_over or isinstance(error, TimeoutError):
            where = f"{self._server.host}:{self._server.port}"
            return ConnectError("timeout", LocalizedText("%(where)s took too long over a message.", where=where))
        text = LocalizedText(
            "The connection broke while the message was handed over: %(problem)s", problem=server_reply_text(str(error))
        )
        return ConnectError("line", text)

    def hang_up(self) -> None:
        self._deadline.restart(CLOSING_SECONDS)
        try:
            self.quit()
        except (OSError, smtplib.SMTPException):
            self.close()


def _in_transit(message: bytes) -> Iterator[bytes | memoryview]:
    """The content with its dots doubled and its end (RFC 5321 section 4.5.2), small ones in one piece."""
    whole, position = memoryview(message), 0
    if len(message) <= _ONE_PIECE:
        text = _LEADING_DOT.sub(b"..", message)
        yield text + (b".\r\n" if text.endswith(b"\r\n") else b"\r\n.\r\n")
        return
    for dot in _LEADING_DOT.finditer(message):
        yield whole[position : dot.end()]
        position = dot.start()
    yield whole[position:]
    yield b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n"


def _refusal(code: int, said: bytes | str) -> Outcome:
    """4yz is temporary, 5yz permanent (RFC 5321 section 4.2.1). smtplib hangs up after 421."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    status = DeliveryStatus.REJECTED if code // 100 == 5 else DeliveryStatus.DEFERRED
    return Outcome(status, f"{code} {' '.join(text.split())}"[:500])
