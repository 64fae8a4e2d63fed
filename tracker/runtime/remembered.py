"""Answers that follow from rows, in memory until a commit changes one of their tables."""

import time
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from tracker.runtime.wakeup import WakeUps

K = TypeVar("K")
V = TypeVar("V")

SECONDS = 5.0
"""How long an answer is believed at most: a wake-up of another process may be lost."""
MOST = 1000


class Remembered(Generic[K, V]):
    """The answers of ``read`` by their keys; None is not remembered. Safe to use from any thread.

    All are forgotten when one of the ``tables`` changes: before the call goes on that committed in this process, within moments
    where another process did.
    """

    def __init__(self, read: Callable[[K], V], wakeups: WakeUps, tables: Collection[str]) -> None:
        self._read = read
        self._answers: dict[K, tuple[float, V]] = {}
        self.subscription = wakeups.subscribe(tables, self._forget)

    def get(self, key: K) -> V:
        answers = self._answers  # another one, if something changes while we read
        until, answer = answers.get(key, (0.0, None))
        if answer is not None and time.monotonic() < until:
            return answer
        answer = self._read(key)
        if answer is not None:
            if len(answers) >= MOST:
                answers.clear()
            answers[key] = time.monotonic() + SECONDS, answer
        return answer

    def _forget(self) -> None:
        self._answers = {}
