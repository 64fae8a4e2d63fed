"""The worker's part in reading mail: some mailboxes at once, each in a thread of its own, gently with their hosts."""

import logging
import threading
import time
from contextlib import suppress

from tracker.inbound.fetch.letter_importer import StoreLetters
from tracker.inbound.fetch.schedule import Claim, claim_many_due
from tracker.inbound.fetch.sync import sync_mailbox
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Shutdown

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Mailboxes that one worker reads at the same time."""
BETWEEN_LOGINS = 0.25
"""Seconds between two logins at one host: forty mailboxes at once look like an attack."""
OLD_FILE_SECONDS = 3600.0


class MailboxRuns:
    """Called again and again by the worker; starts what is due and comes back at once."""

    def __init__(self, take: StoreLetters, at_once: int = AT_ONCE) -> None:
        self._take, self._at_once = take, at_once
        self._threads: list[threading.Thread] = []
        self._last_login: dict[str, float] = {}
        self._begun = False
        self._shutdown = Shutdown()

    def __call__(self, context: AppContext) -> int:
        """Starts reading what is due and can be started now. Returns 0: it is asked again after the pause of its task."""
        if not self._begun:
            _clear_loading(context)
            self._begun = True
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        while (places := self._at_once - len(self._threads)) > 0 and not self._shutdown.is_requested:
            resting = self._resting()
            claims = claim_many_due(context, places, resting)
            if not claims:
                if not resting:
                    return 0
                time.sleep(min(resting.values()))  # a mailbox of such a host may wait
            for claim in claims:
                self._start(context, claim)
        return 0

    @property
    def busy(self) -> int:
        """Runs in hand."""
        return sum(thread.is_alive() for thread in self._threads)

    def join(self, seconds: float = 60.0) -> None:
        """Waits for the runs in hand."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def end(self, _context: AppContext, seconds: float) -> None:
        """Lets the runs in hand end at their next letter; after half of the time, those that wait for a server are cut off. Their
        mailboxes are free for the next worker at once, but for one that is just being checked, which may take longer."""
        self._shutdown.request()
        self.join(seconds / 2)
        if self.busy:
            self._shutdown.cut()
            self.join(seconds / 2)

    def _start(self, context: AppContext, claim: Claim) -> None:
        self._last_login[claim.host] = time.monotonic()
        thread = threading.Thread(
            target=self._run, args=(context, claim), name=f"mailbox {claim.mailbox_id}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _resting(self) -> dict[str, float]:
        """Hosts at which we have just signed in, with the seconds that they are still left alone."""
        moment = time.monotonic()
        rests = {host: at + BETWEEN_LOGINS - moment for host, at in self._last_login.items()}
        resting = {host: rest for host, rest in rests.items() if rest > 0}
        self._last_login = {host: self._last_login[host] for host in resting}
        return resting

    def _run(self, context: AppContext, claim: Claim) -> None:
        try:
            sync_mailbox(context, claim, self._take, self._shutdown)
        except Exception as error:  # the database is away: the lease ends by itself, and the run is done again
            log.error("mailbox %s: %s: %s", claim.mailbox_id, type(error).__name__, error)


def _clear_loading(context: AppContext) -> None:
    """Large letters that a killed process was loading."""
    folder = context.settings.data_dir / "loading"
    for path in folder.glob("tmp*") if folder.is_dir() else ():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD_FILE_SECONDS:
                path.unlink()
