"""One connection: requests are taken from it one after the other, and answered in their order."""

import asyncio
from contextvars import Context
from time import monotonic
from typing import Any, Final

from ogrom.http import Request
from ogrom.serve._answer import CONTINUE, PROCESSING
from ogrom.serve._answering import CLOSE, NEVER, Answering
from ogrom.serve._content import Content
from ogrom.serve._head import END, BadHead, Head, parse, take
from ogrom.serve._refusal import ClientGone, refuse
from ogrom.serve._shared import Shared

PIPELINED: Final = 32
"""How many requests of one connection are answered before others have their turn."""

_HIGH: Final = 64 << 10
"""So many bytes wait for us at most; past it the client has to."""

_LINGER: Final = 2.0
"""For how many seconds a client may take to notice that its connection ends."""


class Connection(Answering, asyncio.Protocol):
    """Takes requests, and writes answers. It changes with all that happens to it.

    Args:
        shared: what it has in common with the others.
    """

    __slots__ = (
        "_closing", "_eof", "_looked", "_paused", "_probes", "_scheduled", "_sent", "_unsent", "buffer", "due",
        "idle_since",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._looked = 0
        self._paused = self._scheduled = self._eof = self._closing = False
        self._sent = self._unsent = 0
        self._probes = 2
        self.buffer = bytearray()
        """What has come and was not taken."""
        self.idle_since = 0.0
        self.due = 0.0
        """When its patience ends, by `time.monotonic()`. While it is busy, see `sweep`."""

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) and peer else ""  # pyright: ignore[reportUnknownArgumentType]
        self.idle_since = monotonic()
        self.due = self.idle_since + self._shared.limits.head_seconds
        self._shared.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._closing:
            return
        if not (self.busy or self.buffer or self._left or self._scheduled or self._write_paused):
            end = data.find(END)
            if 0 < end == len(data) - 4 and end <= self._shared.limits.head and data[0] > 0x20:
                self._parse(data[:end])  # one head and nothing else, as most often
                return
            self.due = monotonic() + self._shared.limits.head_seconds
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
        """The client has nothing more to say, yet may wait for what it asked (RFC 9112, section 9.6)."""
        self._eof = True
        owed = self.busy or self._scheduled or self._write_paused
        lacks = self._content is not None and self._content.is_awaited  # and will never come
        if not owed or self._closing or lacks:
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
            self._probe()
            if self._content is not None:
                self._content.sweep(now)
            if now > self._answer_due and self._running is not None:
                self._answer_due = NEVER
                self._timed_out = True
                self._running.cancel()
        elif now > self.due:
            if self._closing or unsent:
                self._transport.abort()
            elif self.buffer:
                self._refuse(408, "The request did not come in time.")
            else:
                self._transport.close()

    def _probe(self) -> None:
        """A client that has ended its side waits, or is gone: only a write tells.

        An interim answer may come at any time (RFC 9110, section 15.2). Who is gone refuses the
        first, and the second finds that out. What is streamed already tells by itself.
        """
        begun = self._sending is not None and self._sending.has_begun
        if self._eof and self._probes and not begun and not self._transport.is_closing():
            self._probes -= 1
            if self._head.version:
                self._transport.write(PROCESSING)

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

    def more(self) -> None:
        """Let more of it come. Raises `ClientGone` where none will."""
        if self._eof:
            self._transport.close()
            raise ClientGone
        self._resume()

    def _resume(self) -> None:
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
            self._parse(head)
        self._resume()
        if self._eof and not (self.busy or self._scheduled or self._write_paused):
            self._transport.close()

    def _next_head(self) -> bytes | None:
        """The bytes of the next head, once it is whole; None too where it was refused."""
        if self._left:
            skipped = min(self._left, len(self.buffer))
            del self.buffer[:skipped]
            self._left -= skipped
            if not self._left:
                self._kept(monotonic())
        if not self.buffer:
            return None
        try:
            head = take(self.buffer, self._looked, self._shared.limits.head)
        except BadHead as error:
            self._refuse(error.status, error.detail)
            return None
        self._looked = 0 if head is not None else len(self.buffer)
        return head

    def _parse(self, raw: bytes) -> None:
        try:
            head = parse(raw, max_target=self._shared.limits.target)
        except BadHead as error:
            self._refuse(error.status, error.detail, raw)
            return
        self._begin(head)

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

    def _kept(self, now: float) -> None:
        self.idle_since = now
        limits = self._shared.limits
        if self._left:
            self.due = now + limits.content_seconds
        else:
            self.due = now + (limits.head_seconds if self.buffer else limits.idle_seconds)

    def _go_on(self) -> None:
        if self.buffer or self._eof:
            self._later()
        self._resume()

    def _refuse(self, status: int, detail: str, raw: bytes | None = None) -> None:
        """Answer a head that cannot be taken, and end the connection. It is `raw`, or what has come."""
        shared = self._shared
        request = Request(method="-", path="-", id=shared.writer.new_id())
        response = refuse(request, status, detail)
        self._transport.write(shared.writer.write(response, request.id, CLOSE))
        shared.answered(Context(), request, response, 0.0, self._client)
        if shared.hearing is not None:
            head = bytes(self.buffer) if raw is None else raw
            shared.hearing.refused(head, request, response, detail)
        self._finish()

    def _finish(self) -> None:
        """Say no more, and let the client notice before the connection goes (RFC 9112, 9.6)."""
        if self._transport.is_closing():
            return
        self._closing = True
        self.buffer.clear()
        self.due = monotonic() + _LINGER
        self._resume()
        if self._eof:
            self._transport.close()
        else:
            self._transport.write_eof()
