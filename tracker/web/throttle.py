"""How often a person may do something costly, whether on a page or through the API."""

import math
import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from tracker.locale import N_
from tracker.models import User
from tracker.sentences import ActionError, Sentence


class RateLimiter:
    """At most ``most`` times in any ``per_seconds``, per person, in this process. ``sentence`` says so, with ``%(seconds)s``."""

    def __init__(
        self, most: int, per_seconds: float, sentence: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most = most
        self.per_seconds = per_seconds
        self._sentence = sentence
        self._clock = clock
        self._times: dict[str, deque[float]] = {}
        self._lock = Lock()

    def take(self, user: User) -> None:
        """Counts one more. Raises :class:`ActionError` ``too_many``, which is not counted."""
        with self._lock:
            moment = self._clock()
            self._forget(moment)
            times = self._times.setdefault(user.public_id, deque())
            if len(times) >= self.most:
                wait = max(1, math.ceil(times[0] + self.per_seconds - moment))
                raise ActionError("too_many", Sentence(self._sentence, seconds=wait), retry_after=wait)
            times.append(moment)

    def _forget(self, moment: float) -> None:
        for name, times in list(self._times.items()):
            while times and times[0] <= moment - self.per_seconds:
                times.popleft()
            if not times:
                del self._times[name]


_TESTS = N_("Too many tests. Try again in %(seconds)s seconds.")
connection_tests = RateLimiter(10, 60, _TESTS)
"""Tests of accounts and mailboxes, and code mails: each opens connections to servers that the person names."""
test_mails = RateLimiter(5, 300, _TESTS)
test_mail_look_ups = RateLimiter(60, 300, _TESTS)
domain_look_ups = RateLimiter(20, 60, N_("Too many look-ups. Try again in %(seconds)s seconds."))
"""Each asks a dozen questions of DNS."""
