"""The line of one run to an IMAP server: opened, opened again when it drops, and asked so that one bad letter costs only itself."""

import imaplib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tracker.inbound.fetch.imap import introduce
from tracker.inbound.fetch.refusals import ServerRefusal, read_refusal
from tracker.mail.connection_errors import explain
from tracker.mail.connections import Server
from tracker.mail.imap_commands import Opened, open_folder
from tracker.mail.imap_session import imap
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline

log = logging.getLogger(__name__)

LOGIN_SECONDS = 30.0
ANSWER_SECONDS = 120.0
"""To wait for a command, and for any next byte of its answer."""
SLOWEST_BYTES = 20_000
"""Bytes a second of the slowest server that is waited for."""
MOST_DROPS = 5
"""Lines that may drop one after another before the run is given up: Yandex drops them at random."""
DROPPED = (imaplib.IMAP4.abort, OSError)
REFUSED = (IMAPClientError, imaplib.IMAP4.error, ValueError, LookupError, TypeError)
"""A refusal, or an answer that cannot be read; the line itself goes on."""
Answer = TypeVar("Answer")
Item = TypeVar("Item")


def command_seconds(size: int = 0) -> float:
    """How long one command may take whose answer has so many bytes, however busily the server says something now and then."""
    return ANSWER_SECONDS + size / SLOWEST_BYTES


class MailboxRefused(Exception):
    """The server wants something of the whole mailbox, not of one letter."""

    def __init__(self, refusal: ServerRefusal) -> None:
        super().__init__(refusal.state)
        self.refusal = refusal


@dataclass
class ImapConnection:
    """A signed-in session that survives drops. ``client`` is the present one; ``folder`` is opened again with it."""

    context: AppContext
    server: Server
    deadline: Deadline
    drops: int = 0
    given_up: Exception | None = None
    """Why :meth:`each` stopped before the last item, if it did: to be raised once the others are noted."""
    folder: str | None = None
    _session: AbstractContextManager[IMAPClient] | None = None
    _client: IMAPClient | None = None
    capabilities: list[str] = field(default_factory=list)

    @property
    def client(self) -> IMAPClient:
        if self._client is None:
            self._session = imap(self.context, self.server, self.deadline, LOGIN_SECONDS)
            self._client = self._session.__enter__()
            self._client.socket().settimeout(ANSWER_SECONDS)
            introduce(self._client)
            self.capabilities = sorted(c.decode("ascii", "replace") for c in self._client.capabilities())
        return self._client

    def open(self, raw_name: str) -> Opened:
        """Opens a folder read-only. Raises :class:`ConnectError` or what the server's refusal is."""
        self.folder = None
        opened = self.asked(lambda client: open_folder(client, raw_name.encode("latin-1")))
        self.folder = raw_name
        return opened

    def asked(self, question: Callable[[IMAPClient], Answer]) -> Answer:
        """The answer; asked once more on a new line when this one drops, unless it took too long."""
        while True:
            try:
                client = self.client
                with self.deadline.step(command_seconds()):
                    return question(client)
            except DROPPED as error:
                if self.deadline.step_is_over or isinstance(error, TimeoutError):
                    self.close()
                    raise explain(self.server, TimeoutError(), ANSWER_SECONDS) from None
                self.dropped(error)
            except REFUSED as error:
                self.refused(error)
                raise

    def each(
        self, items: Sequence[Item], question: Callable[[IMAPClient, Sequence[Item]], Answer], size: int = 0
    ) -> "tuple[list[Answer], list[tuple[Item, Exception]]]":
        """The answers to all items at once, or to one after another when that fails; and the items that fail alone.

        Never blames an item for a line that cannot be opened again: that raises. After too many drops ``given_up`` is set, and the
        items that were not tried are neither here nor there. ``size`` is how many bytes are expected.
        """
        try:
            client = self.client
            with self.deadline.step(command_seconds(size)):
                answer = question(client, items)
            self.drops = 0
            return [answer], []
        except DROPPED as error:
            self.dropped(error)
            problem: Exception = error
        except REFUSED as error:
            self.refused(error)
            problem = error
        if len(items) == 1:
            return [], [(items[0], problem)]
        answers, failed = [], []
        for item in items:
            try:
                some, bad = self.each([item], question, size)
            except DROPPED as error:
                self.given_up = error
                break
            answers += some
            failed += bad
        return answers, failed

    def refused(self, error: Exception) -> None:
        """Raises :class:`MailboxRefused` when the words mean the whole mailbox."""
        refusal = read_refusal(self.server.host, str(error), login=False)
        if refusal is not None:
            raise MailboxRefused(refusal) from None

    def dropped(self, error: Exception) -> None:
        """Opens a new line, or raises: :class:`ConnectError`, or the error itself when there were too many."""
        self.close()
        self.drops += 1
        log.info("the line to %s dropped (%s)", self.server.host, type(error).__name__)
        self.refused(error)
        if self.drops > MOST_DROPS or self.deadline.is_over:
            raise error
        time.sleep(min(0.1 * 2**self.drops, 2.0))
        client = self.client
        if self.folder is not None:
            with self.deadline.step(command_seconds()):
                open_folder(client, self.folder.encode("latin-1"))

    def close(self) -> None:
        session, self._session, self._client = self._session, None, None
        if session is not None:
            session.__exit__(None, None, None)
