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
_LITERAL = re.compile(rb"~?\{(\d+)\+?\}\r\n\Z")
_PLAIN_LOGIN = re.compile(r"[A-Za-z0-9!#$&'+,./:;=?@^_`|~-]+")


class _Imap(imaplib.IMAP4):
    """imaplib on the checked address, with TLS against the host's name."""

    def __init__(
        self, address: str, server: Server, context: ssl.SSLContext, timeout: float, deadline: Deadline
    ) -> None:
        self._address, self._server, self._context, self._deadline = address, server, context, deadline
        super().__init__(server.host, server.port, timeout)

    def readline(self) -> bytes:
        # imaplib knows {n} alone; RFC 3516 has ~{n}, and some servers answer with the client's {n+}.
        return _LITERAL.sub(rb"{\1}\r\n", super().readline())

    def read(self, size: int) -> bytes:
        # The memory is taken when a literal is announced, before a byte of it has come.
        if size > MAX_LITERAL_BYTES:
            raise self.abort(f"the server announced {size} bytes at once")
        return super().read(size)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return open_socket(self._address, self._server, self._context, timeout, self._deadline)


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
