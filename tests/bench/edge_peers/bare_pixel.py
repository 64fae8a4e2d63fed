"""The ceiling: an ASGI application that sends the pixel and keeps nothing, on the server that the edge runs on."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pixel.answers import PIXEL, PIXEL_ANSWER

_HEADERS = [*PIXEL_ANSWER.headers, (b"content-length", str(len(PIXEL)).encode())]
_START = {"type": "http.response.start", "status": 200, "headers": _HEADERS}
_BODY = {"type": "http.response.body", "body": PIXEL}


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] == "http":
        await send(_START)
        await send(_BODY)
