"""The sandbox's IMAP server: pymap's in-memory mailboxes with logins of ours and a Sent folder that is marked as such."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import Config, Identity, Login, Session
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxData, MailboxSet
from pymap.concurrent import Subsystem
from pymap.config import BackendCapability
from pymap.imap import IMAPServer
from pymap.interfaces.login import IdentityInterface
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import FetchRequirement
from pymap.selected import SelectedMailbox
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

FOLDERS = {"Drafts": b"Drafts", "Sent": b"Sent", "Junk": b"Junk", "Trash": b"Trash"}  # name → special use (RFC 6154)


@dataclass(frozen=True)
class StoredLetter:
    """One message in a sandbox folder: `raw` byte for byte, `received_at` in UTC, `flags` such as "\\\\Seen"."""

    uid: int
    raw: bytes
    received_at: datetime
    flags: frozenset[str]


class SandboxImap:
    """Everything here runs on one event loop; `login` names are addresses in lower case."""

    port: int

    def __init__(self) -> None:
        self._config = _SandboxConfig(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            demo_data=False,
            demo_user="",
            demo_password="",
            host=None,
            port=0,
            tls_enabled=False,
            # secrets of a throw-away world: no hashing, no threads for it
            hash_context=Cleartext(),
            cpu_subsystem=Subsystem.for_asyncio(),
        )
        self._login = _SandboxLogin(self._config)
        self._imap = IMAPServer(self._login, self._config)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Future[None]] = set()

    async def open(self, host: str) -> None:
        """Listens on a free port, then found in `port`."""
        self._config.apply_context()
        self._server = await asyncio.start_server(self._serve, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listens no more and cuts every line."""
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(
            self._imap(reader, cast(asyncio.StreamWriter, _WholeAnswers(writer)), SocketInfo.get(writer, None))
        )
        # the loop itself holds its tasks only weakly: an idle one could be collected as garbage
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        with suppress(asyncio.CancelledError):
            await connection

    async def add_mailbox(self, login: str, secret: str | None) -> None:
        """A mailbox with its folders; nobody can log in without a `secret`. Keeps the letters of one that is there."""
        if login not in self._config.set_cache:
            folders = MailboxSet()
            for name in FOLDERS:
                await folders.add_mailbox(name)
            self._config.set_cache[login] = (folders, FilterSet())
        if secret is not None:
            self._login.users_dict[login] = UserMetadata(self._config, login, password=secret)

    def is_right(self, login: str, secret: str) -> bool:
        user = self._login.users_dict.get(login)
        return user is not None and user.compare_secret(secret)

    async def append(self, login: str, raw: bytes, received_at: datetime, folder: str = "INBOX") -> int:
        """Stores `raw` unread and gives its UID; KeyError when there is no such mailbox or folder."""
        letter = AppendMessage(_with_empty_line(raw), received_at, frozenset())
        stored = await (await self._folder(login, folder)).append(letter)
        return stored.uid

    async def letters(self, login: str, folder: str) -> list[StoredLetter]:
        """Oldest first; KeyError when there is no such mailbox or folder."""
        letters = []
        async for message in (await self._folder(login, folder)).messages():
            loaded = await message.load_content(FetchRequirement.CONTENT)
            letters.append(
                StoredLetter(
                    message.uid,
                    bytes(loaded.get_body()),
                    message.internal_date.astimezone(UTC),
                    frozenset(bytes(flag).decode("ascii", "replace") for flag in message.permanent_flags),
                )
            )
        return letters

    async def _folder(self, login: str, folder: str) -> MailboxData:
        folders, _ = self._config.set_cache[login]
        return await folders.get_mailbox(folder)


class _WholeAnswers:
    """Sends each answer in one piece. pymap writes it word by word, and IMAPClient takes half a line in IDLE for an error."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._answer = bytearray()

    def write(self, data: bytes) -> None:
        self._answer += data

    def writelines(self, parts: Iterable[bytes]) -> None:
        self._answer += b"".join(parts)

    async def drain(self) -> None:
        self._flush()
        await self._writer.drain()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write(bytes(self._answer))
        self._answer.clear()

    def __getattr__(self, name: str) -> object:
        return getattr(self._writer, name)


def _with_empty_line(raw: bytes) -> bytes:
    """A letter of header fields alone gets the line that ends them; pymap 0.36 would lose its last byte."""
    return raw if b"\r\n\r\n" in raw or b"\n\n" in raw else raw.rstrip(b"\r\n") + b"\r\n\r\n"


class _SandboxConfig(Config):
    @property
    def backend_capability(self) -> BackendCapability:
        return BackendCapability(idle=True, object_id=True, multi_append=True, custom=[b"SPECIAL-USE"])


class _SandboxSession(Session):
    async def list_mailboxes(
        self, ref_name: str, filter_: str, subscribed: bool = False, selected: SelectedMailbox | None = None
    ) -> tuple[Iterable[tuple[str, str | None, Sequence[bytes]]], SelectedMailbox | None]:
        mailboxes, selected = await super().list_mailboxes(ref_name, filter_, subscribed, selected)
        return [(name, separator, [*marks, *_special_use(name)]) for name, separator, marks in mailboxes], selected


def _special_use(name: str) -> list[bytes]:
    return [FOLDERS[name]] if name in FOLDERS else []


class _SandboxIdentity(Identity):
    @asynccontextmanager
    async def new_session(self) -> AsyncIterator[Session]:
        async with super().new_session() as plain:
            yield _SandboxSession(self.name, self.config, plain.mailbox_set, plain.filter_set)


class _SandboxLogin(Login):
    async def authorize(self, authenticated: IdentityInterface, authzid: str) -> Identity:
        plain = await super().authorize(authenticated, authzid)
        return _SandboxIdentity(plain.name, self, None, plain.roles)
