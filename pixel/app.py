"""The edge as an ASGI application: which path goes where, and opening and closing the spool. The only wiring."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pixel import answers
from pixel.answers import Answer, AnswerBody, Receive, Scope, Send
from pixel.endpoints import Endpoints
from pixel.lease_store import STORE_FILE, LeaseStore
from pixel.limits import Limits
from pixel.settings import EdgeSettings
from pixel.site_drafts import Completion
from pixel.site_endpoints import SiteEndpoints, visit_budgets
from pixel.spool import Spool
from pixel.spool_folder import SpoolFolder, leftovers, tidy

_NOT_READING = answers.method_not_allowed(b"GET, HEAD")
_READING = frozenset({"GET", "HEAD"})
_WRITTEN_TO = {"/et/v1/resolve": "POST", "/et/v1/beacon": "POST", "/snapshot": "PUT"}
"""Where something is sent to, and how."""
_TIDY_SECONDS = 10.0
_NOT_DRAINING = answers.method_not_allowed(b"GET")


class EdgeApp:
    """Plain ASGI, with no middleware between the server and the answer.

    Alone it opens and closes its spool with the server's lifespan. Inside another application that one calls
    `start` and `stop`, and hands over the requests that the edge `handles`.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self.settings = settings
        self.spool: Spool | None = None
        self._spools: SpoolFolder | None = None
        self._limits = Limits(settings.budgets)
        self._visit_limits = Limits(visit_budgets(settings.budgets))
        self._endpoints: Endpoints | None = None
        self._sites: SiteEndpoints | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._prefix = urlsplit(settings.tracking_url).path

    def handles(self, path: str) -> bool:
        """True for a path that the edge must answer inside another application. The path of the tracking address may stand
        before it or was taken off by a proxy. `/healthz` is the edge's: whoever cannot write a hit down is not well."""
        own = path.removeprefix(self._prefix)
        return own.startswith(("/o/", "/c/", "/s/", "/et/v1/")) or own in (
            "/drain",
            "/robots.txt",
            "/snapshot",
            "/healthz",
        )

    async def start(self) -> None:
        """Opens the spool. Raises SpoolError when it cannot be written, or another process writes it."""
        settings = self.settings
        completion = Completion(LeaseStore(settings.data_dir / STORE_FILE, shared=settings.workers > 1))
        self.spool = Spool(settings.spool_path, completion)
        self._spools = SpoolFolder(self.spool)
        self._endpoints = Endpoints(settings, self.spool, self._spools, self._limits)
        self._sites = SiteEndpoints(settings, self.spool, completion, self._endpoints.client, self._visit_limits)
        left = leftovers(settings.data_dir, settings.workers) if settings.worker == 1 else []
        self._tidying = asyncio.create_task(_tidy(left)) if left else None

    async def stop(self) -> None:
        """Writes what still waits and closes the spool."""
        if self._tidying is not None:
            self._tidying.cancel()
        if self._spools is not None:
            self._spools.close()
        if self.spool is not None:
            await asyncio.to_thread(self.spool.close)
        if self._sites is not None:
            self._sites.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            answer = await self._answer(scope, receive)
            await answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:  # a web socket: refused before it is accepted
            await send({"type": "websocket.close", "code": 1000})

    def answer_soon(self, scope: Scope, reply: Callable[[Answer], None]) -> bool:
        """Answers an open or a click without a task of its own: ``reply`` is called once, when the hit is on disk, or when that
        cannot be waited for. False, and nothing done, for everything else."""
        endpoints, path = self._endpoints, scope["path"].removeprefix(self._prefix)
        if endpoints is None or scope["method"] != "GET" or path[:3] not in ("/o/", "/c/"):
            return False
        answer, hit = endpoints.seen(scope, path)
        if hit is None or self.spool is None:
            asyncio.get_running_loop().call_soon(reply, answer)
        else:
            self.spool.submit(hit, lambda _: reply(answer))
        return True

    def answers_bodies(self, scope: Scope) -> AnswerBody | None:
        """Who answers what a website's page asks or tells, without a task, once its body is whole; None for everything else."""
        if self._sites is None or scope["method"] != "POST":
            return None
        return self._sites.answers.get(scope["path"].removeprefix(self._prefix))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        endpoints = self._endpoints
        assert endpoints is not None, "start() comes before the first request"
        path: str = scope["path"].removeprefix(self._prefix)
        start, is_read = path[:3], scope["method"] in _READING
        if start in ("/o/", "/c/") and is_read:  # those that are asked for most come first
            answer, hit = endpoints.seen(scope, path)
            if hit is not None and self.spool is not None:
                await self.spool.append(hit)
            return answer
        if path in _WRITTEN_TO:
            return await self._write(scope, receive, path)
        if not is_read:
            return _NOT_READING
        if path.startswith("/s/") and self._sites is not None:
            return self._sites.snippet(path, dict(scope["headers"]))
        if path == "/drain":  # where a HEAD must not confirm what nobody has read
            return await endpoints.drain(scope) if scope["method"] == "GET" else _NOT_DRAINING
        if path == "/healthz":
            return await endpoints.health()
        if path == "/metrics":
            return await endpoints.metrics(scope)
        if path == "/robots.txt":
            return answers.ROBOTS
        return answers.not_found(dict(scope["headers"]).get(b"accept-language", b""))

    async def _write(self, scope: Scope, receive: Receive, path: str) -> Answer:
        sites, method = self._sites, scope["method"]
        assert sites is not None, "start() comes before the first request"
        if method == "OPTIONS" and path != "/snapshot":
            return sites.preflight(dict(scope["headers"]))
        if method != _WRITTEN_TO[path]:
            return answers.method_not_allowed(_WRITTEN_TO[path].encode())
        if path == "/snapshot":
            return await sites.put_snapshot(scope, receive)
        return await sites.answer(scope, receive, path)

    def metrics(self) -> dict[str, int]:
        """Counts since the spool was made, by name; of visits those since the start."""
        if self._spools is None or self._sites is None:
            return {}
        return {**self._spools.counts(), **self._sites.metrics()}

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


async def _tidy(left: Sequence[Path]) -> None:
    """Looks until nothing is left of workers that there are no more: the tracker drains their spools meanwhile."""
    while left:
        left = [path for path in left if not await asyncio.to_thread(tidy, path)]
        await asyncio.sleep(_TIDY_SECONDS if left else 0)


def create_app(settings: EdgeSettings) -> EdgeApp:
    """The edge for these settings."""
    return EdgeApp(settings)
