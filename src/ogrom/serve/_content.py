"""The content of one request, taken out of what a connection has read, when somebody asks for it."""

import asyncio
from time import monotonic
from typing import Final, Protocol

from ogrom.http import ContentTooLarge, Refused
from ogrom.serve._chunks import Chunks
from ogrom.serve._head import BadHead
from ogrom.serve._limits import Limits
from ogrom.serve._refusal import RequestTimeout

SKIPPED: Final = 64 << 10
"""So many bytes that nobody asked for may still come, for a connection to be kept."""


class Inlet(Protocol):
    """Where content comes from: a connection."""

    buffer: bytearray
    """What has come and was not taken. It changes with every byte that comes or is taken."""

    def proceed(self) -> None:
        """Tell a client that waits for it to send the content (RFC 9110, section 10.1.1)."""
        ...

    def more(self) -> None:
        """Let more come. Raises `ClientGone` where none will."""
        ...


class BadContent(Refused):
    """400: the content's framing is broken (RFC 9112, section 7.1)."""

    status = 400


class Content:
    """One request's content on its way. It changes with all that is taken.

    Args:
        inlet: where it comes from.
        length: how long it is, in bytes; -1 where it comes in chunks.
        limits: how much of it is taken, and for how long it may be on its way.
        loop: the running loop.
        expects: whether the client waits to be told that it may send it.
    """

    __slots__ = (
        "_chunks", "_due", "_expects", "_inlet", "_left", "_limits", "_loop", "_parts", "_size",
        "_waiting", "is_broken",
    )  # fmt: skip

    def __init__(
        self,
        inlet: Inlet,
        length: int,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        *,
        expects: bool,
    ) -> None:
        self._inlet: Final = inlet
        self._left = length
        self._limits: Final = limits
        self._loop: Final = loop
        self._expects: Final = expects
        self._chunks: Final = Chunks() if length < 0 else None
        self._parts: Final[list[bytes]] = []
        self._size = 0
        self._waiting: asyncio.Future[None] | None = None
        self._due = float("inf")
        self.is_broken = False
        """Whether nobody can tell any more where it ends."""

    async def read(self) -> bytes:
        """All of it.

        Raises:
            ContentTooLarge: it is longer than is taken.
            BadContent: it is broken.
            ClientGone: the client has ended its side before.
            RequestTimeout: it did not come in time.
        """
        inlet, limits = self._inlet, self._limits
        if self._left > limits.content:
            raise ContentTooLarge(f"At most {limits.content} bytes are read.")
        if self._expects and not inlet.buffer:
            inlet.proceed()
        self._due = monotonic() + limits.content_seconds
        while not self._take():
            inlet.more()
            self._waiting = self._loop.create_future()
            await self._waiting
        self._due = float("inf")
        self._waiting = None
        return b"".join(self._parts)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for it."""
        return self._waiting is not None

    def came(self) -> None:
        """More of it is there."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def sweep(self, now: float) -> None:
        """Look whether its time is up."""
        if now > self._due and self._waiting is not None and not self._waiting.done():
            self._due = float("inf")
            self.is_broken = True
            detail = f"The content did not come within {self._limits.content_seconds:g} seconds."
            self._waiting.set_exception(RequestTimeout(detail))

    def unread(self) -> int | None:
        """How many bytes nobody asked for; None where the next request is not found behind them."""
        if self.is_broken:
            return None
        if self._chunks is not None:
            return 0 if self._chunks.done else None
        missing = self._left - len(self._inlet.buffer)
        return self._left if missing <= (0 if self._expects else SKIPPED) else None

    def _take(self) -> bool:
        """Take what has come; whether that was all."""
        buffer = self._inlet.buffer
        if self._chunks is None:
            part = bytes(buffer[: self._left])
            del buffer[: len(part)]
            self._left -= len(part)
        else:
            try:
                part, rest = self._chunks.feed(buffer)
            except BadHead as error:
                self.is_broken = True
                raise BadContent(error.detail) from None
            buffer[:] = rest
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._limits.content:
            self.is_broken = True
            raise ContentTooLarge(f"At most {self._limits.content} bytes are read.")
        return self._chunks.done if self._chunks is not None else not self._left
