"""A real Dovecot with IMAP and POP3, plain and over TLS, whose users the test makes up."""

import imaplib
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.servers.authority import ca
from tests.servers.dovecot_configuration import OAUTH_FILE_UNTIL_2_3, configuration
from tests.servers.processes import (
    Account,
    end,
    free_port,
    listening,
    require,
    server_folder,
    unprivileged,
    wait_until,
)


@dataclass(frozen=True)
class Dovecot:
    """`host` and four ports; `ca_file` for the two that speak TLS. The Sent folder is called `sent_folder`."""

    folder: Path
    imap_port: int
    imaps_port: int
    pop3_port: int
    pop3s_port: int
    owner: Account
    host: str = "127.0.0.1"
    sent_folder: str = "Sent Items"

    @property
    def ports(self) -> tuple[int, int, int, int]:
        return self.imap_port, self.imaps_port, self.pop3_port, self.pop3s_port

    @property
    def ca_file(self) -> Path:
        return ca().file

    def add_user(self, address: str, secret: str) -> None:
        """`address` may log in with `secret` from now on. Once per address."""
        # a file for each: Dovecot looks for changes in a known file only once a second
        self._user_file(address).write_text(f"{address.lower()}:{secret}\n", encoding="utf-8")

    def append(
        self,
        address: str,
        raw: bytes,
        folder: str = "INBOX",
        *,
        flags: str = "",
        received_at: datetime | None = None,
    ) -> int:
        """Puts `raw` into the folder (made when missing) and gives its UID."""
        with self._as(address) as imap:
            imap.create(_quoted(folder))
            date = imaplib.Time2Internaldate(received_at) if received_at else None
            kind, answer = imap.append(_quoted(folder), flags, date, raw)
            assert kind == "OK", answer
            match = re.search(rb"APPENDUID \d+ (\d+)", answer[0])
            assert match, answer
            return int(match[1])

    def messages(self, address: str, folder: str = "INBOX") -> list[bytes]:
        """The raw messages of the folder in the order of their UIDs, read without marking them."""
        with self._as(address) as imap:
            kind, answer = imap.select(_quoted(folder), readonly=True)
            assert kind == "OK", answer
            _, numbers = imap.uid("SEARCH", "ALL")
            return [self._fetch(imap, uid) for uid in numbers[0].split()]

    def flags(self, address: str, folder: str = "INBOX") -> dict[int, set[str]]:
        """UID → flags, for tests of what we must not change."""
        with self._as(address) as imap:
            imap.select(_quoted(folder), readonly=True)
            _, answer = imap.uid("FETCH", "1:*", "(FLAGS)")
            lines = [line for line in answer if isinstance(line, bytes)]
            match = [re.search(rb"UID (\d+).*FLAGS \(([^)]*)\)|FLAGS \(([^)]*)\).*UID (\d+)", line) for line in lines]
            return {int(m[1] or m[4]): set((m[2] or m[3] or b"").decode().split()) for m in match if m}

    def log(self) -> str:
        return (self.folder / "dovecot.log").read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def _as(self, address: str) -> Iterator[imaplib.IMAP4]:
        imap = imaplib.IMAP4(self.host, self.imap_port)
        # an APPEND is written in three pieces; the kernel would keep the last one for 40 ms
        imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            # LOGIN speaks ASCII alone
            imap.authenticate("PLAIN", lambda _: f"\0{address}\0{self._secret(address)}".encode())
            yield imap
        finally:
            imap.logout()

    def _secret(self, address: str) -> str:
        return self._user_file(address).read_text(encoding="utf-8").strip().partition(":")[2]

    def _user_file(self, address: str) -> Path:
        return self.folder / "users" / address.lower()

    @staticmethod
    def _fetch(imap: imaplib.IMAP4, uid: bytes) -> bytes:
        _, answer = imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
        part = answer[0]
        assert isinstance(part, tuple)
        raw: bytes = part[1]
        return raw


@contextmanager
def dovecot(introspection: str = "", addresses: Sequence[str] = ("127.0.0.1",)) -> Iterator[Dovecot]:
    """Runs until the end of the block, as ourselves or, for root, with mail that belongs to nobody.

    With the address of an ``introspection`` endpoint it takes access tokens too (XOAUTH2).
    """
    program = require("dovecot")
    owner = unprivileged()
    with server_folder("dovecot", owner) as folder:
        server = Dovecot(folder, free_port(), free_port(), free_port(), free_port(), owner)
        _write_configuration(server, _version(program), introspection, addresses)
        process = subprocess.Popen([program, "-F", "-c", folder / "dovecot.conf"], stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: process.poll() is not None or all(map(listening, server.ports)))
            assert process.poll() is None, server.log()
            yield server
        finally:
            end(process, signal.SIGTERM)


def _version(program: Path) -> str:
    """The bare number of "2.3.19.1 (9b53102964)" and of "2.4.1-4 (7d8c0e5759)"."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return re.split(r"[^\d.]", said)[0]


def _write_configuration(server: Dovecot, version: str, introspection: str, addresses: Sequence[str]) -> None:
    owner = server.owner
    for name in ("home", "state", "run", "users"):
        folder = server.folder / name
        folder.mkdir()
        if name == "home" and not owner.is_me:
            shutil.chown(folder, owner.uid, owner.gid)
    text = configuration(
        version,
        folder=server.folder,
        user=owner.user,
        group=owner.group,
        uid=owner.uid,
        gid=owner.gid,
        cert=ca().cert_file,
        key=ca().key_file,
        imap=server.imap_port,
        imaps=server.imaps_port,
        pop3=server.pop3_port,
        pop3s=server.pop3s_port,
        introspection=introspection,
        listen=", ".join(addresses),
    )
    (server.folder / "oauth2.conf").write_text(
        OAUTH_FILE_UNTIL_2_3.format(introspection=introspection), encoding="utf-8"
    )
    (server.folder / "dovecot.conf").write_text(text, encoding="utf-8")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
