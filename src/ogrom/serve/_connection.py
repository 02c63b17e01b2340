"""One connection: requests are taken from it one after the other, and answered in their order."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from time import perf_counter
from typing import Any, Final, Protocol

from ogrom import deadline, tracing
from ogrom.http import ContentTooLarge, Refused, Request, Response
from ogrom.serve._answer import CONTINUE, PROCESSING, Writer
from ogrom.serve._app import App, health
from ogrom.serve._chunks import Chunks
from ogrom.serve._eager import Eager
from ogrom.serve._head import END, BadHead, Head, parse
from ogrom.serve._limits import Limits
from ogrom.serve._refusal import (
    CLIENT_CLOSED_REQUEST,
    REQUEST_ID,
    ClientGone,
    RequestTimeout,
    refuse,
)

PIPELINED: Final = 32
"""How many requests of one connection are answered before others have their turn."""

_HIGH: Final = 64 << 10
"""So many bytes wait for us at most; past it the client has to."""

_LINGER: Final = 2.0
"""For how many seconds a client may take to notice that its connection ends."""

_CLOSE: Final = b"Connection: close\r\n"
_KEEP: Final = b"Connection: keep-alive\r\n"
_NEVER: Final = float("inf")


class Serving(Protocol):
    """What all connections of a server share."""

    @property
    def app(self) -> App:
        """What is served."""
        ...

    @property
    def limits(self) -> Limits:
        """What is taken at most."""
        ...

    @property
    def writer(self) -> Writer:
        """Writes answers."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that runs it all."""
        ...

    @property
    def context(self) -> Context:
        """What every request's context begins as."""
        ...

    @property
    def connections(self) -> "set[Connection]":
        """Those that are open."""
        ...

    in_flight: int
    draining: bool

    def answered(
        self, context: Context, request: Request, response: Response, seconds: float, client: str
    ) -> None:
        """Count and log an answer."""
        ...

    def active(self) -> None:
        """A client has asked for something."""
        ...


class BadContent(Refused):
    """400: the content's framing is broken (RFC 9112, section 7.1)."""

    status = 400


