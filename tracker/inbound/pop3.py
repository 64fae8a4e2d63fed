"""A POP3 session (RFC 1939): the state is the set of UIDLs, and nothing is deleted before a clean QUIT."""

import poplib
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from imapclient.exceptions import LoginError

from tracker.mail.connection_errors import explain
from tracker.mail.connections import ANSWER_SECONDS, ConnectError, Server, address_of, open_socket, with_token, xoauth2
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline
from tracker.runtime.localized_text import LocalizedText

MAX_LINE = 1024 * 1024
"""Bytes of one line. RFC 5322 section 2.1.1 allows 998; what programs send is longer."""


class Pop3(poplib.POP3):
    """poplib on the checked address, with lines as long as they are sent, and letters that go to disk as they come."""

    def __init__(
        self, address: str, server: Server, context: ssl.SSLContext, timeout: float, deadline: Deadline
    ) -> None:
        self._address, self._about, self._tls, self._deadline = address, server, context, deadline
        super().__init__(server.host, server.port, timeout)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return open_socket(self._address, self._about, self._tls, timeout, self._deadline)

    def _getline(self) -> tuple[bytes, int]:
        line: bytes = self.file.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise poplib.error_proto("line too long")
        if not line:
            raise poplib.error_proto("-ERR EOF")
        return line.rstrip(b"\r\n"), len(line)

    def sign_in(self, context: AppContext) -> None:
        if self._about.security == "starttls":
            self.stls(context=self._tls)
        if self._about.grant is not None:
            with_token(context, self._about, self._sign_in_with)
        else:
            self.user(self._about.login)
            self.pass_(self._about.secret)

    def _sign_in_with(self, login: str, token: str) -> None:
        try:
            self._shortcmd(f"AUTH XOAUTH2 {b64encode(xoauth2(login, token).encode()).decode()}")  # type: ignore[attr-defined]
        except poplib.error_proto as error:
            raise LoginError(str(error)) from None

    def uidls(self) -> list[tuple[int, str]]:
        """Number in this session and UIDL of every letter, in the order of numbers. Raises ConnectError without UIDL."""
        try:
            _, lines, _ = self.uidl()
        except poplib.error_proto as error:
            if "EOF" in str(error):
                raise
            text = LocalizedText(
                "%(host)s cannot tell letters apart between two sessions (no UIDL). Use IMAP.", host=self._about.host
            )
            raise ConnectError("no_uidl", text, permanent=True) from None
        pairs = (line.decode("utf-8", "replace").split(None, 1) for line in lines)
        return [(int(pair[0]), pair[1].strip()[:255]) for pair in pairs if len(pair) == 2 and pair[0].isdigit()]

    def sizes(self) -> dict[int, int]:
        _, lines, _ = self.list()
        pairs = (line.split()[:2] for line in lines)
        return {int(pair[0]): int(pair[1]) for pair in pairs if len(pair) == 2 and all(p.isdigit() for p in pair)}

    def beginning(self, number: int, lines: int = 0) -> bytes:
        """Header section and so many lines of the body."""
        return b"\r\n".join(self.top(number, lines)[1]) + b"\r\n"

    def load(self, number: int, into: IO[bytes], most: int) -> int:
        """Writes the letter as it comes and gives its length. Raises poplib.error_proto when it is longer than ``most``."""
        self._shortcmd(f"RETR {number}")  # type: ignore[attr-defined]
        length = 0
        while True:
            line, _ = self._getline()
            if line == b".":
                return length
            line = line[1:] if line.startswith(b"..") else line
            length += into.write(line + b"\r\n")
            if length > most:
                raise poplib.error_proto(f"the letter is longer than {most} bytes")


@contextmanager
def pop3(context: AppContext, server: Server, deadline: Deadline, timeout: float = ANSWER_SECONDS) -> Iterator[Pop3]:
    """A signed-in POP3 session that ends without QUIT: who deletes says QUIT. Raises :class:`ConnectError`."""
    line: Pop3 | None = None
    try:
        try:
            line = Pop3(address_of(context, server), server, context.tls_context(), timeout, deadline)
            line.sign_in(context)
        except poplib.error_proto as error:
            raise _refused(server, error, greeted=line is not None) from None
        except (OSError, LoginError) as error:
            raise explain(server, error) from None
        yield line
    finally:
        if line is not None:
            line.close()


def _refused(server: Server, error: poplib.error_proto, *, greeted: bool) -> ConnectError:
    argument = error.args[0] if error.args else b""
    said = " ".join((argument.decode("utf-8", "replace") if isinstance(argument, bytes) else str(argument)).split())[
        :300
    ]
    where = f"{server.host}:{server.port}"
    if greeted and "EOF" not in said:
        text = LocalizedText(
            "%(where)s refused the login or password. The server said: “%(said)s”", where=where, said=said
        )
        return ConnectError("login_refused", text, permanent=True)
    return ConnectError("line", LocalizedText("The line to %(where)s failed: %(problem)s.", where=where, problem=said))
