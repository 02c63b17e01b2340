"""One connection: requests are taken from it one after the other, and answered in their order."""

import asyncio
import socket
import struct
from contextvars import Context
from time import monotonic
from typing import Any, Final

from msgspec import structs

from ogrom import deadline, tracing
from ogrom.http import Request, Response
from ogrom.serve._answer import CONTINUE
from ogrom.serve._app import health
from ogrom.serve._content import Content
from ogrom.serve._eager import Eager
from ogrom.serve._head import END, BadHead, Head, parse, take
from ogrom.serve._refusal import CLIENT_CLOSED_REQUEST, ClientGone, refuse
from ogrom.serve._shared import Shared
from ogrom.serve._stream import Sending, Wire, declared

PIPELINED: Final = 32
"""How many requests of one connection are answered before others have their turn."""

_HIGH: Final = 64 << 10
"""So many bytes wait for us at most; past it the client has to."""

_LINGER: Final = 2.0
"""For how many seconds a client may take to notice that its connection ends."""

_CLOSE: Final = b"Connection: close\r\n"
_KEEP: Final = b"Connection: keep-alive\r\n"
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""Lingering for no second at all: TCP sends a reset in place of an end."""
_NEVER: Final = float("inf")


class Connection(asyncio.Protocol):
    """Takes requests, and writes answers. It changes with all that happens to it.

    Args:
        shared: what it has in common with the others.
    """

    __slots__ = (
        "_answer_due",
        "_client",
        "_closing",
        "_content",
        "_context",
        "_eof",
        "_head",
        "_is_internal",
        "_keep",
        "_looked",
        "_paused",
        "_request",
        "_room",
        "_running",
        "_scheduled",
        "_sending",
        "_sent",
        "_shared",
        "_started",
        "_timed_out",
        "_transport",
        "_unsent",
        "_write_paused",
        "buffer",
        "busy",
        "due",
        "idle_since",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        self._shared: Final = shared
        self._transport: Any = None
        self._client = ""
        self._looked = 0
        self._paused = self._write_paused = self._scheduled = self._eof = self._closing = False
        self._running: Eager | None = None
        self._content: Content | None = None
        self._sending: Sending | None = None
        self._room: asyncio.Future[None] | None = None
        self._sent = self._unsent = 0
        self._timed_out = self._is_internal = False
        self._answer_due = _NEVER
        self.buffer = bytearray()
        """What has come and was not taken."""
        self.busy = False
        """Whether a request is being answered."""
        self.idle_since = 0.0
        self.due = 0.0
        """When its patience ends: the loop's time. While it is busy, see `sweep`."""

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) and peer else ""  # pyright: ignore[reportUnknownArgumentType]
        self.idle_since = self._shared.loop.time()
        self.due = self.idle_since + self._shared.limits.head_seconds
        self._shared.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._closing:
            return
        if not (self.busy or self.buffer or self._scheduled or self._write_paused):
            end = data.find(END)
            if 0 < end == len(data) - 4 and end <= self._shared.limits.head and data[0] > 0x20:
                self._begin(data[:end])  # one head and nothing else, as most often
                return
            self.due = self._shared.loop.time() + self._shared.limits.head_seconds
        buffer = self.buffer
        buffer += data
        if self.busy:
            if self._content is not None:
                self._content.came()
        elif not self._scheduled:
            self._take()
        if len(buffer) > _HIGH and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has nothing more to say. Who waits for an answer keeps the connection whole."""
        self._eof = True
        if self.busy or self._closing or not self._scheduled:
            self._transport.close()
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and so is whoever works for it."""
        del exc
        self._closing = True
        self._shared.connections.discard(self)
        if self._running is not None:
            self._running.cancel()

    def pause_writing(self) -> None:
        """The client does not read."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._write_paused = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._later()

    # What the server says.

    def sweep(self, now: float) -> None:
        """Look whether its time is up."""
        limits = self._shared.limits
        unsent: int = self._transport.get_write_buffer_size()
        sending = self._sending
        if (
            unsent
            and unsent >= self._unsent > 0
            and (sending is None or sending.sent == self._sent)
        ):
            if now > self.due and (sending is not None or not self.busy):
                self._transport.abort()
                return
        elif unsent:  # the client reads
            self.due = now + limits.content_seconds
        self._unsent = unsent
        self._sent = 0 if sending is None else sending.sent
        if self.busy:
            if self._content is not None:
                self._content.sweep(now)
            if now > self._answer_due and self._running is not None:
                self._answer_due = _NEVER
                self._timed_out = True
                self._running.cancel()
        elif now > self.due:
            if self._closing or unsent:
                self._transport.abort()
            elif self.buffer:
                self._refuse(408, "The request did not come in time.")
            else:
                self._transport.close()

    def is_idle(self) -> bool:
        """Whether nothing of it is under way."""
        return (
            not (self.busy or self.buffer or self._closing)
            and not self._transport.get_write_buffer_size()
        )

    def close(self) -> None:
        """Close it when all that was written is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Cut it."""
        self._transport.abort()

    # What the content of a request asks for.

    def proceed(self) -> None:
        """Tell the client to send the content."""
        self._transport.write(CONTINUE)

    def resume(self) -> None:
        """Read again, where there is room."""
        if self._paused and len(self.buffer) <= _HIGH and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # Requests.

    def _later(self) -> None:
        if not (self._scheduled or self.busy or self._closing or self._transport.is_closing()):
            self._scheduled = True
            self._shared.loop.call_soon(self._again, context=self._shared.context)

    def _again(self) -> None:
        self._scheduled = False
        if not (self.busy or self._closing):
            self._take()

    def _take(self) -> None:
        """Answer what has come whole, up to a request that has to wait."""
        turns = PIPELINED
        while not (self.busy or self._closing or self._write_paused):
            if not turns:
                self._later()
                break
            head = self._next_head()
            if head is None:
                break
            turns -= 1
            self._begin(head)
        if self._eof and not (self.busy or self._scheduled):
            self._transport.close()

    def _next_head(self) -> bytes | None:
        """The bytes of the next head, once it is whole; None too where it was refused."""
        try:
            head = take(self.buffer, self._looked, self._shared.limits.head)
        except BadHead as error:
            self._refuse(error.status, error.detail)
            return None
        self._looked = 0 if head is not None else len(self.buffer)
        return head

    def _begin(self, raw: bytes) -> None:
        shared = self._shared
        limits = shared.limits
        try:
            head = parse(raw, max_target=limits.target)
        except BadHead as error:
            self._refuse(error.status, error.detail)
            return
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
        context.run(_set, started + limits.answer_seconds, headers)
        if head.path[:3] == "/-/":
            self._is_internal = True
            work = self._internal(request)
        else:
            work = shared.app.service.respond(request)
            if shared.draining:
                shared.last_asked = shared.loop.time()
        self.busy = True
        shared.in_flight += 1
        running = Eager(work, shared.loop, context, self._done)
        running.start()
        if not running.is_done:
            self._running = running
            self._answer_due = shared.loop.time() + limits.answer_seconds

    def _content_of(self, head: Head) -> Any:
        """What is there already; else what reads it."""
        buffer, shared = self.buffer, self._shared
        length = head.length
        if 0 < length <= min(len(buffer), shared.limits.content):
            content = bytes(buffer[:length])
            del buffer[:length]
            return content
        self._content = Content(self, length, shared.limits, shared.loop, expects=head.expects)
        return self._content.read

    async def _internal(self, request: Request) -> Response:
        shared = self._shared
        found = await health(
            shared.app, request.path, draining=shared.draining, siblings=shared.siblings
        )
        return found or await shared.app.service.respond(request)

    def _done(self, work: Eager) -> None:
        shared, request = self._shared, self._request
        waited = self._running is not None
        if waited:
            self._running = None
            self._answer_due = _NEVER
        response: Response = work.value if work.error is None else self._failed(work.error)
        gone = self._transport.is_closing()
        if gone or (response.error is not None and isinstance(response.error, ClientGone)):
            response = Response(status=CLIENT_CLOSED_REQUEST, route=response.route)
        keep = self._head.keep_alive and not shared.draining
        if self._content is not None:
            keep = self._content.skip() and keep
            self._content = None
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
        self.busy = False
        shared.in_flight -= 1
        if self._is_internal:
            self._is_internal = False
        else:
            seconds = monotonic() - self._started
            shared.answered(self._context, self._request, response, seconds, self._client)
        if keep:
            self.idle_since = now = shared.loop.time()
            limits = shared.limits
            self.due = now + (limits.head_seconds if self.buffer else limits.idle_seconds)
        else:
            self._finish()

    def _go_on(self) -> None:
        """With what has come while a request was answered."""
        if self.buffer:
            self._later()
        self.resume()

    def _send(self, response: Response, keep: bool) -> bool:
        """Begin to send what is made while it is sent; whether there will be anything to wait for."""
        shared, head = self._shared, self._head
        chunked = head.minor == 1 and declared(response) is None
        if not (chunked or declared(response) is not None):  # HTTP/1.0: the end of it is the end
            keep = False
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
        self._sending, self._keep, self._sent = sending, keep, -1
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
        line = self._connection(keep)
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
            return b"" if self._head.minor else _KEEP  # HTTP/1.0 has to be told
        return _CLOSE

    def _reset(self) -> None:
        """End the connection so that the client notices, even one that takes its end for the content's."""
        self._closing = True
        known: socket.socket = self._transport.get_extra_info("socket")
        known.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._transport.abort()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer a head that cannot be taken, and end the connection."""
        shared = self._shared
        request = Request(method="-", path="-", id=shared.writer.new_id())
        response = refuse(request, status, detail)
        self._transport.write(shared.writer.write(response, request.id, _CLOSE))
        shared.answered(Context(), request, response, 0.0, self._client)
        self._finish()

    def _finish(self) -> None:
        """Say no more, and let the client notice before the connection goes (RFC 9112, 9.6)."""
        if self._transport.is_closing():
            return
        self._closing = True
        self.buffer.clear()
        self.due = self._shared.loop.time() + _LINGER
        self.resume()
        if self._eof:
            self._transport.close()
        else:
            self._transport.write_eof()


def _set(end: float, headers: dict[str, str]) -> None:
    deadline.set_end(end)
    tracing.set(headers.get("traceparent"), headers.get("tracestate"))
