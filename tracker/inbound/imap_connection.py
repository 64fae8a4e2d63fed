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

from tracker.inbound.imap import Opened, examine, introduce
from tracker.inbound.refusals import Refusal, read_refusal
from tracker.mail.connections import Server
from tracker.mail.imap_session import imap
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline

log = logging.getLogger(__name__)

LOGIN_SECONDS = 30.0
ANSWER_SECONDS = 120.0
MOST_DROPS = 5
"""Lines that may drop in one run before it is given up: Yandex drops them at random."""
DROPPED = (imaplib.IMAP4.abort, OSError)
REFUSED = (IMAPClientError, imaplib.IMAP4.error, ValueError, KeyError)
"""A refusal, or an answer that cannot be read; the line itself goes on."""
Answer = TypeVar("Answer")
Item = TypeVar("Item")


class MailboxRefused(Exception):
    """The server wants something of the whole mailbox, not of one letter."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.state)
        self.refusal = refusal


@dataclass
class ImapConnection:
    """A signed-in session that survives drops. ``client`` is the present one; ``folder`` is opened again with it."""

    context: AppContext
    server: Server
    deadline: Deadline
    drops: int = 0
    folder: str | None = None
    _session: AbstractContextManager[IMAPClient] | None = None
    _client: IMAPClient | None = None
    capabilities: list[str] = field(default_factory=list)

    @property
    def client(self) -> IMAPClient:
        if self._client is None:
            self._session = imap(self.context, self.server, self.deadline, LOGIN_SECONDS)
            self._client = self._session.__enter__()
            self._client.normalise_times = False
            self._client.folder_encode = False
            self._client.socket().settimeout(ANSWER_SECONDS)
            introduce(self._client)
            self.capabilities = sorted(c.decode("ascii", "replace") for c in self._client.capabilities())
        return self._client

    def open(self, raw_name: str) -> Opened:
        """Opens a folder read-only. Raises :class:`ConnectError` or what the server's refusal is."""
        self.folder = None
        opened = self.asked(lambda client: examine(client, raw_name))
        self.folder = raw_name
        return opened

    def asked(self, question: Callable[[IMAPClient], Answer]) -> Answer:
        """The answer; asked once more on a new line when this one drops."""
        while True:
            try:
                return question(self.client)
            except DROPPED as error:
                self.dropped(error)
            except REFUSED as error:
                self.refused(error)
                raise

    def each(
        self, items: Sequence[Item], question: Callable[[IMAPClient, Sequence[Item]], Answer]
    ) -> "tuple[list[Answer], list[tuple[Item, Exception]]]":
        """The answers to all items at once, or to one after another when that fails; and the items that fail alone.

        Never blames an item for a line that cannot be opened again: that raises.
        """
        try:
            return [question(self.client, items)], []
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
            some, bad = self.each([item], question)
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
            examine(client, self.folder)

    def close(self) -> None:
        session, self._session, self._client = self._session, None, None
        if session is not None:
            session.__exit__(None, None, None)
