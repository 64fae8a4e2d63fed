"""The live feed: hints to a person's open pages, as server-sent events (WHATWG HTML, section 9.2).

A hint only says that something changed; pages fetch the truth again. When a commit has left hints, each process reads them once
for everybody, however many pages are open. A listener that cannot keep up, or has stayed some minutes, is sent away politely: the
browser comes back by itself with ``Last-Event-ID`` and gets what it missed.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from weakref import WeakKeyDictionary

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tracker.models import FeedItem, User
from tracker.notifications import notify
from tracker.runtime.context import AppContext
from tracker.runtime.values import whole_number
from tracker.web.http.sessions import current_user
from tracker.web.http.templating import context_of

log = logging.getLogger(__name__)

_WHO_MAY_STAY = ("user_account", "user_session", "api_token")
NET_SECONDS = 10.0
"""The rows are looked at so often in any case, should a wake-up be lost."""
GATHER_SECONDS = 0.02
"""After a change: what a burst of them leaves is read at once."""
BEAT_SECONDS = 15.0
STAY_SECONDS = 240.0
RETRY_MILLISECONDS = 1000
QUEUE = 100
BATCH = 500
LOOK_BACK = 100
MAX_LISTENERS = 12
"""Of one person; browsers open one for all their tabs."""


class Listener:
    """One open page (or API client) of one person."""

    def __init__(self, user_id: int, may_stay: Callable[[], bool]) -> None:
        self.user_id = user_id
        self.may_stay = may_stay
        """Asks the database whether sign-in or token still hold."""
        self.queue: asyncio.Queue[FeedItem | None] = asyncio.Queue(QUEUE)
        self.dropped = False

    def drop(self) -> None:
        """Ends the feed, at once when it waits."""
        self.dropped = True
        with suppress(asyncio.QueueFull):
            self.queue.put_nowait(None)


class Broadcaster:
    """The listeners of this process, and the one task that asks the database on their behalf while there are any."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._seen: deque[int] = deque(maxlen=2 * BATCH)
        self._after = 0
        self._beginning = asyncio.Lock()

    def count(self, user_id: int) -> int:
        return sum(listener.user_id == user_id for listener in self._listeners)

    async def join(self, listener: Listener) -> None:
        """From the return on, no hint is missed."""
        async with self._beginning:  # of two who come at once only one begins to ask
            if self._task is None or self._task.done():
                self._after = await run_in_threadpool(self._newest)
                self._task = asyncio.create_task(self._run())
            self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        wakeups, loop = self._context.database.wakeups, asyncio.get_running_loop()
        changed, somebody_left = asyncio.Event(), asyncio.Event()
        changed.set()  # for what came before the subscriptions
        somebody_left.set()
        subscriptions = (
            wakeups.subscribe(("feed_item",), partial(_set_in, loop, changed)),
            wakeups.subscribe(_WHO_MAY_STAY, partial(_set_in, loop, somebody_left, changed)),
        )
        try:
            await self._read_again_and_again(changed, somebody_left)
        finally:
            for subscription in subscriptions:
                wakeups.unsubscribe(subscription)

    async def _read_again_and_again(self, changed: asyncio.Event, somebody_left: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(
                    NET_SECONDS
                ):  # wait_for() loses a cancellation that comes with what it waits for
                    await changed.wait()
            await asyncio.sleep(GATHER_SECONDS)
            changed.clear()
            try:
                items = await run_in_threadpool(self._read, self._after)
                if somebody_left.is_set():
                    somebody_left.clear()
                    await self._send_away()
            except Exception:
                # The database may be away for a moment; the feed must not end for it.
                log.warning("the feed could not be read", exc_info=True)
                continue
            self._hand_out(items)

    async def _send_away(self) -> None:
        """Ends the feeds of those who were switched off or signed out, or whose token was revoked, before they hear more."""
        for listener in list(self._listeners):
            if not await run_in_threadpool(listener.may_stay):
                listener.drop()

    def _hand_out(self, items: Sequence[FeedItem]) -> None:
        seen = set(self._seen)
        fresh = [item for item in items if item.id not in seen]
        for item in fresh:
            self._seen.append(item.id)
            for listener in self._listeners:
                if listener.user_id == item.user_id and not listener.dropped:
                    _enqueue(listener, item)
        # Numbers are given before commits: one below the newest may still appear. So we look back a little each time.
        if items:
            self._after = max(self._after, (items[-1].id) - LOOK_BACK)

    def _read(self, after: int) -> Sequence[FeedItem]:
        with self._context.database.reading() as session:
            return notify.feed_after(session, None, after, BATCH)

    def _newest(self) -> int:
        with self._context.database.reading() as session:
            newest = notify.newest_feed_id(session)
            self._seen.extend(item.id for item in notify.feed_after(session, None, newest - LOOK_BACK, BATCH))
        return max(0, newest - LOOK_BACK)


def _set_in(loop: asyncio.AbstractEventLoop, *events: asyncio.Event) -> None:
    """From another thread. A loop that has ended needs to know nothing any more."""
    with suppress(RuntimeError):
        for event in events:
            loop.call_soon_threadsafe(event.set)


def _enqueue(listener: Listener, item: FeedItem) -> None:
    try:
        listener.queue.put_nowait(item)
    except asyncio.QueueFull:
        listener.dropped = True


async def feed(request: Request) -> Response:
    """``GET /feed`` for the person signed in on this browser."""
    user = await run_in_threadpool(current_user, context_of(request), request)
    if user is None:
        raise HTTPException(401)
    return await open_feed(request, user, lambda: current_user(context_of(request), request) is not None)


async def open_feed(request: Request, user: User, may_stay: Callable[[], bool]) -> Response:
    """The feed of one person, from after ``Last-Event-ID`` (or ``?after=``) on; without either, from now on. 429 over the limit."""
    broadcaster, listener = _broadcaster(request), Listener(user.id, may_stay)
    if broadcaster.count(user.id) >= MAX_LISTENERS:
        raise HTTPException(429)
    return StreamingResponse(
        _events(request, broadcaster, listener, _resume_after(request)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    request: Request, broadcaster: Broadcaster, listener: Listener, after: int | None
) -> AsyncIterator[str]:
    sent: set[int] = set()
    newest = after or 0
    await broadcaster.join(listener)
    try:
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        async for item in _in_order(request, broadcaster, listener, after):
            if item is None:
                yield ": still here\n\n"
            elif item.id not in sent:
                sent.add(item.id)
                newest = max(newest, item.id)
                yield _event(item, newest)
    finally:
        broadcaster.leave(listener)


async def _in_order(
    request: Request, broadcaster: Broadcaster, listener: Listener, after: int | None
) -> AsyncIterator[FeedItem | None]:
    """What was missed, then what comes; None as a heartbeat. Ends when it is time to go."""
    while after is not None:
        missed = await run_in_threadpool(_missed, context_of(request), listener.user_id, after)
        for old in missed:
            yield old
        after = missed[-1].id if len(missed) == BATCH else None
    end = asyncio.get_running_loop().time() + STAY_SECONDS
    while not listener.dropped and asyncio.get_running_loop().time() < end:
        item: FeedItem | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                item = await listener.queue.get()
        if item is None and (listener.dropped or not await run_in_threadpool(listener.may_stay)):
            return
        yield item


def _missed(context: AppContext, user_id: int, after: int) -> Sequence[FeedItem]:
    with context.database.reading() as session:
        return notify.feed_after(session, user_id, after, BATCH)


def _event(item: FeedItem, number: int) -> str:
    data = json.dumps({"kind": item.kind, "id": item.subject, "at": item.at.isoformat()})
    return f"id: {number}\nevent: {item.kind}\ndata: {data}\n\n"


def _resume_after(request: Request) -> int | None:
    value = request.headers.get("last-event-id") or request.query_params.get("after") or ""
    return whole_number(value, 10**18)


def _broadcaster(request: Request) -> Broadcaster:
    """The hub of this process, which has one loop; pages and API share it."""
    loop = asyncio.get_running_loop()
    if loop not in _broadcasters:
        _broadcasters[loop] = Broadcaster(context_of(request))
    return _broadcasters[loop]


_broadcasters: WeakKeyDictionary[asyncio.AbstractEventLoop, Broadcaster] = WeakKeyDictionary()

routes = [Route("/feed", feed)]
