"""Mail programs that people submit with, a running gateway, and a line to say anything over."""

import shutil
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import SmtpSink, unavailable
from tracker.models import ApiToken, User
from tracker.outbound.gateway.access import GatewayLimits
from tracker.outbound.gateway.server import Gateway
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import new_token, token_digest

HURRIED = GatewayLimits(seconds_after_wrong=0)


@contextmanager
def running_gateway(context: AppContext, limits: GatewayLimits = HURRIED) -> Iterator[Gateway]:
    gateway = Gateway(context, "127.0.0.1", 0, limits)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def token_of(context: AppContext, user: User) -> str:
    """A fresh app token of this person."""
    token = new_token()
    assert user.id is not None
    with context.database.session_scope() as session:
        session.add(ApiToken(user_id=user.id, name="mail program", token_digest=token_digest(token)))
    return token


def hand_on(context: AppContext) -> None:
    """What the worker would do: hands over everything that is due."""
    while send_due(context):
        pass


def content_for(sink: SmtpSink, address: str) -> bytes:
    """What arrived for one recipient, who must have got one message."""
    (content,) = [message.content for message in sink.accepted if address in message.recipients]
    return content


def program(name: str) -> str:
    """Where the program is. Missing: skips, and fails in CI."""
    path = shutil.which(name)
    if path is None:
        unavailable(f"{name} is not installed; install the package {name}")
    return path


@dataclass(frozen=True)
class MailPrograms:
    """Each method submits by one program and returns what it said; ``check`` says whether failing is an error."""

    gateway: Gateway
    login: str
    token: str
    folder: Path

    def curl(self, sender: str, to: list[str], raw: bytes, *more: str, scheme: str = "smtp", check: bool = True) -> str:
        file = self.folder / "message.eml"
        file.write_bytes(raw)
        recipients = [word for address in to for word in ("--mail-rcpt", address)]
        user = ("--user", f"{self.login}:{self.token}")
        where = f"{scheme}://127.0.0.1:{self.gateway.port}/laptop.example"
        words = ("-sSv", where, *user, "--mail-from", sender, *recipients, "--upload-file", str(file), *more)
        return self._run([program("curl"), *words], b"", check)

    def msmtp(self, sender: str, to: list[str], raw: bytes, *more: str) -> str:
        words = (
            *("--host=127.0.0.1", f"--port={self.gateway.port}", "--auth=plain", f"--user={self.login}"),
            *(f"--passwordeval=echo {self.token}", f"--from={sender}", "--tls=off", *more, "--", *to),
        )
        return self._run([program("msmtp"), *words], raw)

    def swaks(self, sender: str, to: list[str], raw: bytes, *more: str, check: bool = True) -> str:
        file = self.folder / "message.eml"
        file.write_bytes(raw)
        words = (
            *("--server", f"127.0.0.1:{self.gateway.port}", "--from", sender, "--to", ",".join(to)),
            *("--auth", "LOGIN", "--auth-user", self.login, "--auth-password", self.token),
            *("--data", f"@{file}", *more),
        )
        return self._run([program("swaks"), *words], b"", check)

    def mutt(self, to: str, subject: str, body: bytes, *more: str) -> str:
        rc = self.folder / "muttrc"
        rc.write_text(
            f'set smtp_url="smtp://{self.login.replace("@", "%40")}:{self.token}@127.0.0.1:{self.gateway.port}/"\n'
            f'set from="{self.login}" realname="Älice Seller" use_envelope_from=yes copy=no ssl_starttls=no ssl_force_tls=no\n'
            'set smtp_authenticators="plain:login" write_bcc=yes send_charset="utf-8" hostname="seller.example"\n'
        )
        return self._run([program("mutt"), "-F", str(rc), "-n", "-s", subject, *more, "--", to], body)

    def snail(self, to: str, subject: str, body: bytes, *more: str) -> str:
        mta = f"smtp://{self.login.replace('@', '%40')}:{self.token}@127.0.0.1:{self.gateway.port}"
        settings = (
            "v15-compat",
            f"mta={mta}",
            "smtp-auth=login",
            f"from=Alice <{self.login}>",
            "hostname=seller.example",
        )
        options = [word for setting in settings for word in ("-S", setting)]
        return self._run([program("s-nail"), "-:/", *options, "-s", subject, *more, to], body)

    def _run(self, command: list[str], stdin: bytes, check: bool = True) -> str:
        home = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, env=home, cwd=self.folder)
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0 or not check, said
        return said


class Line:
    """A connection to say anything over. ``says`` sends and returns the whole reply."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def says(self, *lines: str | bytes) -> str:
        """Sends the lines, each with its CRLF, and returns the reply to the last."""
        for line in lines[:-1]:
            self.send(line)
            self.reply()
        self.send(lines[-1])
        return self.reply()

    @staticmethod
    def plain(login: str, token: str) -> str:
        """AUTH PLAIN with its initial response."""
        return "AUTH PLAIN " + b64encode(f"\0{login}\0{token}".encode()).decode()

    def send(self, line: str | bytes) -> None:
        self.socket.sendall((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def reply(self) -> str:
        """The next reply, all its lines; empty when the line was ended."""
        lines = [self._file.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(self._file.readline())
        return b"".join(lines).decode().rstrip()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
