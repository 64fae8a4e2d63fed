"""At rest: an installation where nothing happens writes nothing, and takes no lock to find that out."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fixtures.contexts import People
from tests.fixtures.counts import counted
from tests.inbound.idle.world import IDLING
from tests.inbound.mail_world import checked, fresh_address, mailbox_on
from tests.servers import SmtpSink, wait_until
from tests.servers.nasty import nasty_imap
from tracker.runtime.context import AppContext
from tracker.web.notifications.feed import Broadcaster, Listener
from tracker.worker import ONCE, Worker, tasks

SECONDS = 8.0


@contextmanager
def open_page(context: AppContext, user_id: int) -> Iterator[None]:
    """Somebody's page listens to the feed."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    broadcaster, listener = Broadcaster(context), Listener(user_id, lambda: True)
    asyncio.run_coroutine_threadsafe(broadcaster.join(listener), loop).result(10)
    try:
        yield
    finally:

        async def leave() -> None:
            broadcaster.leave(listener)
            await asyncio.sleep(0.1)

        asyncio.run_coroutine_threadsafe(leave(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def is_quiet(context: AppContext, seconds: float = 2.0) -> bool:
    with counted(context) as counts:
        time.sleep(seconds)
    return counts["writing"] == 0


def test_an_idle_worker_writes_nothing_but_its_heartbeat(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    with nasty_imap(capabilities=IDLING) as server:
        posts = [mailbox_on(context, alice, server, fresh_address()) for _ in range(3)]
        for post in posts:
            assert checked(post) == "active"
            post.sync()
        worker = Worker(context)
        is_quiet(context, 0)  # listens before there are threads to disturb
        worker.start()
        try:
            with open_page(context, alice.id or 0):
                wait_until(lambda: len(server.idling) == 3)
                wait_until(lambda: is_quiet(context), 60)
                with counted(context) as counts:
                    time.sleep(SECONDS)
        finally:
            worker.stop()
    assert counts["writing"] <= 1, "a heartbeat, at most"
    assert counts["reading"] < 40, "looks by the clock are a safety net, seconds apart"


def test_no_task_writes_when_it_looks_and_finds_nothing(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    """What looks by the clock once a minute or every ten, which the worker above does not live to see; whatever is added to the
    table is tried."""
    people.account(people.user(), smtp_sink)
    wrote = {}
    for task in tasks(context):
        if task.wake is None and task.period != ONCE:  # what waits by itself was seen at rest above
            while task.function(context):
                pass
            with counted(context) as counts:
                task.function(context)
            wrote[task.what] = counts["writing"]
    assert {what: count for what, count in wrote.items() if count} == {}
