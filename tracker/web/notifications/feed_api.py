"""``/feed``: the live feed, for programs."""

from typing import Any

from fastapi import Request
from starlette.responses import Response

from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, still_holds
from tracker.web.notifications.feed import open_feed

feed = router("Feed")
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@feed.get("/feed", response_class=Response, responses=_STREAM)
async def get_feed(call: Caller, request: Request) -> Response:
    """Hints that something changed, as server-sent events: ``notification``, ``message`` or ``letter``, each with
    ``{"kind", "id", "at"}``. Send ``Last-Event-ID`` to get what was missed. The connection ends after some minutes: come back."""
    return await open_feed(request, call.user, lambda: still_holds(call.context, call.token))
