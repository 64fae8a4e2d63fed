"""Work that is done behind one's back, in order: letters are stored while the next ones come over the line."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

BACKLOG = 2
"""Pieces of work that may wait: the letters of one question, and the step of the cursor behind them."""


class BackgroundWriter:
    """One thread, made when it is first needed. When something goes wrong in it nothing that was handed in after that is done,
    and the next call raises what it was."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "storing")
        self._pending: deque[Future[None]] = deque()
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        """What is in hand is finished. After an error of the caller's what waits is not begun."""
        self._failed = self._failed or error is not None
        self._thread.shutdown(wait=True)

    def submit(self, work: Callable[[], None]) -> None:
        """Hands work in; waits while there is too much of it."""
        while len(self._pending) >= BACKLOG:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._in_turn, work))

    def wait(self) -> None:
        """Until all of it is done."""
        while self._pending:
            self._pending.popleft().result()

    def _in_turn(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            work()
        except BaseException:
            self._failed = True
            raise
