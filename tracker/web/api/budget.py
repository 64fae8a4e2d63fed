"""How often somebody may do something costly."""

import math
import time
from collections import deque
from collections.abc import Callable
from threading import Lock


class Budget:
    """At most ``most`` times in any ``per_seconds``, per name, in this process."""

    def __init__(self, most: int, per_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.per_seconds = per_seconds
        self._clock = clock
        self._times: dict[str, deque[float]] = {}
        self._lock = Lock()

    def wait(self, name: str) -> int:
        """Takes one from the budget of ``name`` and gives 0; or takes none and gives the whole seconds to wait."""
        with self._lock:
            moment = self._clock()
            self._forget(moment)
            times = self._times.setdefault(name, deque())
            if len(times) >= self.most:
                return max(1, math.ceil(times[0] + self.per_seconds - moment))
            times.append(moment)
            return 0

    def _forget(self, moment: float) -> None:
        for name, times in list(self._times.items()):
            while times and times[0] <= moment - self.per_seconds:
                times.popleft()
            if not times:
                del self._times[name]
