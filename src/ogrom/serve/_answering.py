"""Requests are answered on a transport, one after the other: what a resource says becomes bytes, at once
or piece by piece. How requests are read is `_connection`'s matter.
"""

import asyncio
import socket
import struct
from abc import ABC, abstractmethod
from time import monotonic
from typing import Any, Final

from msgspec import structs

from ogrom import deadline, tracing
from ogrom._eager import Eager
from ogrom.http import Request, Response
from ogrom.serve._app import health
from ogrom.serve._content import Content
from ogrom.serve._head import Head
from ogrom.serve._refusal import CLIENT_CLOSED_REQUEST, ClientGone, refuse
from ogrom.serve._shared import Shared
from ogrom.serve._stream import Sending, Wire, declared
from ogrom.tracing import Trace

NEVER: Final = float("inf")
CLOSE: Final = b"Connection: close\r\n"
_KEEP: Final = b"Connection: keep-alive\r\n"
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""Lingering for no second at all: TCP sends a reset in place of an end."""


class Answering(ABC):
    """Answers one request after the other. It changes with all that happens to them.

    Args:
        shared: what all connections have in common.
    """

    __slots__ = (
        "_answer_due", "_client", "_content", "_context", "_head", "_is_internal", "_keep", "_left", "_request",
        "_room", "_running", "_sending", "_shared", "_started", "_timed_out", "_transport",
        "_write_paused", "busy",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        self._shared: Final = shared
        self._transport: Any = None
        self._client = ""
        self._running: Eager | None = None
        self._content: Content | None = None
        self._sending: Sending | None = None
        self._room: asyncio.Future[None] | None = None
        self._write_paused = self._timed_out = self._is_internal = self._keep = False
        self._answer_due = NEVER
        self._left = 0
        """How many bytes of a request's content nobody has asked for."""
        self.busy = False
        """Whether a request is being answered."""

    @abstractmethod
    def _content_of(self, head: Head) -> Any:
        """A request's content, or what reads it."""

    @abstractmethod
    def _kept(self, now: float) -> None:
        """A request is answered, and there may be another."""

    @abstractmethod
    def _finish(self) -> None:
        """A request is answered, and was the last."""

    @abstractmethod
    def _go_on(self) -> None:
        """Take what has come while a request was answered."""

    def _begin(self, head: Head) -> None:
        """Answer a request, unless that has to wait."""
        shared = self._shared
        limits = shared.limits
        self._head = head
        self._started = started = monotonic()
        headers = head.headers
        self._request = request = Request(
            method=head.method,
            path=head.path,
            query=head.query,
            headers=headers,
            content=self._content_of(head) if head.length else b"",
            id=head.id or shared.writer.new_id(),
        )
        self._context = context = shared.context.copy()
        context.run(deadline.set_end, started + limits.answer_seconds)
        context.run(tracing.set_trace, Trace(headers.get("traceparent"), headers.get("tracestate")))
        if head.path[:3] == "/-/":
            self._is_internal = True
            work = self._internal(request)
        else:
            work = shared.respond(request)
            if shared.draining:
                shared.last_asked = started
        self.busy = True
        shared.in_flight += 1
        running = Eager(work, shared.loop, context, self._done)
        running.start()
        if not running.is_done:
            self._running = running
            self._answer_due = started + limits.answer_seconds

    async def _internal(self, request: Request) -> Response:
        shared = self._shared
        found = await health(
            shared.app, request, draining=shared.draining, siblings=shared.siblings
        )
        return found or await shared.respond(request)

    def _done(self, work: Eager) -> None:
        shared, request = self._shared, self._request
        waited = self._running is not None
        if waited:
            self._running = None
            self._answer_due = NEVER
        response: Response = work.value if work.error is None else self._failed(work.error)
        gone = self._transport.is_closing()
        if gone or (response.error is not None and isinstance(response.error, ClientGone)):
            response = Response(status=CLIENT_CLOSED_REQUEST, route=response.route)
        keep = self._head.keep_alive and not shared.draining
        if self._content is not None:
            left = self._content.unread()
            keep = keep and left is not None
            self._left, self._content = left or 0, None
        if not gone:
            if response.pieces is not None and self._send(response, keep):
                return
            response = self._write(request, response, keep)
        self._end(response, keep)
        if waited:
            self._go_on()

    def _end(self, response: Response, keep: bool) -> None:
        """A request is answered, well or not."""
        shared = self._shared
        now = monotonic()
        self.busy = False
        shared.in_flight -= 1
        if self._is_internal:
            self._is_internal = False
        else:
            seconds = now - self._started
            shared.answered(self._context, self._request, response, seconds, self._client)
        if keep:
            self._kept(now)
        else:
            self._finish()

    def _send(self, response: Response, keep: bool) -> bool:
        """Begin to send what is made while it is sent; whether there will be anything to wait for."""
        shared, head = self._shared, self._head
        is_open = declared(response) is None
        chunked = is_open and head.version == 1
        keep = keep and (chunked or not is_open)  # HTTP/1.0: where the connection ends, it ends
        extra = self._connection(keep) + (_CHUNKED if chunked else b"")
        try:
            written = shared.writer.write(response, self._request.id, extra)
        except ValueError:  # the ordinary way says so
            return False
        bare = head.method == "HEAD"
        outlet = Wire(
            written, chunked=chunked and not bare, put=self._transport.write, room=self._has_room
        )
        sending = Sending(response, outlet, seconds=shared.limits.answer_seconds, bare=bare)
        self._sending, self._keep = sending, keep
        work = Eager(sending.run(), shared.loop, self._context, self._sent_all)
        self._running = work
        work.start()
        return True

    async def _has_room(self) -> None:
        if self._write_paused:
            self._room = self._shared.loop.create_future()
            await self._room
        else:
            await asyncio.sleep(0)  # who makes pieces without waiting lets others have their turn

    def _sent_all(self, work: Eager) -> None:
        """What was made while it was sent is sent, or never will be."""
        sending, error, keep = self._sending, work.error, self._keep
        assert sending is not None
        self._running = self._sending = self._room = None
        response = structs.replace(sending.response, pieces=None, streamed=sending.sent)
        if self._transport.is_closing():
            response = structs.replace(response, status=CLIENT_CLOSED_REQUEST)
        elif error is not None:
            if sending.has_begun:  # there is no other way to say it
                response = structs.replace(response, error=error)
                self._shared.cut += 1
                keep = False
                self._reset()
            else:
                self._timed_out = isinstance(error, TimeoutError)
                response = self._write(self._request, self._failed(error), keep)
        self._end(response, keep)
        self._go_on()

    def _failed(self, error: BaseException) -> Response:
        """What is answered where a service raised, or was ended."""
        if self._timed_out:
            self._timed_out = False
            return refuse(self._request, 503, "This took too long. Try again later.", error)
        return refuse(self._request, 500, "Something went wrong here.", error)

    def _write(self, request: Request, response: Response, keep: bool) -> Response:
        line = b"" if keep and self._head.version else self._connection(keep)
        writer = self._shared.writer
        try:
            written = writer.write(response, request.id, line)
        except ValueError as error:
            response = refuse(request, 500, "The answer could not be sent.", error)
            written = writer.write(response, request.id, line)
        self._transport.write(written)
        return response

    def _connection(self, keep: bool) -> bytes:
        """What the answer says of the connection."""
        if keep:
            return b"" if self._head.version else _KEEP  # HTTP/1.0 has to be told
        return CLOSE

    def _reset(self) -> None:
        """End the connection so that the client notices, even one that takes its end for the content's."""
        known: socket.socket = self._transport.get_extra_info("socket")
        known.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._transport.abort()
