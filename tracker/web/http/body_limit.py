"""How large a body may be. Starlette's own limit answers what announces too much with a bare line of text; ours leaves the
answer to the error pages, and to the API's problems."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message


def limited(request: Request, max_bytes: int) -> Request:
    """The request; reading more than so many bytes of its body raises 413, whatever length was announced.

    What is too large is read and thrown away up to twice the limit, since most clients listen only once they have sent.
    """
    size = 0

    async def receive() -> Message:
        nonlocal size
        while True:
            message = await request.receive()
            size += len(message.get("body", b""))
            if size <= max_bytes:
                return message
            if size > 2 * max_bytes or not message.get("more_body"):
                raise HTTPException(413)

    return Request(request.scope, receive)
