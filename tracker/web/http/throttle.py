"""How often a person may do something costly, and how often anybody may try a password or a code."""

import time
from collections import deque
from collections.abc import Callable
from math import ceil
from threading import Lock

from starlette.requests import Request

from pixel.tokens import SELF_COOKIE
from tracker.locale import N_
from tracker.mail.addresses import lookup_or_none
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import password_fits
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.runtime.throttle import count_try, network_of, uncount_try

FREE_TRIES = 5
FREE_TRIES_OF_ACCOUNT = 20
FREE_TRIES_OF_SOURCE = 30
"""Wrong tries without a pause: of one account from one source, of one account, from one source."""


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
                wait = max(1, ceil(times[0] + self.per_seconds - moment))
                raise ActionError("too_many", LocalizedText(self._sentence, seconds=wait), retry_after=wait)
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


def count_attempt(context: AppContext, what: str) -> None:
    """Counts a try of a secret that the signed-in person of this request guards, such as their present password.

    Raises :class:`ActionError` ``too_many`` while it has to pause.
    """
    count_try(context, {what: FREE_TRIES})


def forget_attempts(context: AppContext, what: str) -> None:
    """Forgets the tries of it."""
    uncount_try(context, {what: FREE_TRIES}, forget=what)


class SignInTry:
    """One try to sign in, counted when this is made, before the password is looked at. Raises :class:`ActionError` ``too_many``.

    It counts for the account that is looked up, whatever the spelling, together with where it comes from; with more room also for
    each of the two. On a browser that signed in to this account before nothing of that counts, only what was tried there: strangers
    cannot make its owner wait.
    """

    def __init__(self, context: AppContext, request: Request, email: str, user: User | None) -> None:
        self._context = context
        self._hash = user.password_hash if user is not None and user.active else None
        if user is not None and context.tokens.read_self_mark(request.cookies.get(SELF_COOKIE, "")) == user.public_id:
            self._own = f"sign-in to {user.email} from a browser of its owner"
            self._free = {self._own: FREE_TRIES}
        else:
            account, source = lookup_or_none(email) or "nobody", network_of(request.client and request.client.host)
            self._own = f"sign-in to {account} from {source}"
            self._free = {
                self._own: FREE_TRIES,
                f"sign-in to {account}": FREE_TRIES_OF_ACCOUNT,
                f"sign-in from {source}": FREE_TRIES_OF_SOURCE,
            }
        count_try(context, self._free)

    def fits(self, password: str) -> bool:
        """Whether it is the password of somebody who may come in; then the try does not count. Raises what looking at it raises."""
        try:
            is_right = password_fits(self._hash, password)
        except ActionError:  # nobody has looked at it
            uncount_try(self._context, self._free)
            raise
        if is_right:
            uncount_try(self._context, self._free, forget=self._own)
        return is_right
