"""A POP3 session (RFC 1939): the state is the set of UIDLs, and nothing is deleted before a clean QUIT.

An answer in several lines is read to its end or the connection is closed: what is left of it must never be taken for the next one.
"""

import hashlib
import poplib
import socket
import ssl
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import IO

from imapclient.exceptions import LoginError

from tracker.inbound.parse.header_hash import header_hash
from tracker.mail.connection_errors import explain, explain_refused_login
from tracker.mail.connections import ANSWER_SECONDS, ConnectError, Server, address_of, open_socket, with_token, xoauth2
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline
from tracker.runtime.limits import MAX_LETTER_BEGINNING
from tracker.runtime.localized_text import LocalizedText, server_reply_text

LONGEST_LINE = 8 * 1024
"""Bytes of one line that is no letter's. RFC 1939 section 3 has 512."""
LONGEST_LISTING = 16 * 1024 * 1024
"""Bytes of a list with all its lines, and of a header section."""
MOST_LINES = 200_000
"""Letters of a mailbox."""
LONGEST_UIDL = 200
"""Characters; RFC 1939 section 7 has 70. Longer ones are known by their digest."""
_UNCOUNTED = 5
"""Bytes that some servers count as part of a letter: the line that ends it."""


class OutOfStep(poplib.error_proto):
    """An answer could not be read to its end; the connection is closed, and of no more use."""


@dataclass(frozen=True)
class Octets:
    """A letter as it was read: its length, the length at which it was sent, with stuffed dots, and its SHA-256."""

    length: int
    sent: int
    digest: str

    def holds(self, listed: int) -> bool:
        """Whether it is as long as the server said it would be, at least. Some count line ends and the last line otherwise."""
        return 0 < listed <= self.sent + _UNCOUNTED


