"""Everything in one process: which requests go to the edge and which to the pages; edge, worker and gateway live
as long as the server."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixel.app import EdgeApp
from pixel.limits import Budgets
from pixel.settings import EdgeSettings
from tracker.outbound.gateway.server import Gateway
from tracker.runtime.context import AppContext
from tracker.runtime.settings import Settings
from tracker.web.app import create_app
from tracker.worker import Worker


class CombinedApp:
    """Plain ASGI in front of edge and web, so that a pixel passes no middleware."""

    def __init__(self, edge: EdgeApp, web: ASGIApp, worker: Worker, gateway: Gateway | None = None) -> None:
        self.edge, self.web, self.worker, self.gateway = edge, web, worker, gateway
        self.answer_soon, self.answers_bodies = edge.answer_soon, edge.answers_bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and self.edge.handles(scope["path"]):
            await self.edge(scope, receive, send)
        else:
            await self.web(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The web application's own lifespan; edge and worker start just before the server hears that all is ready, and end
        before it hears that all has ended."""

        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self.edge.start()
                await asyncio.to_thread(self.worker.start)
                if self.gateway is not None:
                    await asyncio.to_thread(self.gateway.start)
            elif message["type"] == "lifespan.shutdown.complete":
                if self.gateway is not None:
                    await asyncio.to_thread(self.gateway.stop)
                await asyncio.to_thread(self.worker.stop)
                await self.edge.stop()
            await send(message)

        await self.web(scope, receive, sending)


def create_combined_app(context: AppContext, gateway: Gateway | None = None) -> CombinedApp:
    """The application of `inkling serve`; the gateway lives as long as it does."""
    settings = context.settings
    edge = EdgeSettings(
        data_dir=settings.data_dir,
        keys=context.keyring.keys,
        trusted_proxies=settings.trusted_proxies,
        drain_key=settings.drain_key,
        tracking_url=settings.tracking_url,
        base_url=settings.base_url,
        budgets=_budgets(settings),
    )
    return CombinedApp(EdgeApp(edge), create_app(context), Worker(context), gateway)


def _budgets(settings: Settings) -> Budgets:
    budgets = {
        "per_source": settings.hits_per_source,
        "per_token": settings.hits_per_token,
        "per_copy": settings.hits_per_copy,
    }
    return Budgets(**{name: hits for name, hits in budgets.items() if hits is not None})
