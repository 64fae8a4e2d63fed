"""Opening lines to mail servers: address checks, TLS, sign-in, and plain words for what went wrong."""

import imaplib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from tracker.house import House
from tracker.sentences import Sentence, Told

TIMEOUT = 30.0
"""Seconds to wait for any single answer of a mail server."""


@dataclass(frozen=True)
class Server:
    """A mail server and how to sign in to it. ``secret`` never shows in a representation."""

    host: str
    port: int
    security: str
    login: str
    secret: str

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


def tls_context(house: House) -> ssl.SSLContext:
    """Certificates are always checked; authorities of one's own come from ``INKLING_CA_FILE``."""
    context = ssl.create_default_context()
    if house.settings.ca_file is not None:
        context.load_verify_locations(house.settings.ca_file)
    return context


class _Smtp(smtplib.SMTP):
    """Connects to the checked address while TLS checks the certificate against the host's name."""

    def __init__(self, house: House, server: Server) -> None:
        self._address = address_of(house, server)
        self._tls = tls_context(house)
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
        if self._server.login:
            self.login(self._server.login, self._server.secret)


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

    def __init__(self, address: str, server: Server, context: ssl.SSLContext) -> None:
        self._address, self._server, self._context = address, server, context
        super().__init__(server.host, server.port, TIMEOUT)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self._address, self._server.port), timeout)
        if self._server.security != "tls":
            return plain
        try:
            return self._context.wrap_socket(plain, server_hostname=self._server.host)
        except BaseException:
            plain.close()
            raise


class _ImapClient(IMAPClient):  # type: ignore[misc]
    """IMAPClient over :class:`_Imap`."""

    def __init__(self, address: str, server: Server, context: ssl.SSLContext) -> None:
        self._checked = address
        self._about = server
        super().__init__(server.host, server.port, ssl=server.security == "tls", ssl_context=context, timeout=TIMEOUT)

    def _create_IMAP4(self) -> imaplib.IMAP4:
        return _Imap(self._checked, self._about, self.ssl_context)


@contextmanager
def imap(house: House, server: Server) -> Iterator[IMAPClient]:
    """A signed-in IMAP session. Raises :class:`ConnectError` when it cannot be had."""
    client: IMAPClient | None = None
    try:
        try:
            client = _ImapClient(address_of(house, server), server, tls_context(house))
            if server.security == "starttls":
                client.starttls(client.ssl_context)
            client.login(server.login, server.secret)
        except (OSError, IMAPClientError, imaplib.IMAP4.error) as error:
            raise explain(server, error) from None
        yield client
    finally:
        if client is not None:
            _log_out(client)


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
            return _login_refused(where, error.smtp_error, permanent=error.smtp_code // 100 == 5)
        case LoginError():
            return _login_refused(where, str(error), permanent=True)
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
                problem=_clean(str(error)),
            )
            return ConnectError("not_supported", text)
        case smtplib.SMTPServerDisconnected():
            text = Sentence(
                "%(where)s ended the connection. Check port and security: 465 is TLS, 587 is STARTTLS.", where=where
            )
            return ConnectError("disconnected", text)
        case smtplib.SMTPResponseException():
            said = f"{error.smtp_code} {_clean(error.smtp_error)}".strip()
            return ConnectError("smtp", Sentence("%(where)s answered: %(said)s", where=where, said=said))
        case _:
            problem = _clean(str(error) or type(error).__name__)
            return ConnectError(
                "line", Sentence("The line to %(where)s failed: %(problem)s.", where=where, problem=problem)
            )


def _login_refused(where: str, words: bytes | str, *, permanent: bool) -> ConnectError:
    text = Sentence(
        "%(where)s refused the login or password. Many services want an app password here. The server said: “%(said)s”",
        where=where,
        said=_clean(words),
    )
    return ConnectError("login_refused", text, permanent=permanent)


def _clean(words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:300]