class Pop3(poplib.POP3):
    """poplib on the checked address, with letters of any lines that go to disk as they come."""

    def __init__(
        self, address: str, server: Server, context: ssl.SSLContext, timeout: float, deadline: Deadline
    ) -> None:
        self._address, self._about, self._tls, self._deadline = address, server, context, deadline
        self._answered, self._line_end = 0, b"\n"
        self._lines = 0
        self.is_open = True
        try:
            super().__init__(server.host, server.port, timeout)
        except BaseException:
            self.hang_up()
            raise

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return open_socket(self._address, self._about, self._tls, timeout, self._deadline)

    def _putcmd(self, line: str) -> None:
        if not self.is_open:
            raise OutOfStep("the connection was ended")
        if self._says_more():
            raise self.out_of_step("it said more than it was asked for")
        self._answered = self._lines = 0
        super()._putcmd(line)  # type: ignore[misc]

    def _says_more(self) -> bool:
        """Whether something is there that nobody asked for: the rest of an answer whose end was not its end."""
        timeout = self.sock.gettimeout()
        try:
            self.sock.settimeout(0)
            return bool(self.file.peek(1))  # type: ignore[attr-defined]
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        finally:
            self.sock.settimeout(timeout)

    def _getline(self) -> tuple[bytes, int]:
        line = self._read_line(LONGEST_LINE + 1)
        self._answered, self._lines = self._answered + len(line), self._lines + 1
        if len(line) > LONGEST_LINE or self._answered > LONGEST_LISTING or self._lines > MOST_LINES:
            raise self.out_of_step("its answer has no end")
        if self._lines == 1 and line.endswith(b"\r\n"):
            self._line_end = b"\r\n"
        return line.rstrip(b"\r\n"), len(line)

    def _read_line(self, most: int) -> bytes:
        """A line or its first ``most`` bytes; whatever goes wrong ends the connection."""
        try:
            line: bytes = self.file.readline(most)
        except OSError:
            self.hang_up()
            raise
        if not line or (len(line) < most and not line.endswith(b"\n")):
            raise self.out_of_step("it hung up")
        return line

    def out_of_step(self, problem: str) -> OutOfStep:
        """Ends the connection; what to raise."""
        self.hang_up()
        return OutOfStep(f"the connection was ended: {problem}")

    def hang_up(self) -> None:
        self.is_open = False
        with suppress(OSError, AttributeError):  # there may be no connection yet
            self.close()

    def sign_in(self, context: AppContext) -> None:
        """Raises :class:`ConnectError` when the server does not let us in, with what it refused."""
        if self._about.security == "starttls":
            self._start_tls()
        try:
            if self._about.grant is not None:
                with_token(context, self._about, self._sign_in_with)
            else:
                self.user(self._about.login)
                self.pass_(self._about.secret)
        except OutOfStep:
            raise
        except poplib.error_proto as error:
            raise explain_refused_login(self._about, _words(error)) from None

    def _start_tls(self) -> None:
        """Asked for without a look at CAPA, which not every server has."""
        try:
            self._shortcmd("STLS")  # type: ignore[attr-defined]
        except OutOfStep:
            raise
        except poplib.error_proto as error:
            where = f"{self._about.host}:{self._about.port}"
            text = LocalizedText(
                "%(where)s does not offer STARTTLS. Check the security setting: 995 is TLS. The server said: “%(said)s”",
                where=where,
                said=_words(error),
            )
            raise ConnectError("not_supported", text) from None
        if self._says_more():  # it came before TLS, from anybody
            raise self.out_of_step("it said more than it was asked for")
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._about.host)
        self.file = self.sock.makefile("rb")
        self._tls_established = True

    def _sign_in_with(self, login: str, token: str) -> None:
        try:
            self._shortcmd(f"AUTH XOAUTH2 {b64encode(xoauth2(login, token).encode()).decode()}")  # type: ignore[attr-defined]
        except OutOfStep:
            raise
        except poplib.error_proto as error:
            raise LoginError(str(error)) from None

    def uidls(self) -> list[tuple[int, str]]:
        """Number in this session and UIDL of every letter, in the order of numbers. Raises ConnectError without UIDL.

        A UIDL that the server gives to several letters is told apart by their header sections.
        """
        try:
            _, lines, _ = self.uidl()
        except OutOfStep:
            raise
        except poplib.error_proto:
            if self._is_empty():
                return []
            text = LocalizedText(
                "%(host)s cannot tell letters apart between two sessions (no UIDL). Use IMAP.", host=self._about.host
            )
            raise ConnectError("no_uidl", text, permanent=True) from None
        words = (line.decode("utf-8", "replace").replace("\0", "").split(None, 1) for line in lines)
        pairs = {int(pair[0]): _short(pair[1].strip()) for pair in words if len(pair) == 2 and _is_number(pair[0])}
        shared = {uidl for uidl, count in Counter(pairs.values()).items() if count > 1}
        return [(n, f"{uidl}~{self._hash_of(n)}"[:255] if uidl in shared else uidl) for n, uidl in pairs.items()]

    def _is_empty(self) -> bool:
        """Some servers list nothing where there is nothing."""
        try:
            return self._shortcmd("STAT").split()[1:2] == [b"0"]  # type: ignore[attr-defined, no-any-return]
        except OutOfStep:
            raise
        except poplib.error_proto:
            return False

    def _hash_of(self, number: int) -> str:
        try:
            return header_hash(self.beginning(number))[:32]
        except OutOfStep:
            raise
        except poplib.error_proto:
            return ""

    def sizes(self) -> dict[int, int]:
        """The length of every letter as the server counts it; nothing of a server that does not list them."""
        try:
            _, lines, _ = self.list()
        except OutOfStep:
            raise
        except poplib.error_proto:
            return {}
        pairs = (line.decode("latin-1").split()[:2] for line in lines)
        return {int(pair[0]): int(pair[1]) for pair in pairs if len(pair) == 2 and all(map(_is_number, pair))}

    def beginning(self, number: int, lines: int = 0) -> bytes:
        """Header section and so many lines of the body; no more than :data:`MAX_LETTER_BEGINNING` bytes of them."""
        self._shortcmd(f"TOP {number} {lines}")  # type: ignore[attr-defined]
        into = BytesIO()
        self._letter(into, MAX_LETTER_BEGINNING, LONGEST_LISTING)
        return into.getvalue()

    def load(self, number: int, into: IO[bytes], most: int) -> Octets | None:
        """Writes a letter as it comes. None when it is longer than ``most``: then its beginning was written, and the connection is
        closed. Raises :class:`OutOfStep` when it does not come to its end."""
        self._shortcmd(f"RETR {number}")  # type: ignore[attr-defined]
        return self._letter(into, most, most)

    def _letter(self, into: IO[bytes], most: int, longest: int) -> Octets | None:
        """Reads up to ``longest`` bytes and writes ``most``. Lines are as long as they like, and end as they like: the line that
        ends the letter ends as all lines of the session do (with a lone LF in it a letter could end itself)."""
        digest, length, sent = hashlib.sha256(), 0, 0
        text, ends = _Unstuffed(self._line_end), False
        while not ends and sent <= longest:
            octets, ends = text.take(self._peek())
            self.file.read(text.taken)
            sent += text.taken
            if sent <= most + text.taken:
                length += into.write(octets)
                digest.update(octets)
        if ends:
            return Octets(length, sent - len(self._line_end) - 1, digest.hexdigest())
        self.hang_up()
        return None

    def _peek(self) -> bytes:
        """What has come, at least a byte."""
        try:
            octets: bytes = self.file.peek(1)  # type: ignore[attr-defined]
        except OSError:
            self.hang_up()
            raise
        if not octets:
            raise self.out_of_step("it hung up")
        return octets


