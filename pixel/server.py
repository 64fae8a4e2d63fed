"""How every role is served over HTTP: what a stranger may take of connections, time and memory before anybody has read a request.

uvicorn waits for ever for the rest of a header, takes headers of any size and number, and any number of connections.
"""

import asyncio
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from pixel.answers import WHOLE, Answer, AnswerBody, Scope
from pixel.connections import ConnectionGuard, ServerLimits, limits_for, raise_descriptor_limit
from pixel.environment import Network

_SMALL_BODY = 16 * 1024
"""Bytes of a body that is held until it is whole; a larger one is read by the application."""


def server_config(
    app: Any,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    trusted_proxies: Sequence[Network] = (),
    limits: ServerLimits | None = None,
    **more: Any,
) -> uvicorn.Config:
    """Any role's application behind :class:`GuardedProtocol`: no access log, no server name, forwarding headers left to us."""
    limits = limits or limits_for(raise_descriptor_limit())
    guard = ConnectionGuard(limits, trusted_proxies)
    usual = {
        "lifespan": "on",
        "access_log": False,
        "log_level": "warning",
        "server_header": False,
        "proxy_headers": False,
        "ws": "none",
        "timeout_graceful_shutdown": 5,
    }
    protocol: Any = partial(GuardedProtocol, guard=guard, deadlines=Deadlines(limits))
    return uvicorn.Config(app, host=host, port=port, http=protocol, **{**usual, **more})


class Deadlines:
    """The moments until which connections wait for something. One timer looks after all of them while there are any, so that a
    request that comes in one piece sets none."""

    def __init__(self, limits: ServerLimits) -> None:
        self._period = min(1.0, limits.head_seconds / 4, limits.body_seconds / 4)
        self._connections: set[GuardedProtocol] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connection: "GuardedProtocol") -> None:
        self._connections.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(self._period, self._look, connection.loop)

    def forget(self, connection: "GuardedProtocol") -> None:
        self._connections.discard(connection)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        present = loop.time()
        for connection in [each for each in self._connections if each.deadline <= present]:
            connection.expire()
        self._timer = loop.call_later(self._period, self._look, loop) if self._connections else None


