"""Signed-in sessions with IMAP servers, which are given so much memory and so much time, and no more."""

import imaplib
import logging
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tracker.mail.connection_errors import explain
from tracker.mail.connections import ANSWER_SECONDS, Server, address_of, no_xoauth2, open_socket, with_token, xoauth2
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline
from tracker.runtime.limits import MAX_LITERAL_BYTES

SESSION_SECONDS = 120.0
# At debug level it writes down every line of a talk: letters, and passwords that a server says back.
logging.getLogger("imapclient").setLevel(logging.WARNING)
LONGEST_LINE = 1_000_000
"""Bytes of one line: a SEARCH answer with 90,000 UIDs."""
LONGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of all lines of one answer, literals apart."""
MOST_LINES = 200_000
_LITERAL = re.compile(rb"~?\{(\d+)\+?\}[ \t]*\r\n\Z")
_UNTAGGED = re.compile(rb"[ \t]*\*[ \t]+(?:(\d+)[ \t]+)?([A-Za-z][A-Za-z0-9-]*)[ \t]*([^\r\n]*)\r?\n")
_TAGGED = re.compile(rb"[ \t]*([A-Za-z]+)(\d+)[ \t]+(OK|NO|BAD)\b[ \t]*([^\r\n]*)\r?\n", re.IGNORECASE)
_STATUS = frozenset({b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"})
_CODE = re.compile(rb"(\[[A-Za-z-]+)([^\]]*\])(.*)")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_PLAIN_LOGIN = re.compile(r"[A-Za-z0-9!#$&'+,./:;=?@^_`|~-]+")


class _Imap(imaplib.IMAP4):
    """imaplib on the checked address, with TLS against the host's name.

    What servers write a little otherwise than RFC 9051 is brought to its form before imaplib sees it; what has no end is cut.
    """

    def __init__(
        self, address: str, server: Server, context: ssl.SSLContext, timeout: float, deadline: Deadline
    ) -> None:
        self._address, self._server, self._context, self._deadline = address, server, context, deadline
        self.longest_literals = MAX_LITERAL_BYTES
        """Bytes of all literals of one answer."""
        self._lines = self._line_bytes = self._literal_bytes = 0
        self._open_brackets, self._after_literal = 0, False
        super().__init__(server.host, server.port, timeout)

    @property  # type: ignore[override]
    def tagpre(self) -> bytes:
        """What tags begin with: always the same, or every connection would compile its regular expression anew."""
        return b"INK"

    @tagpre.setter
    def tagpre(self, _random: bytes) -> None:
        pass

    def _get_capabilities(self) -> None:
        """What the greeting says of them need not be asked for (RFC 9051 section 7.1)."""
        (*_, said) = self.untagged_responses.pop("CAPABILITY", [b""])
        self.capabilities = tuple(said.decode("ascii", "replace").upper().split()) if isinstance(said, bytes) else ()
        if "IMAP4REV1" not in self.capabilities:
            super()._get_capabilities()  # type: ignore[misc]

    # imaplib makes text of every line and match for a log that nobody reads.
    def _get_line(self) -> bytes:
        line = self.readline()
        if not line.endswith(b"\r\n"):
            raise self.abort(f"socket error: {'unterminated line' if line else 'EOF'}: {line!r}")
        return line[:-2]

    def _match(self, pattern: re.Pattern[bytes], line: bytes) -> bool:
        self.mo = pattern.match(line)
        return self.mo is not None

    def _new_tag(self) -> bytes:
        self._lines = self._line_bytes = self._literal_bytes = 0
        return super()._new_tag()  # type: ignore[misc, no-any-return]

    def readline(self) -> bytes:
        line = self._line()
        if self._after_literal:
            while self._open_brackets and line and not line.strip():
                line = self._line()  # the answer goes on: its brackets are open
        else:
            while line and not line.strip():
                line = self._line()
            line, self._open_brackets = _in_form(line, self.tagpre), 0
        self._after_literal = False
        self._open_brackets += _brackets(line)
        # imaplib knows {n} alone; RFC 3516 has ~{n}, and some servers answer with the client's {n+}.
        return _LITERAL.sub(rb"{\1}\r\n", line)

    def _line(self) -> bytes:
        line = _octets(self.file.readline(LONGEST_LINE + 1))
        self._lines, self._line_bytes = self._lines + 1, self._line_bytes + len(line)
        if len(line) > LONGEST_LINE or self._lines > MOST_LINES or self._line_bytes > LONGEST_ANSWER:
            raise self.abort("the answer has no end")
        return line[:-1] + b"\r\n" if line.endswith(b"\n") and not line.endswith(b"\r\n") else line

    def read(self, size: int) -> bytes:
        # The memory is taken when a literal is announced, before a byte of it has come.
        self._after_literal = True
        self._literal_bytes += size
        if self._literal_bytes > self.longest_literals:
            raise self.abort(f"the server announced {size} bytes at once")
        return super().read(size)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return open_socket(self._address, self._server, self._context, timeout, self._deadline)


def _octets(value: str | bytes) -> bytes:
    """What the types of imaplib call either."""
    return value if isinstance(value, bytes) else value.encode("ascii")


def _in_form(line: bytes, tag_begins: bytes) -> bytes:
    """The beginning of an answer with its words in upper case and one blank between them."""
    if match := _UNTAGGED.fullmatch(line):
        number, kind, rest = match[1], match[2].upper(), match[3]
        if kind in _STATUS:
            rest = _CODE.sub(lambda code: code[1].upper() + code[2] + code[3].replace(b"]", b")"), rest)
        return b"* " + (number + b" " if number else b"") + kind + (b" " + rest if rest else b"") + b"\r\n"
    match = _TAGGED.fullmatch(line)
    if match and match[1].upper() == tag_begins:
        return match[1].upper() + match[2] + b" " + match[3].upper() + b" " + match[4] + b"\r\n"
    return line


def _brackets(line: bytes) -> int:
    plain = _QUOTED.sub(b"", line)
    return plain.count(b"(") - plain.count(b")")


class _ImapClient(IMAPClient):  # type: ignore[misc]
    """IMAPClient over :class:`_Imap`."""

    def __init__(
        self, address: str, server: Server, context: ssl.SSLContext, timeout: float, deadline: Deadline
    ) -> None:
        self._checked = address
        self._about = server
        self._seconds = timeout
        self._deadline = deadline
        super().__init__(server.host, server.port, ssl=server.security == "tls", ssl_context=context, timeout=timeout)
        self._imap.debug = 0

    def _create_IMAP4(self) -> imaplib.IMAP4:
        return _Imap(self._checked, self._about, self.ssl_context, self._seconds, self._deadline)

    def sign_in(self, login: str, secret: str) -> None:
        """LOGIN is for plain ASCII; AUTHENTICATE PLAIN (RFC 4616) takes anything, in UTF-8."""
        if not _PLAIN_LOGIN.fullmatch(login + secret) and self.has_capability("AUTH=PLAIN"):
            self.plain_login(login, secret)
            return
        # RFC 9051 section 4.3 has UTF-8 in quoted strings; older servers take it or refuse the login.
        self._imap._encoding = "utf-8"
        self.login(login, secret)


@contextmanager
def imap(
    context: AppContext, server: Server, deadline: Deadline | None = None, timeout: float = ANSWER_SECONDS
) -> Iterator[IMAPClient]:
    """A signed-in IMAP session. Raises :class:`ConnectError` when it cannot be had.

    ``deadline`` is the time for the whole session, :data:`SESSION_SECONDS` by default; ``timeout`` that for any single answer.
    """
    with nullcontext(deadline) if deadline is not None else Deadline(SESSION_SECONDS) as end:
        client: IMAPClient | None = None
        try:
            try:
                client = _ImapClient(address_of(context, server), server, context.tls_context(), timeout, end)
                _sign_in(context, server, client)
            except (OSError, IMAPClientError, imaplib.IMAP4.error) as error:
                raise explain(server, TimeoutError() if end.is_over else error) from None
            yield client
        finally:
            if client is not None:
                _log_out(client)


def _sign_in(context: AppContext, server: Server, client: "_ImapClient") -> None:
    if server.security == "starttls":
        client.starttls(client.ssl_context)
    if server.grant is not None:
        with_token(context, server, partial(_sign_in_with_token, client, server))
    else:
        client.sign_in(server.login, server.secret)


def _sign_in_with_token(client: IMAPClient, server: Server, login: str, token: str) -> None:
    if not client.has_capability("AUTH=XOAUTH2"):
        raise no_xoauth2(server)
    answers = iter([xoauth2(login, token)])
    client.sasl_login("XOAUTH2", lambda _challenge: next(answers, ""))


def _log_out(client: IMAPClient) -> None:
    try:
        client.logout()
    except (OSError, IMAPClientError, imaplib.IMAP4.error):
        try:
            client.shutdown()
        except (OSError, IMAPClientError, imaplib.IMAP4.error):
            return