class _Unstuffed:
    """The lines of an answer without the dots that were added to them (RFC 1939 section 3), in whatever pieces they come."""

    def __init__(self, line_end: bytes) -> None:
        self._line_end, self._end = line_end, line_end + b"." + line_end
        self._waiting, self._skip = line_end, len(line_end)
        self.taken = 0
        """How much of the last piece belongs to the answer."""

    def take(self, piece: bytes) -> tuple[bytes, bool]:
        """The next octets, and whether they are the last."""
        octets = self._waiting + piece
        at = octets.find(self._end)
        ends = at >= 0
        cut = at + len(self._line_end) if ends else self._whole(octets)
        self.taken = at + len(self._end) - len(self._waiting) if ends else len(piece)
        text = octets[:cut].replace(self._line_end + b"..", self._line_end + b".")
        self._waiting = octets[cut:]
        skip = min(self._skip, len(text))
        self._skip -= skip
        return text[skip:], ends

    def _whole(self, octets: bytes) -> int:
        """How much holds no beginning of what the next piece may end: up to the last line end, or all of a long line."""
        if (last := octets.rfind(self._line_end)) > 0:
            return last
        if len(octets) < len(self._end):
            return 0
        return len(octets) - octets.endswith(self._line_end[:-1] or b"\0")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _short(uidl: str) -> str:
    return uidl if len(uidl) <= LONGEST_UIDL else hashlib.sha256(uidl.encode()).hexdigest()


@contextmanager
def pop3(context: AppContext, server: Server, deadline: Deadline, timeout: float = ANSWER_SECONDS) -> Iterator[Pop3]:
    """A signed-in POP3 session that ends without QUIT: who deletes says QUIT. Raises :class:`ConnectError`."""
    line: Pop3 | None = None
    try:
        try:
            line = Pop3(address_of(context, server), server, context.tls_context(), timeout, deadline)
            line.sign_in(context)
        except poplib.error_proto as error:
            where = f"{server.host}:{server.port}"
            text = LocalizedText("The connection to %(where)s failed: %(problem)s.", where=where, problem=_words(error))
            raise ConnectError("line", text) from None
        except (OSError, LoginError) as error:
            raise explain(server, TimeoutError() if deadline.is_over else error) from None
        yield line
    finally:
        if line is not None:
            line.close()


def _words(error: poplib.error_proto) -> str:
    """What the server said."""
    return server_reply_text(error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error))
