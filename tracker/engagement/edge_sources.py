"""Where hits come from: the spools of this machine, and remote edges over HTTP. An edge has a spool for each of its workers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from pixel.hits import Hit
from pixel.spool import SpoolError, SpoolReader, spool_path, spool_paths
from tracker.runtime.context import AppContext


class SourceError(Exception):
    """An edge that cannot be read now; the text says why."""


class EdgeSource(Protocol):
    """One spool, read in order. Reading again after the same number gives the same hits until they are confirmed."""

    @property
    def name(self) -> str: ...

    def after(self, n: int, limit: int, confirmed: int) -> Sequence[Hit]:
        """Everything up to ``confirmed`` is safe in the main database. Raises :class:`SourceError`."""

    def last_id(self) -> int:
        """The highest id given when it was read last; 0 when the edge does not say."""

    def confirm(self, n: int) -> None:
        """Everything up to ``n`` is safe in the main database."""


class Edge(Protocol):
    """The spools of one edge that are known now."""

    @property
    def name(self) -> str: ...

    def spools(self) -> Sequence[EdgeSource]: ...


def _name(edge: str, number: int) -> str:
    """Under which events and cursors know a spool: the first by its edge's name alone."""
    return edge if number == 1 else f"{edge[:60]}#{number}"


@dataclass
class LocalSpool:
    """A spool in our own data folder. The edge may start after us, so it is opened when it is there."""

    context: AppContext
    number: int = 1
    _reader: SpoolReader | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return _name("local", self.number)

    def after(self, n: int, limit: int, confirmed: int) -> Sequence[Hit]:
        path = spool_path(self.context.settings.data_dir, self.number)
        if self._reader is None and not path.is_file():
            return ()
        try:
            self._reader = self._reader or SpoolReader(path)
            return self._reader.after(n, limit)
        except (SpoolError, OSError) as error:
            raise SourceError(str(error)) from None

    def last_id(self) -> int:
        return 0 if self._reader is None else self._reader.last_id()

    def confirm(self, n: int) -> None:
        if self._reader is not None:
            self._reader.prune(n)


@dataclass
class LocalEdge:
    """The edge on our own data folder; one that has more or fewer workers now than before leaves nothing behind."""

    context: AppContext
    name: str = "local"
    _known: dict[int, LocalSpool] = field(default_factory=dict, repr=False)

    def spools(self) -> Sequence[EdgeSource]:
        numbers = spool_paths(self.context.settings.data_dir)
        for number in numbers.keys() - self._known.keys():
            self._known[number] = LocalSpool(self.context, number)
        return [self._known[number] for number in numbers]


WAIT_SECONDS = 5
"""So long an edge without news holds the question."""
LEAST_SECONDS = 1.0
"""An edge that does not hold it is not asked more often than this."""


@dataclass
class RemoteEdge:
    """An edge on another machine. Once all of its spools were asked and had none, it holds the question until any has hits, or for
    :data:`WAIT_SECONDS`."""

    name: str
    key: str = field(repr=False)
    _spools: list["RemoteSpool"] = field(default_factory=list, repr=False)
    _empty: int = 0
    """How many answers in a row brought nothing."""

    def spools(self) -> Sequence[EdgeSource]:
        if not self._spools:
            self._spools = [RemoteSpool(self, 1)]
        return list(self._spools)

    def ask(self, spool: "RemoteSpool", n: int, limit: int, confirmed: int) -> Sequence[Hit]:
        asked_at = time.monotonic()
        waits = self._empty >= len(self._spools) - 1 and confirmed >= n  # else there is a backlog to go on with
        question = {"spool": spool.number, "after": n, "confirmed": confirmed, "limit": limit}
        answer = self._answer({**question, "wait": WAIT_SECONDS if waits else 0})
        try:
            hits = [Hit.from_json(line) for line in answer.text.splitlines() if line]
            spool.last = int(answer.headers.get("inkling-last-id", 0))
            self._learn(answer.headers.get("inkling-spools", "1"))
        except ValueError as error:
            raise self._error(error) from None
        self._empty = 0 if hits else self._empty + 1
        if waits and self._empty and (len(self._spools) == 1 or self._empty > len(self._spools)):
            time.sleep(max(0.0, asked_at + LEAST_SECONDS - time.monotonic()))
        return hits

    def _answer(self, question: dict[str, int]) -> httpx.Response:
        try:
            answer = httpx.get(
                f"{self.name}/drain",
                params=question,
                headers={"Authorization": f"Bearer {self.key}"},
                timeout=WAIT_SECONDS + 10,
            )
            return answer.raise_for_status()
        except httpx.HTTPError as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> SourceError:
        return SourceError(f"{self.name} does not give its hits: {type(error).__name__}")

    def _learn(self, numbers: str) -> None:
        known = {spool.number: spool for spool in self._spools}
        self._spools = [known.get(number) or RemoteSpool(self, number) for number in map(int, numbers.split(","))]


@dataclass
class RemoteSpool:
    """One spool of a remote edge."""

    edge: RemoteEdge
    number: int
    last: int = 0

    @property
    def name(self) -> str:
        return _name(self.edge.name, self.number)

    def after(self, n: int, limit: int, confirmed: int) -> Sequence[Hit]:
        return self.edge.ask(self, n, limit, confirmed)

    def last_id(self) -> int:
        return self.last

    def confirm(self, n: int) -> None:
        return  # the next question says so


def edges(context: AppContext) -> list[Edge]:
    """Every edge whose hits this context takes in."""
    remote: list[Edge] = [RemoteEdge(url, context.settings.drain_key or "") for url in context.settings.edge_urls]
    return [LocalEdge(context), *remote]
