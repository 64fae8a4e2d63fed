"""Opening lines to mail servers: address checks, TLS, sign-in, and plain words for what went wrong."""

import imaplib
import logging
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from tracker.house import House
from tracker.limits import MAX_LITERAL_BYTES
from tracker.oauth import OAuthError, access_token
from tracker.sentences import Sentence, Told, server_words

TIMEOUT = 30.0
"""Seconds to wait for any single answer of a mail server."""
# At debug level it writes down every line of a talk: letters, and passwords that a server says back.
logging.getLogger("imapclient").setLevel(logging.WARNING)
_LITERAL = re.compile(rb"~?\{(\d+)\+?\}\r\n\Z")
_PLAIN_LOGIN = re.compile(r"[A-Za-z0-9!#$&'+,./:;=?@^_`|~-]+")


_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Server:
    """A mail server and how to sign in to it. ``secret`` never shows in a representation."""

    host: str
    port: int
    security: str
    login: str
    secret: str
    grant: int | None = None
    """The sign-in at a provider (:class:`tracker.models.OAuthGrant`) to use instead of login and secret."""

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port}, {self.security})"


class ConnectError(Told):
    """A line could not be opened. ``code`` is stable; ``permanent`` means that retrying is useless."""

    def __init__(self, code: str, sentence: str, *, permanent: bool = False) -> None:
        super().__init__(sentence)
        self.code = code
        self.permanent = permanent


def address_of(house: House, server: Server) -> str:
    """The IP address to connect to, checked: private networks are refused unless the operator allowed them.

    The check and the connection use the same address, so that a name cannot point elsewhere in between.
    """
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError:
        raise ConnectError(
            "no_such_host", Sentence("The server %(host)s was not found. Check its name.", host=server.host)
        ) from None
    allowed = [str(entry[4][0]) for entry in found if house.may_connect(str(entry[4][0]).partition("%")[0])]
    if not allowed:
        raise ConnectError(
            "private_host",
            Sentence(
                "%(host)s lies in a private network, where Inkling does not connect by default. "
                "The operator can allow it with INKLING_ALLOW_PRIVATE_HOSTS.",
                host=server.host,
            ),
            permanent=True,
        )
    return allowed[0]


class _Smtp(smtplib.SMTP):
    """Connects to the checked address while TLS checks the certificate against the host's name."""

    def __init__(self, house: House, server: Server) -> None:
        self._address = address_of(house, server)
        self._tls = house.tls_context()
        self._house = house
        self._server = server
        super().__init__(timeout=TIMEOUT)
        # smtplib checks certificates against this name in starttls().
        self._host = server.host

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        if self._server.security != "tls":
            return plain
        try:
            return self._tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def sign_in(self) -> None:
        self.connect(self._server.host, self._server.port)
        self.ehlo()
        if self._server.security == "starttls":
            self.starttls(context=self._tls)
            self.ehlo()
        if self._server.grant is not None:
            with_token(self._house, self._server, self._sign_in_with)
        elif self._server.login:
            self.login(self._server.login, self._server.secret)

    def _sign_in_with(self, login: str, token: str) -> None:
        if "XOAUTH2" not in self.esmtp_features.get("auth", "").upper().split():
            raise no_xoauth2(self._server)
        # The empty answer to the server's reasons is what ends a failed try.
        first = xoauth2(login, token)
        self.auth("XOAUTH2", lambda challenge=None: first if challenge is None else "", initial_response_ok=True)


@contextmanager
def smtp(house: House, server: Server) -> Iterator[smtplib.SMTP]:
    """A signed-in submission session. Raises :class:`ConnectError` when it cannot be had."""
    line: _Smtp | None = None
    try:
        try:
            line = _Smtp(house, server)
            line.sign_in()
        except (OSError, smtplib.SMTPException) as error:
            raise explain(server, error) from None
        yield line
    finally:
        if line is not None:
            _hang_up(line)


