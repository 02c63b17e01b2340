"""Content that is made while it is sent: the next piece is asked for when the client has room for it."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, Final, Protocol

from ogrom import deadline
from ogrom.http import Pieces, Response


class Outlet(Protocol):
    """Where a response goes. Each of these returns when there is room for more."""

    async def begin(self) -> None:
        """Send the head."""
        ...

    async def piece(self, data: bytes) -> None:
        """Send some of the content."""
        ...

    async def end(self) -> None:
        """Say that this was all."""
        ...


class Producer:
    """Makes pieces, one at a time. It changes with each.

    Args:
        pieces: the content.
        length: how long it was said to be, in bytes; None where nothing was said.
        seconds: how long one piece may take.
    """

    def __init__(self, pieces: Pieces, length: int | None, seconds: float) -> None:
        self._source: Final = pieces
        self._waits: Final = isinstance(pieces, AsyncIterable)
        self._iterator: Any = None
        self._length: Final = length
        self._seconds: Final = seconds
        self._size = 0

    async def next(self) -> bytes:
        """The next piece; b"" at the end. `deadline.left` tells whoever makes it how long it has.

        Raises:
            TimeoutError: it took too long.
            ValueError: there is more, or less, than was said.
        """
        if self._iterator is None:
            source: Any = self._source
            self._iterator = aiter(source) if self._waits else iter(source)
        deadline.set(seconds=self._seconds)
        piece = b""
        while not piece:  # an empty one is none: in chunks it would be the end
            if self._waits:
                async with asyncio.timeout(self._seconds):
                    found = await anext(self._iterator, None)
            else:
                found = next(self._iterator, None)
            if found is None:
                break
            piece = found
        self._size += len(piece)
        length = self._length
        if length is not None and (self._size > length or (not piece and self._size < length)):
            raise ValueError(f"Content-Length says {length} bytes, and {self._size} were made.")
        return piece

    async def close(self) -> None:
        """Let whoever makes them tidy up."""
        of = self._source if self._iterator is None else self._iterator
        if (close := getattr(of, "aclose", None)) is not None:
            await close()
        elif (close := getattr(of, "close", None)) is not None:
            close()


class Sending:
    """One response on its way. It changes until it is sent.

    Args:
        response: it has `pieces`.
        outlet: where it goes.
        seconds: how long one piece may take.
        bare: whether only the head is sent (HEAD).
    """

    def __init__(self, response: Response, outlet: Outlet, *, seconds: float, bare: bool) -> None:
        assert response.pieces is not None
        self._producer: Final = Producer(response.pieces, declared(response), seconds)
        self._outlet: Final = outlet
        self._bare: Final = bare
        self.response: Final = response
        self.has_begun = False
        """Whether the client has been sent anything."""
        self.sent = 0
        """How many bytes of content were sent."""

    async def run(self) -> None:
        """Send it all, from its head to its end.

        Raises:
            Exception: making it failed. What was sent, if anything, is not whole.
        """
        producer, outlet = self._producer, self._outlet
        try:
            piece = b"" if self._bare else await producer.next()
            self.has_begun = True
            await outlet.begin()
            while piece:
                self.sent += len(piece)
                await outlet.piece(piece)
                piece = await producer.next()
            await outlet.end()
        finally:
            await producer.close()


class Wire:
    """A response on a connection of our own server.

    Args:
        head: as it is sent, with the empty line.
        chunked: whether pieces go as chunks (RFC 9112, section 7.1); else as they are.
        put: sends bytes, and never waits.
        room: returns when the client has taken so much that more can be sent.
    """

    def __init__(
        self,
        head: bytes,
        *,
        chunked: bool,
        put: Callable[[bytes], object],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._head: Final = head
        self._chunked: Final = chunked
        self._put: Final = put
        self._room: Final = room

    async def begin(self) -> None:
        """Send the head."""
        self._put(self._head)

    async def piece(self, data: bytes) -> None:
        """Send some of the content."""
        self._put(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        await self._room()

    async def end(self) -> None:
        """Say that this was all."""
        if self._chunked:
            self._put(b"0\r\n\r\n")


def declared(response: Response) -> int | None:
    """How long a response says that its content is."""
    for name, value in response.headers:
        if name.lower() == "content-length":
            return int(value)
    return None