_NEVER = math.inf


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's own protocol with a bound on what a visitor may take. It costs a whole request in one piece next to nothing.

    An application with a method ``answer_soon`` is first asked to answer without a task (:meth:`pixel.app.EdgeApp.answer_soon`);
    one with ``answers_bodies`` takes a small body whole in the same way.
    """

    def __init__(self, *args: Any, guard: ConnectionGuard, deadlines: Deadlines, **more: Any) -> None:
        super().__init__(*args, **more)
        self.source = ""
        self.deadline = _NEVER
        """Until when what is waited for must have come, by the loop's clock."""
        self._guard, self._limits, self._deadlines = guard, guard.limits, deadlines
        self._own_app = self.app
        self._answer_soon = getattr(self.app, "answer_soon", None)
        self._answers_bodies = getattr(self.app, "answers_bodies", None)
        self._without_body: tuple[RequestResponseCycle, AnswerBody] | None = None
        """A request whose body is still coming, and who answers it then."""
        self._entered = False
        self._in_body = False
        self._is_idle = False
        """Between two requests."""
        self._undigested = 0
        """Bytes since the last head or piece of a body: of a head, of the extension of a chunk, of trailers."""

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.source = self._guard.source_of(self.client[0] if self.client else "")
        self._entered = self._guard.enter(self)
        self._deadlines.watch(self)
        if self._entered:
            self._expect(self._limits.head_seconds)
        else:
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def drop(self) -> None:
        """Ends the connection now; what it still sends is not read."""
        self._leave()
        self.transport.abort()

    def _leave(self) -> None:
        self._deadlines.forget(self)
        if self._entered:
            self._entered = False
            self._guard.leave(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect(self._limits.body_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._is_idle:
            self._rest()
        elif not self.transport.is_closing():
            self.deadline = _NEVER

    # the time

    def _expect(self, seconds: float) -> None:
        self.deadline = self.loop.time() + seconds

    def _rest(self) -> None:
        """Waits for a further request."""
        self._is_idle = True
        self._expect(self.timeout_keep_alive)

    def expire(self) -> None:
        """The deadline has passed."""
        self.deadline = _NEVER
        if self.transport.is_closing():
            self.drop()
        elif self._is_idle:
            self._close()
        elif self._undigested and not self._in_body:
            self._refuse(408)
        elif self._in_body and self.flow.read_paused:  # it is we who do not read
            self._expect(self._limits.body_seconds)
        else:
            self.drop()

    def _close(self) -> None:
        """Ends the connection once it has taken what was written to it, for which it has so long."""
        self._is_idle = False
        self._expect(self._limits.body_seconds)
        self.transport.close()

    # what comes

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._is_idle:
            self._is_idle, self.deadline = False, _NEVER
        self._undigested += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._undigested > self._limits.head_bytes:
            self._refuse(431)
        elif self._in_body:
            self._expect(self._limits.body_seconds)
        elif self._undigested and self.deadline == _NEVER:
            self._expect(self._limits.head_seconds)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._undigested = 0
        if self._without_body is not None and len(self._without_body[0].body) > _SMALL_BODY:
            (cycle, _), self._without_body = self._without_body, None
            self._start_task(cycle, self._own_app)

    def on_headers_complete(self) -> None:
        status = self._status_of_head()
        self._in_body, self._undigested = True, 0
        self._guard.works(self)
        self.deadline = _NEVER
        if status == 200:
            super().on_headers_complete()
        else:
            app, self.app = self.app, _refusal(status)
            super().on_headers_complete()
            self.app = app
        self.headers = []  # trailers are nobody's

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        scope: Any = cycle.scope
        soon = self._answer_soon if app is self._own_app else None
        if soon is not None and soon(scope, partial(self._reply, cycle)):
            return
        takes = self._answers_bodies(scope) if soon is not None and self._answers_bodies is not None else None
        if takes is None or cycle.waiting_for_100_continue:
            self._start_task(cycle, app)
        elif cycle.more_body:
            self._without_body = cycle, takes
        else:
            takes(scope, bytes(cycle.body), partial(self._reply, cycle))

    def _start_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.scope[WHOLE] = partial(_send_whole, cycle)  # type: ignore[literal-required]
        super()._start_asgi_task(cycle, app)

    def _reply(self, cycle: RequestResponseCycle, answer: Answer) -> None:
        if not _send_whole(cycle, answer) and not cycle.disconnected:
            app: Any = answer
            super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body, self._undigested = False, 0
        if self._without_body is not None and not self._without_body[0].more_body:
            (cycle, takes), self._without_body = self._without_body, None
            takes(cast(Scope, cycle.scope), bytes(cycle.body), partial(self._reply, cycle))
        if self.cycle.response_complete:  # it was answered before it had come whole
            self._rest()
        else:
            self.deadline = _NEVER

    def on_response_complete(self) -> None:
        """As uvicorn's, but for its timer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._expect(self._limits.body_seconds)
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self._entered:
            self._guard.waits(self)
        if not self._undigested:
            self._rest()

    def _status_of_head(self) -> int:
        """200, or what is wrong with the headers that have come."""
        limits = self._limits
        if len(self.headers) > limits.headers:
            return 431
        if self._undigested > limits.head_bytes:  # what follows may have come with it
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.head_bytes:
                return 431
        hosts = [value for name, value in self.headers if name == b"host"]
        # RFC 9112 section 3.2
        if len(hosts) > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            return 400
        return 200

    def _refuse(self, status: int) -> None:
        """Answers without the application, where no answer is on its way, and ends the connection."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self._close()


def _send_whole(cycle: RequestResponseCycle, answer: Answer) -> bool:
    """Writes a whole answer. False where that cannot be done, and then nothing is written: the application sends as usual."""
    if cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
        return False
    cycle.response_started = cycle.response_complete = True
    head = STATUS_LINE[answer.status] + _of_server(cycle.default_headers) + answer.lines
    cycle.transport.write(head + (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n") + answer.body)
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.message_event.set()
    cycle.on_response()
    return True


_joined: list[Any] = [None, b""]


def _of_server(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The date, which uvicorn makes anew every second."""
    if headers is not _joined[0]:
        _joined[:] = headers, b"".join(b"%s: %s\r\n" % pair for pair in headers)
    joined: bytes = _joined[1]
    return joined


def _refusal(status: int) -> Any:
    """An application that answers every request with this status and ends the connection."""

    async def refuse(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return refuse