def _hang_up(line: smtplib.SMTP) -> None:
    try:
        line.quit()
    except (OSError, smtplib.SMTPException):
        line.close()


class _Imap(imaplib.IMAP4):
    """imaplib on the checked address, with TLS against the host's name."""

    def __init__(self, address: str, server: Server, context: ssl.SSLContext, timeout: float, opened: "Opened") -> None:
        self._address, self._server, self._context, self._opened = address, server, context, opened
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
        line = open_socket(self._address, self._server, self._context, timeout)
        self._opened(line)
        return line


Opened = Callable[[socket.socket], object]
"""Is told of every line that is opened."""


def open_socket(address: str, server: Server, context: ssl.SSLContext, timeout: float | None) -> socket.socket:
    """A line to the checked ``address``, in TLS at once where the server wants that."""
    plain = socket.create_connection((address, server.port), timeout)
    if server.security != "tls":
        return plain
    try:
        return context.wrap_socket(plain, server_hostname=server.host)
    except BaseException:
        plain.close()
        raise


class _ImapClient(IMAPClient):  # type: ignore[misc]
    """IMAPClient over :class:`_Imap`."""

    def __init__(self, address: str, server: Server, context: ssl.SSLContext, timeout: float, opened: Opened) -> None:
        self._checked = address
        self._about = server
        self._seconds = timeout
        self._opened = opened
        super().__init__(server.host, server.port, ssl=server.security == "tls", ssl_context=context, timeout=timeout)

    def _create_IMAP4(self) -> imaplib.IMAP4:
        return _Imap(self._checked, self._about, self.ssl_context, self._seconds, self._opened)

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
    house: House, server: Server, timeout: float = TIMEOUT, opened: Opened = lambda line: None
) -> Iterator[IMAPClient]:
    """A signed-in IMAP session. Raises :class:`ConnectError` when it cannot be had."""
    client: IMAPClient | None = None
    try:
        try:
            client = _ImapClient(address_of(house, server), server, house.tls_context(), timeout, opened)
            if server.security == "starttls":
                client.starttls(client.ssl_context)
            if server.grant is not None:
                with_token(house, server, partial(_imap_sign_in, client, server))
            else:
                client.sign_in(server.login, server.secret)
        except (OSError, IMAPClientError, imaplib.IMAP4.error) as error:
            raise explain(server, error) from None
        yield client
    finally:
        if client is not None:
            _log_out(client)


def _imap_sign_in(client: IMAPClient, server: Server, login: str, token: str) -> None:
    if not client.has_capability("AUTH=XOAUTH2"):
        raise no_xoauth2(server)
    answers = iter([xoauth2(login, token)])
    client.sasl_login("XOAUTH2", lambda _challenge: next(answers, ""))


def with_token(house: House, server: Server, sign_in: Callable[[str, str], None]) -> None:
    """Signs in with the kept access token; when the server refuses it, once more with a fresh one. Raises :class:`ConnectError`."""
    assert server.grant is not None
    if server.security == "none" and server.host not in _THIS_MACHINE:
        text = Sentence("A sign-in goes only over TLS. Choose TLS or STARTTLS for %(host)s.", host=server.host)
        raise ConnectError("tls", text, permanent=True)
    try:
        login, token = access_token(house, server.grant)
        try:
            sign_in(login, token)
            return
        except (smtplib.SMTPAuthenticationError, LoginError):
            login, token = access_token(house, server.grant, refused=token)
        sign_in(login, token)
    except OAuthError as error:
        raise ConnectError(error.code, error.sentence, permanent=error.permanent) from None


def xoauth2(login: str, token: str) -> str:
    """What the mechanism says first, before base64."""
    return f"user={login}\1auth=Bearer {token}\1\1"


