"""Where hits come from: the spool of this machine, and remote edges over HTTP."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from pixel.hits import Hit
from pixel.spool import SpoolError, SpoolReader
from tracker.runtime.context import AppContext


class SourceError(Exception):
    """An edge that cannot be read now; the text says why."""


class Source(Protocol):
    """One edge, read in order. Reading again after the same number gives the same hits until they are confirmed."""

    @property
    def name(self) -> str: ...

    def after(self, n: int, limit: int) -> Sequence[Hit]:
        """Raises :class:`SourceError`."""

    def confirm(self, n: int) -> None:
        """Everything up to ``n`` is safe in the main database."""


@dataclass
class LocalSpool:
    """The spool in our own data folder. The edge may start after us, so it is opened when it is there."""

    context: AppContext
    name: str = "local"
    _reader: SpoolReader | None = field(default=None, repr=False)

    def after(self, n: int, limit: int) -> Sequence[Hit]:
        path = self.context.settings.data_dir / "spool.sqlite3"
        if self._reader is None and not path.is_file():
            return ()
        try:
            self._reader = self._reader or SpoolReader(path)
            return self._reader.after(n, limit)
        except (SpoolError, OSError) as error:
            raise SourceError(str(error)) from None

    def confirm(self, n: int) -> None:
        if self._reader is not None:
            self._reader.prune(n)


WAIT_SECONDS = 5
"""So long an edge without news holds the question."""
LEAST_SECONDS = 1.0
"""An edge that does not hold it is not asked more often than this."""


@dataclass(frozen=True)
class RemoteEdge:
    """An edge on another machine. Asking for what comes after N confirms everything up to N, so confirming is free.

    The edge holds the question until it has hits, or for :data:`WAIT_SECONDS`.
    """

    name: str
    key: str = field(repr=False)

    def after(self, n: int, limit: int) -> Sequence[Hit]:
        asked_at = time.monotonic()
        hits = self._ask(n, limit)
        if not hits:
            time.sleep(max(0.0, asked_at + LEAST_SECONDS - time.monotonic()))
        return hits

    def _ask(self, n: int, limit: int) -> Sequence[Hit]:
        try:
            answer = httpx.get(
                f"{self.name}/drain",
                params={"after": n, "limit": limit, "wait": WAIT_SECONDS},
                headers={"Authorization": f"Bearer {self.key}"},
                timeout=WAIT_SECONDS + 10,
            )
            answer.raise_for_status()
            return [Hit.from_json(line) for line in answer.text.splitlines() if line]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise SourceError(f"{self.name} does not give its hits: {type(error).__name__}") from None

    def confirm(self, n: int) -> None:
        return


def sources(context: AppContext) -> list[Source]:
    """Every edge whose hits this context takes in."""
    remote: list[Source] = [RemoteEdge(url, context.settings.drain_key or "") for url in context.settings.edge_urls]
    return [LocalSpool(context), *remote]
