"""What connections to mail servers have in common: the address check, TLS, and sign-in by a provider's token."""

import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from imapclient.exceptions import LoginError

from tracker.mail.oauth import OAuthError, access_token
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline
from tracker.runtime.localized_text import LocalizedError, LocalizedText
from tracker.runtime.networks import AddressRefused

ANSWER_SECONDS = 30.0
"""To wait for any single answer of a mail server."""
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


class ConnectError(LocalizedError):
    """A line could not be opened. ``code`` is stable; ``permanent`` means that retrying is useless."""

    def __init__(self, code: str, sentence: str, *, permanent: bool = False) -> None:
        super().__init__(sentence)
        self.code = code
        self.permanent = permanent


def address_of(context: AppContext, server: Server) -> str:
    """The IP address to connect to, checked: private networks are refused unless the operator allowed them.

    The check and the connection use the same address, so that a name cannot point elsewhere in between.
    """
    try:
        return context.resolved(server.host, server.port)[0]
    except AddressRefused:
        raise ConnectError(
            "private_host",
            LocalizedText(
                "%(host)s lies in a private network, where Inkling does not connect by default. "
                "The operator can allow it with INKLING_ALLOW_PRIVATE_HOSTS.",
                host=server.host,
            ),
            permanent=True,
        ) from None
    except (OSError, UnicodeError):
        raise ConnectError(
            "no_such_host", LocalizedText("The server %(host)s was not found. Check its name.", host=server.host)
        ) from None


def open_socket(
    address: str, server: Server, context: ssl.SSLContext, timeout: float | None, deadline: Deadline
) -> socket.socket:
    """A line to the checked ``address``, in TLS at once where the server wants that, and cut by the deadline."""
    plain = socket.create_connection((address, server.port), timeout)
    # else a command sent in two pieces waits 40 ms for an ACK
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        deadline.watch(plain)
        return context.wrap_socket(plain, server_hostname=server.host) if server.security == "tls" else plain
    except BaseException:
        plain.close()
        raise


def with_token(context: AppContext, server: Server, sign_in: Callable[[str, str], None]) -> None:
    """Signs in with the kept access token; when the server refuses it, once more with a fresh one. Raises :class:`ConnectError`."""
    assert server.grant is not None
    if server.security == "none" and server.host not in _THIS_MACHINE:
        text = LocalizedText("A sign-in goes only over TLS. Choose TLS or STARTTLS for %(host)s.", host=server.host)
        raise ConnectError("tls", text, permanent=True)
    try:
        login, token = access_token(context, server.grant)
        try:
            sign_in(login, token)
            return
        except (smtplib.SMTPAuthenticationError, LoginError):
            login, token = access_token(context, server.grant, refused=token)
        sign_in(login, token)
    except OAuthError as error:
        raise ConnectError(error.code, error.sentence, permanent=error.permanent) from None


def xoauth2(login: str, token: str) -> str:
    """What the mechanism says first, before base64."""
    return f"user={login}\1auth=Bearer {token}\1\1"


def no_xoauth2(server: Server) -> ConnectError:
    text = LocalizedText(
        "%(where)s does not take a sign-in by Google or Microsoft (XOAUTH2). Enter a password instead.",
        where=f"{server.host}:{server.port}",
    )
    return ConnectError("not_supported", text, permanent=True)