def no_xoauth2(server: Server) -> ConnectError:
    text = Sentence(
        "%(where)s does not take a sign-in by Google or Microsoft (XOAUTH2). Enter a password instead.",
        where=f"{server.host}:{server.port}",
    )
    return ConnectError("not_supported", text, permanent=True)


def _log_out(client: IMAPClient) -> None:
    try:
        client.logout()
    except (OSError, IMAPClientError, imaplib.IMAP4.error):
        try:
            client.shutdown()
        except (OSError, IMAPClientError, imaplib.IMAP4.error):
            return


def explain(server: Server, error: Exception) -> ConnectError:
    """Any failure of a line as a sentence that says what to do. Never holds the secret."""
    where = f"{server.host}:{server.port}"
    match error:
        case ConnectError():
            return error
        case smtplib.SMTPAuthenticationError():
            return _login_refused(server, error.smtp_error, permanent=error.smtp_code // 100 == 5)
        case LoginError():
            return _login_refused(server, str(error), permanent=True)
        case ssl.SSLCertVerificationError():
            text = Sentence(
                "The certificate of %(where)s is not valid: %(problem)s. Nothing was sent.",
                where=where,
                problem=error.verify_message,
            )
            return ConnectError("certificate", text, permanent=True)
        case ssl.SSLError():
            text = Sentence(
                "%(where)s does not speak TLS in this way. Check port and security: 465 and 993 are TLS, 587 and 143 STARTTLS.",
                where=where,
            )
            return ConnectError("tls", text)
        case TimeoutError():
            text = Sentence(
                "%(where)s did not answer within %(seconds)s seconds. Check host and port.",
                where=where,
                seconds=int(TIMEOUT),
            )
            return ConnectError("timeout", text)
        case ConnectionRefusedError():
            return ConnectError("refused", Sentence("Nothing listens on %(where)s. Check the port.", where=where))
        case smtplib.SMTPNotSupportedError():
            text = Sentence(
                "%(where)s does not offer what was asked for: %(problem)s. Check the security setting.",
                where=where,
                problem=server_words(str(error)),
            )
            return ConnectError("not_supported", text)
        case smtplib.SMTPServerDisconnected():
            text = Sentence(
                "%(where)s ended the connection. Check port and security: 465 is TLS, 587 is STARTTLS.", where=where
            )
            return ConnectError("disconnected", text)
        case smtplib.SMTPResponseException():
            said = f"{error.smtp_code} {server_words(error.smtp_error)}".strip()
            return ConnectError("smtp", Sentence("%(where)s answered: %(said)s", where=where, said=said))
        case _:
            problem = server_words(str(error) or type(error).__name__)
            return ConnectError(
                "line", Sentence("The line to %(where)s failed: %(problem)s.", where=where, problem=problem)
            )


def _login_refused(server: Server, words: bytes | str, *, permanent: bool) -> ConnectError:
    where, said = f"{server.host}:{server.port}", server_words(words)
    if server.grant is not None:
        text = Sentence(
            "%(where)s does not take the sign-in. Is this protocol switched on for the mailbox? The server said: “%(said)s”",
            where=where,
            said=said,
        )
        return ConnectError("login_refused", text, permanent=permanent)
    if _wants_oauth(server.host, said):
        text = Sentence(
            "%(where)s takes no passwords (any more). Sign in with Microsoft instead. The server said: “%(said)s”",
            where=where,
            said=said,
        )
        return ConnectError("needs_oauth", text, permanent=True)
    text = Sentence(
        "%(where)s refused the login or password. Many services want an app password here. The server said: “%(said)s”",
        where=where,
        said=said,
    )
    return ConnectError("login_refused", text, permanent=permanent)


def _wants_oauth(host: str, said: str) -> bool:
    """Microsoft 365 refuses every password on IMAP and POP, in words that sound like a wrong one."""
    if re.search(r"basic authentication is disabled|5\.7\.139|5\.7\.30\b", said, re.IGNORECASE):
        return True
    return host.lower() == "outlook.office365.com"