class Connection(asyncio.Protocol):
    """Takes requests, and writes answers. It changes with all that happens to it.

    Args:
        server: what it is one of.
    """

    __slots__ = (
        "_answer_due", "_buffer", "_chunks", "_client", "_closing", "_content_due", "_context", "_eof",
        "_head", "_keep", "_left", "_looked", "_out", "_parts", "_paused", "_probes", "_request",
        "_running", "_scheduled", "_server", "_size", "_started", "_timed_out", "_transport", "_unsent",
        "_waiting", "_write_paused", "busy", "due", "idle_since",
    )  # fmt: skip

    def __init__(self, server: Serving) -> None:
        self._server: Final = server
        self._transport: Any = None
        self._client = ""
        self._buffer = bytearray()
        self._looked = 0
        self._out: list[bytes] = []
        self._paused = self._write_paused = self._scheduled = self._eof = self._closing = False
        self._running: Eager | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._chunks: Chunks | None = None
        self._left = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._unsent = 0
        self._probes = 2
        self._timed_out = False
        self._keep = True
        self._answer_due = self._content_due = _NEVER
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
        self.idle_since = self._server.loop.time()
        self.due = self.idle_since + self._server.limits.head_seconds
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._closing:
            return
        buffer = self._buffer
        if not (buffer or self.busy or self._left > 0):  # a request begins
            self.due = self._server.loop.time() + self._server.limits.head_seconds
        buffer += data
        if self.busy:
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(None)
        elif not self._scheduled:
            self._take()
        if len(buffer) > _HIGH and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has nothing more to say, yet may wait for what it asked (RFC 9112, section 9.6)."""
        self._eof = True
        owed = self.busy or self._scheduled or self._write_paused
        if not owed or self._closing or self._waiting is not None:  # content that never comes
            self._transport.close()
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and so is whoever works for it."""
        del exc
        self._closing = True
        self._server.connections.discard(self)
        if self._running is not None:
            self._running.cancel()

    def pause_writing(self) -> None:
        """The client does not read."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._write_paused = False
        self._later()

    # What the server says.

    def sweep(self, now: float) -> None:
        """Look whether its time is up."""
        limits = self._server.limits
        unsent: int = self._transport.get_write_buffer_size()
        if unsent and unsent >= self._unsent > 0:
            if now > self.due and not self.busy:
                self._transport.abort()
                return
        elif unsent:  # it shrinks: the client reads
            self.due = now + limits.content_seconds
        self._unsent = unsent
        if self.busy:
            self._probe()
            if now > self._content_due and self._waiting is not None and not self._waiting.done():
                detail = f"The content did not come within {limits.content_seconds:g} seconds."
                self._content_due = _NEVER
                self._keep = False
                self._waiting.set_exception(RequestTimeout(detail))
            elif now > self._answer_due and self._running is not None:
                self._answer_due = _NEVER
                self._timed_out = True
                self._running.cancel()
        elif now > self.due:
            if self._closing or unsent:
                self._transport.abort()
            elif self._buffer:
                self._refuse(408, "The request did not come in time.")
            else:
                self._transport.close()

    def _probe(self) -> None:
        """A client that has ended its side waits, or is gone: only a write tells.

        An interim answer may come at any time (RFC 9110, section 15.2). Who is gone refuses the
        first, and the second finds that out.
        """
        if self._eof and self._probes and not self._transport.is_closing():
            self._probes -= 1
            if self._head.version:
                self._transport.write(PROCESSING)

    def is_idle(self) -> bool:
        """Whether nothing of it is under way."""
        return (
            not (self.busy or self._buffer or self._closing)
            and not self._transport.get_write_buffer_size()
        )

    def close(self) -> None:
        """Close it when all that was written is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Cut it."""
        self._transport.abort()

    # Requests.

    def _later(self) -> None:
        if not (self._scheduled or self.busy or self._closing):
            self._scheduled = True
            self._server.loop.call_soon(self._again, context=self._server.context)

    def _again(self) -> None:
        self._scheduled = False
        if not (self.busy or self._closing):
            self._take()

    def _take(self) -> None:
        """Answer what has come whole, up to a request that has to wait."""
        turns = PIPELINED
        while not (self.busy or self._closing or self._write_paused):
            head = self._next_head()
            if head is None:
                break
            if not turns:
                self._undo(head)
                self._later()
                break
            turns -= 1
            self._begin(head)
        self._flush()
        self._resume()
        if self._eof and not (self.busy or self._scheduled or self._write_paused):
            self._transport.close()

    def _undo(self, head: bytes) -> None:
        self._buffer[:0] = head + END

    def _next_head(self) -> bytes | None:
        """The bytes of the next head, once it is whole; None too where it was refused."""
        buffer = self._buffer
        if self._left > 0:  # content that nobody asked for
            skipped = min(self._left, len(buffer))
            del buffer[:skipped]
            self._left -= skipped
        if not buffer:
            return None
        while buffer.startswith(b"\r\n"):  # RFC 9112, section 2.2
            del buffer[:2]
        limits = self._server.limits
        end = buffer.find(END, max(0, self._looked - 3))
        if 0 <= end <= limits.head:
            head = bytes(buffer[:end])
            del buffer[: end + 4]
            self._looked = 0
            return head
        self._looked = len(buffer)
        line = buffer.find(b"\n")
        if line == 0 or (line > 0 and buffer[line - 1] != 0x0D):
            self._refuse(400, "A line does not end with CRLF (RFC 9112, section 2.2).")
        elif len(buffer) > limits.head:
            if not 0 <= line <= limits.head:
                self._refuse(414, "The URI is too long.")
            else:
                self._refuse(431, f"More than {limits.head} bytes of header fields.")
        return None

    def _begin(self, raw: bytes) -> None:
        server = self._server
        limits = server.limits
        try:
            head = parse(raw, max_target=limits.target)
        except BadHead as error:
            self._refuse(error.status, error.detail)
            return
        headers = head.headers
        given = headers.get("x-request-id")
        self._head = head
        self._keep = head.keep_alive
        self._started = perf_counter()
        self._request = request = Request(
            method=head.method,
            path=head.path,
            query=head.query,
            headers=headers,
            content=self._content(head) if head.length else b"",
            id=given if given and REQUEST_ID.fullmatch(given) else server.writer.new_id(),
        )
        self._context = context = server.context.copy()
        context.run(_set, limits.answer_seconds, headers)
        internal = head.path.startswith("/-/")
        if not internal:
            server.active()
        work = self._internal(request) if internal else server.app.service.respond(request)
        self.busy = True
        server.in_flight += 1
        running = Eager(work, server.loop, context, self._done)
        running.start()
        if not running.done_:
            self._running = running
            self._answer_due = server.loop.time() + limits.answer_seconds

    async def _internal(self, request: Request) -> Response:
        server = self._server
        found = await health(server.app, request, draining=server.draining)
        return found or await server.app.service.respond(request)

    def _done(self, eager: Eager) -> None:
        server, request = self._server, self._request
        waited = self._running is not None
        self._running = self._waiting = None
        self._answer_due = self._content_due = _NEVER
        error = eager.exception()
        if error is None:
            response: Response = eager.result()
        elif self._transport.is_closing():
            response = Response(status=CLIENT_CLOSED_REQUEST)
        elif self._timed_out:
            response = refuse(request, 503, "This took too long. Try again later.", error)
        else:
            response = refuse(request, 500, "Something went wrong here.", error)
        self._timed_out = False
        if isinstance(response.error, ClientGone) or self._transport.is_closing():
            response = Response(status=CLIENT_CLOSED_REQUEST, route=response.route)
        self.busy = False
        server.in_flight -= 1
        keep = self._keep and self._skip() and not server.draining
        if not self._transport.is_closing():
            response = self._write(request, response, keep)
        server.answered(
            self._context, request, response, perf_counter() - self._started, self._client
        )
        if not keep:
            self._finish()
        else:
            self.idle_since = now = server.loop.time()
            limits = server.limits
            if self._left > 0:
                self.due = now + limits.content_seconds
            else:
                self.due = now + (limits.head_seconds if self._buffer else limits.idle_seconds)
        if waited:
            self._flush()
            if self._buffer or self._eof:
                self._later()
            self._resume()

    def _write(self, request: Request, response: Response, keep: bool) -> Response:
        line = b"" if keep else _CLOSE
        if keep and "connection" in request.headers:  # HTTP/1.0 has to be told
            line = _KEEP
        writer = self._server.writer
        try:
            written = writer.write(response, request.id, line)
        except ValueError as error:
            response = refuse(request, 500, "The answer could not be sent.", error)
            written = writer.write(response, request.id, line)
        self._out.append(written)
        if len(written) > _HIGH:  # the transport says when it is too much; what waits here does not
            self._flush()
        return response

    def _refuse(self, status: int, detail: str) -> None:
        """Answer a head that cannot be taken, and end the connection."""
        request = Request(method="-", path="-", id=self._server.writer.new_id())
        response = refuse(request, status, detail)
        self._out.append(self._server.writer.write(response, request.id, _CLOSE))
        self._server.answered(self._server.context, request, response, 0.0, self._client)
        self._finish()

    def _finish(self) -> None:
        """Say no more, and let the client notice before the connection goes (RFC 9112, 9.6)."""
        self._flush()
        if self._transport.is_closing():
            return
        self._closing = True
        self._buffer.clear()
        self.due = self._server.loop.time() + _LINGER
        self._resume()
        if self._eof:
            self._transport.close()
        else:
            self._transport.write_eof()

    def _flush(self) -> None:
        out = self._out
        if out:
            if not self._transport.is_closing():
                self._transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()

    def _resume(self) -> None:
        if self._paused and len(self._buffer) <= _HIGH and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # Content.

    def _content(self, head: Head) -> "bytes | Callable[[], Any]":
        """What is there already; else what reads it."""
        length = head.length
        if 0 < length <= min(len(self._buffer), self._server.limits.content):
            content = bytes(self._buffer[:length])
            del self._buffer[:length]
            self._left = 0
            self._chunks = None
            return content
        self._left = length
        self._chunks = Chunks() if length < 0 else None
        self._parts = []
        self._size = 0
        return self._read

    async def _read(self) -> bytes:
        server, limits = self._server, self._server.limits
        if self._left > limits.content:
            raise ContentTooLarge(f"At most {limits.content} bytes are read.")
        if self._head.expects and not self._buffer:
            self._out.append(CONTINUE)
            self._flush()
        self._content_due = server.loop.time() + limits.content_seconds
        while not self._consume():
            if self._eof:
                self._transport.close()
                raise ClientGone
            self._resume()
            self._waiting = server.loop.create_future()
            await self._waiting
        self._content_due = _NEVER
        self._waiting = None
        return b"".join(self._parts)

    def _consume(self) -> bool:
        """Take content out of the buffer; whether that was all."""
        buffer = self._buffer
        if self._chunks is None:
            part = bytes(buffer[: self._left])
            del buffer[: len(part)]
            self._left -= len(part)
        else:
            try:
                part, rest = self._chunks.feed(buffer)
            except BadHead as error:
                self._keep = False
                raise BadContent(error.detail) from None
            buffer[:] = rest
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._server.limits.content:
            self._keep = False
            raise ContentTooLarge(f"At most {self._server.limits.content} bytes are read.")
        return self._chunks.done if self._chunks is not None else not self._left

    def _skip(self) -> bool:
        """Whether the next request can be found behind content that nobody asked for."""
        if not self._head.length:
            return True
        if self._chunks is not None:
            return self._chunks.done
        missing = self._left - len(self._buffer)
        return missing <= 0 or (missing <= _HIGH and not self._head.expects)


def _set(seconds: float, headers: dict[str, str]) -> None:
    deadline.set(seconds=seconds)
    tracing.set(headers.get("traceparent"), headers.get("tracestate"))
