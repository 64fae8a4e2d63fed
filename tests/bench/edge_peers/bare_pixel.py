"""The ceiling: an ASGI application that sends the pixel and keeps nothing, on the server that the edge runs on."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pixel.answers import PIXEL_ANSWER


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] == "http":
        await send(PIXEL_ANSWER.start)
        await send(PIXEL_ANSWER.body)
