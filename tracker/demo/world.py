"""The sandbox world of `inkling demo`: a submission server and an IMAP server whose mail never leaves the machine.

    with World(folder) as world:
        world.add_mailbox("anna@inkling.example", "secret", "Anna")   # may submit and read
        ...                                                           # mail goes out through world.smtp_port
        world.mailbox("boris@buyer.example").letters()                # what Boris got
        world.reply("boris@buyer.example", uid, "Tell me more!")      # now Anna has a letter

Any address has a mailbox there, made when its first letter comes. See `sandbox_smtp` for the two that refuse.
"""

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, make_msgid
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

from tracker.demo.sandbox_imap import SandboxImap, StoredLetter
from tracker.demo.sandbox_smtp import SandboxSmtp
from tracker.mail.mime.fields import fields
from tracker.mail.mime.parts import read_parts
from tracker.mail.mime.text import decoded
from tracker.outbound.gateway.submitted_text import mailboxes, msg_ids, plain_text, values

T = TypeVar("T")


class LoopThread:
    """Runs one event loop until `close`; `run` may be called from any other thread."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 30) -> T:
        """The result of `work`, or its exception; TimeoutError after `seconds`."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def close(self) -> None:
        """Cancels what still runs, waits for it, closes the loop. A second call does nothing."""
        if self.loop.is_closed():
            return
        self.run(_cancel_the_rest())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _run_forever(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


async def _cancel_the_rest() -> None:
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    # transports tell of their closing one turn later
    await asyncio.sleep(0)
    await asyncio.get_running_loop().shutdown_asyncgens()


@dataclass(frozen=True)
class SandboxMailbox:
    """One person's mailbox; `name` is the display-name, maybe empty."""

    address: str
    name: str
    world: "World"

    def letters(self, folder: str = "INBOX") -> list[StoredLetter]:
        """What lies in the folder now, oldest first; KeyError when there is no such folder."""
        return self.world.letters(self.address, folder)


class World:
    """Usable from synchronous code of any thread between `start` and `stop`. `host` and both ports: plain, no TLS.

    Every letter is also written to `folder`/<address>/<UID>.eml, to be opened in a mail app.
    """

    host = "127.0.0.1"
    smtp_port: int
    imap_port: int

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[str, str] = {}
        self._imap = SandboxImap()
        self._smtp = SandboxSmtp(self._deliver, lambda login, secret: self._imap.is_right(login.lower(), secret))

    def start(self) -> None:
        self._thread = LoopThread("sandbox-world")
        self._thread.run(self._imap.open(self.host))
        self._thread.run(self._smtp.listener.open(self.host))
        self.imap_port, self.smtp_port = self._imap.port, self._smtp.listener.port

    def stop(self) -> None:
        """Cuts every line and forgets all letters but the .eml files."""
        self._thread.run(self._smtp.listener.close())
        self._thread.run(self._imap.close())
        self._thread.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def add_mailbox(self, address: str, secret: str, name: str = "") -> SandboxMailbox:
        """A person who may log in with the address and `secret`, to submit and to read."""
        self._thread.run(self._make(address, secret, name))
        return self.mailbox(address)

    @property
    def mailboxes(self) -> list[SandboxMailbox]:
        return [self.mailbox(address) for address in list(self._names)]

    def mailbox(self, address: str) -> SandboxMailbox:
        """KeyError when nobody of that address was added or ever got a letter."""
        return SandboxMailbox(address.lower(), self._names[address.lower()], self)

    def letters(self, address: str, folder: str = "INBOX") -> list[StoredLetter]:
        return self._thread.run(self._imap.letters(address.lower(), folder))

    def deliver(self, raw: bytes, to: str) -> int:
        """Puts `raw` into the inbox of `to`, without asking SMTP; gives its UID.

        Every byte is kept; only a letter without an empty line gets one at its end.
        """
        return self._thread.run(self._deliver(raw, to))

    def reply(self, address: str, uid: int, text: str) -> bytes:
        """`address` answers the letter `uid` of his inbox; gives the raw reply that was delivered.

        KeyError when there is no such letter, ValueError when it names nobody to answer.
        """
        author = self.mailbox(address)
        originals = {letter.uid: letter.raw for letter in author.letters()}
        raw, to = answer(originals[uid], author.address, author.name, text, datetime.now(UTC))
        self.deliver(raw, to)
        return raw

    async def _deliver(self, raw: bytes, to: str) -> int:
        to = self._without_tag(to)
        await self._make(to, None, "")
        uid = await self._imap.append(to.lower(), raw, datetime.now(UTC))
        self._write_file(to.lower(), uid, raw)
        return uid

    def _without_tag(self, address: str) -> str:
        """What stands behind a plus belongs to the mailbox before it, as with most services (RFC 5233)."""
        local, _, domain = address.lower().rpartition("@")
        base = f"{local.partition('+')[0]}@{domain}"
        return base if base in self._names else address

    async def _make(self, address: str, secret: str | None, name: str) -> None:
        await self._imap.add_mailbox(address.lower(), secret)
        self._names[address.lower()] = name or self._names.get(address.lower(), "")

    def _write_file(self, address: str, uid: int, raw: bytes) -> None:
        # an address may hold a slash
        folder = self.folder / quote(address, safe="@+")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{uid}.eml").write_bytes(raw)


def answer(raw: bytes, author: str, name: str, text: str, at: datetime) -> tuple[bytes, str]:
    """A reply to `raw` by `author`, as bytes, and the address it goes to: Reply-To before From (RFC 5322 §3.6.2).

    ValueError when `raw` names nobody to answer.
    """
    header_fields = list(fields(raw))
    writers = mailboxes(header_fields, "reply-to") or mailboxes(header_fields, "from")
    if not writers:
        raise ValueError("This letter has neither a From nor a Reply-To address to answer to.")
    reply = EmailMessage(policy=SMTP)
    reply["From"] = formataddr((name, author))
    reply["To"] = writers[0].address
    subject = decoded(" ".join(values(header_fields, "subject")[:1]))
    reply["Subject"] = subject if subject.lower().startswith("re:") else f"Re: {subject}".strip()
    reply["Date"] = format_datetime(at)
    reply["Message-ID"] = make_msgid(domain=author.partition("@")[2])
    answered = msg_ids(header_fields, "message-id")[:1]
    if answered:
        reply["In-Reply-To"] = answered[0]
        reply["References"] = " ".join([*msg_ids(header_fields, "references"), *answered])
    quoted = "\n".join(f"> {line}" for line in (plain_text(raw, read_parts(raw)) or "").splitlines())
    reply.set_content(f"{text}\n\n{decoded(' '.join(values(header_fields, 'from')[:1]))}:\n{quoted}")
    return reply.as_bytes(), writers[0].address
