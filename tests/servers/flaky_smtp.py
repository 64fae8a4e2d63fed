"""A real SMTP server on a bad day: by chance it puts off, refuses nothing for good, dawdles, and cuts the line at any point."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.servers.smtp import DEFERRED, SmtpRules, SmtpSink
from tracker.demo.sandbox_smtp import SmtpListener, hang_up
from tracker.demo.world import LoopThread


class FlakySink(SmtpSink):
    """`chance` of each trouble, per command; `troubles` counts what was done. Taken and never told of is in `dropped`."""

    def __init__(self, chance: float, seed: int) -> None:
        super().__init__(SmtpRules(), "none")
        self.chance = chance
        self.troubles: Counter[str] = Counter()
        self._random = random.Random(seed)

    def strikes(self, trouble: str, share: float = 1.0) -> bool:
        """Whether this trouble happens now; counted if it does."""
        if self._random.random() >= self.chance * share:
            return False
        self.troubles[trouble] += 1
        return True

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.strikes("slow answer"):
            await asyncio.sleep(self._random.uniform(0.05, 0.3))
        if self.strikes("421 and gone", 0.3):
            asyncio.get_running_loop().call_later(0.01, hang_up, server)
            return "421 4.3.2 Closing for a moment"
        if self.strikes("4yz at MAIL FROM"):
            return DEFERRED
        return await super().handle_MAIL(server, session, envelope, address, options)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.strikes("4yz at RCPT TO"):
            return DEFERRED
        return await super().handle_RCPT(server, session, envelope, address, options)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.strikes("4yz after DATA"):
            return "452 4.3.1 No room just now"
        if self.strikes("taken, line cut before 250", 0.3):
            self.rules.drop_after_data = 1
        return await super().handle_DATA(server, session, envelope)


class _FlakySmtp(SMTP):
    """Cuts the line in the middle of DATA too."""

    async def smtp_DATA(self, arg: str) -> None:
        sink = self.event_handler
        if sink.strikes("line cut inside DATA", 0.5):
            await self.push("354 Go on")
            await self._reader.read(200)
            hang_up(self)
            raise ConnectionResetError
        await super().smtp_DATA(arg)


@contextmanager
def flaky_sink(chance: float, seed: int) -> Iterator[FlakySink]:
    """Such a server on a free port."""
    sink, thread = FlakySink(chance, seed), LoopThread("flaky-smtp")
    listener = SmtpListener(
        lambda: _FlakySmtp(sink, hostname="localhost", ident="flaky", loop=asyncio.get_running_loop())
    )
    try:
        thread.run(listener.open(sink.host))
        sink.port = listener.port
        try:
            yield sink
        finally:
            thread.run(listener.close())
    finally:
        thread.close()
