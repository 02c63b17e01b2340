"""HTTP/1.1 (RFC 9112) to one server, at the cost of little more than the system's calls.

For a server that is asked again and again and answers in whole messages: JSON of known size or in
chunks. No redirects, cookies, compression, proxies or upgrades. What it says again is parsed once.
Connections are kept and bounded in number. Every question has its time; an answer, a most size.

Rule 1. A connection carries one question at a time, and is used again only where its answer was
        whole, was all that came, and did not end it.
Rule 2. Where a kept connection breaks before a byte of the answer, the server had closed it in the
        meantime: the question is sent once more, over a new one. Nothing else is sent twice. What
        must not be, goes over a new one from the first.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

MOST: Final = 128 << 20
"""How many bytes of content are taken."""

KEPT: Final = 60.0
"""Seconds after which a connection that nobody has used is not used again."""

_HEAD = 32 << 10  # bytes of a head, or of what comes before and after chunks
_PIECE = 128 << 10  # what is sent at once; the loop goes on meanwhile

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n\0]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_TARGET = re.compile(r"/[!-~]*")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n\0]*)?")

_CHUNKED = -1
_TO_THE_END = -2


class Broken(ConnectionError):
    """The connection ended before the answer did; `begun`: after a part of it."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


class Garbage(ValueError):
    """What came is no HTTP, or more than is taken; the message says which."""


class Head(NamedTuple):
    """What a head says, as far as it is read."""

    status: int
    length: int
    """Bytes of content; below 0, how else it ends."""
    keep: bool


@lru_cache(256)
def head(raw: bytes) -> Head:
    """Read a head, without the empty line that ends it.

    Raises:
        Garbage: it is none, or says two things about the length of its content (RFC 9112, 6.3).
    """
    first, *lines = raw.split(b"\r\n")
    matched = _STATUS.fullmatch(first)
    if matched is None:
        raise Garbage(f"it does not speak HTTP/1.1: {_excerpt(raw)}")
    status, lengths, codings = int(matched[2]), set[bytes](), list[bytes]()
    keep = matched[1] == b"1"
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Garbage(f"a line of its head is none: {_excerpt(line)}")
        name, value = field[1].lower(), field[2].lower()
        if name == b"content-length":
            lengths.add(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"connection" and b"close" in re.split(rb"[ \t]*,[ \t]*", value):
            keep = False
    if codings:
        if codings != [b"chunked"] or lengths or matched[1] == b"0":
            raise Garbage("the length of its content is not clear")
        length = _CHUNKED
    elif lengths:
        [said, *others] = lengths
        if others or not _LENGTH.fullmatch(said):
            raise Garbage("the length of its content is not clear")
        length = int(said)
    else:
        length = _TO_THE_END
    if status < 200 or status in {204, 304}:
        length = 0
    return Head(status, length, keep and length != _TO_THE_END)


class Chunks:
    """Content in chunks (RFC 9112, 7.1), as it comes. It changes with every piece."""

    def __init__(self, most: int) -> None:
        self.content: Final = bytearray()
        self._most = most
        self._left = 0  # of the chunk that has begun
        self._ended = False  # whether that chunk's line end is to come
        self._last = False

    def take(self, came: bytearray) -> bool:
        """Take what can be read off `came`; whether this is all.

        Raises:
            Garbage: it is not in chunks, or too much.
        """
        while True:
            if self._left:
                piece = came[: self._left]
                self.content.extend(piece)
                self._left -= len(piece)
                del came[: len(piece)]
                if self._left:
                    return False
                self._ended = True
            if self._ended:
                if len(came) < 2:
                    return False
                if not came.startswith(b"\r\n"):
                    raise Garbage("its content is not in chunks, as it says")
                del came[:2]
                self._ended = False
            end = came.find(b"\r\n")
            if end > _HEAD or (end < 0 and len(came) > _HEAD):
                raise Garbage("its content is not in chunks, as it says")
            if end < 0:
                return False
            line = bytes(came[:end])
            del came[: end + 2]
            if self._last:  # what follows the last chunk is passed over
                if not line:
                    return True
                continue
            matched = _CHUNK.fullmatch(line)
            if matched is None:
                raise Garbage("its content is not in chunks, as it says")
            self._left = int(matched[1], 16)
            self._last = not self._left
            if len(self.content) + self._left > self._most:
                raise _too_much(self._most)


class _Connection(asyncio.Protocol):
    """One connection, with the question that is on its way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self.since = 0.0
        """When it was put aside, by the loop's clock."""
        self.open = False
        self._loop = loop
        self._most = most
        self._transport: Any = None
        self._waiting: asyncio.Future[tuple[int, bytearray]] | None = None
        self._paused: asyncio.Future[None] | None = None
        self._came = bytearray()
        self._heard = False
        self._head: Head | None = None
        self._chunks: Chunks | None = None

    # -- what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.open = True

    def pause_writing(self) -> None:
        self._paused = self._loop.create_future()

    def resume_writing(self) -> None:
        paused, self._paused = self._paused, None
        if paused is not None and not paused.done():
            paused.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.drop()  # nobody asked for it
            return
        self._heard = True
        self._came += data
        try:
            self._read()
        except Garbage as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._head is not None and self._head.length == _TO_THE_END and exc is None:
            self._done(self._head, self._came)
        elif self._came and self._head is None and not self._came.startswith(b"HTTP/"):
            self._fail(Garbage(f"it does not speak HTTP/1.1: {_excerpt(bytes(self._came))}"))
        else:
            why = "it has closed the connection" + (f" ({exc})" if exc else "")
            self._fail(Broken(why, begun=self._heard))

    # -- what comes

    def _read(self) -> None:
        while (read := self._head) is None:
            end = self._came.find(b"\r\n\r\n")
            if end > _HEAD or (end < 0 and len(self._came) > _HEAD):
                raise Garbage(f"it does not speak HTTP/1.1: {_excerpt(bytes(self._came[:99]))}")
            if end < 0:
                return
            found = head(bytes(self._came[:end]))
            del self._came[: end + 4]
            if found.status == 101:
                raise Garbage("it changes to a protocol that nobody asked for")
            if found.status >= 200:  # others are interim
                self._head = found
        if read.length == _CHUNKED:
            chunks = self._chunks = self._chunks or Chunks(self._most)
            if chunks.take(self._came):
                self._done(read, chunks.content, more=bool(self._came))
        elif max(read.length, len(self._came) if read.length < 0 else 0) > self._most:
            raise _too_much(self._most)
        elif 0 <= read.length <= len(self._came):
            content, more = self._came, len(self._came) > read.length
            del content[read.length :]
            self._done(read, content, more=more)

    def _done(self, read: Head, content: bytearray, *, more: bool = False) -> None:
        if not read.keep or more:
            self.drop()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((read.status, content))
        self.resume_writing()

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self.resume_writing()

    # -- what is asked

    async def exchange(self, sent: bytes, seconds: float) -> tuple[int, bytearray]:
        """The status and the content of the answer. Unless all went well, it is closed then.

        Raises:
            TimeoutError, Broken, Garbage: there is none.
        """
        if not self.open:
            raise Broken("it has closed the connection", begun=False)
        waiting: asyncio.Future[tuple[int, bytearray]] = self._loop.create_future()
        self._waiting = waiting
        timer = self._loop.call_later(seconds, self._fail, TimeoutError())
        well = False
        try:
            if len(sent) <= _PIECE:
                self._transport.write(sent)
                whole = True
            else:
                whole = await self._write(sent, waiting)
            answer = await waiting
            well = whole
            return answer
        finally:
            timer.cancel()
            self._waiting, self._head, self._chunks, self._heard = None, None, None, False
            self._came = bytearray()
            if not well:
                self.drop()

    async def _write(self, sent: bytes, waiting: asyncio.Future[tuple[int, bytearray]]) -> bool:
        """Send it as fast as it is taken, until there is an answer; whether all of it was sent."""
        for start in range(0, len(sent), _PIECE):
            if self._paused is not None:
                await self._paused
            if waiting.done():
                return False
            self._transport.write(sent[start : start + _PIECE])
        return True

    def drop(self) -> None:
        """Close it at once."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()


class Wire:
    """The connections to one server. What is kept of them changes with every question.

    Args:
        url: `http://host:port` or `https://host:port`.
        fields: sent with every question.
        connections: how many there may be at once; further questions wait for one, in their time.
        most: how many bytes of content are taken.

    Raises:
        ValueError: a field cannot be sent.
    """

    def __init__(
        self, url: str, fields: dict[str, str], *, connections: int = 64, most: int = MOST
    ) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        name = parts.hostname or ""
        self._host = name if name.isascii() else name.encode("idna").decode()
        self._port = parts.port or (443 if self._secure else 80)
        shown = f"[{self._host}]" if ":" in self._host else self._host
        lines = {"Host": f"{shown}:{self._port}", **fields}
        if any(char in "\r\n\0" for line in lines.items() for part in line for char in part):
            raise ValueError(f"One of the fields {', '.join(lines)} has a line end in it.")
        self._fields = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
        self._most = most
        self._free = asyncio.Semaphore(connections)
        self._idle: deque[_Connection] = deque()
        self._trust: ssl.SSLContext | None = None
        self._closed = False

    async def ask(
        self,
        method: str,
        target: str,
        content: bytes,
        kind: str,
        seconds: float,
        *,
        once: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> tuple[int, bytearray]:
        """The status and the content of the answer.

        Args:
            method: in capitals; not HEAD or CONNECT, whose answers have no content.
            target: the path and the query, percent-encoded.
            content: sent with it; none where it is empty.
            kind: its type.
            seconds: what all of it may take.
            once: it must not be sent twice.
            more: fields of this question alone.

        Raises:
            TimeoutError: there is none in time.
            OSError: the server is not reached; `Broken`: not any more.
            Garbage: what came is no answer.
            ValueError: `target` is not percent-encoded.
        """
        if not _TARGET.fullmatch(target):
            raise ValueError(f"Percent-encode what this path has in it: {target!r}")
        about = f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n" if content else ""
        if more:
            about += "".join(f"{key}: {value}\r\n" for key, value in more.items())
        sent = f"{method} {target} HTTP/1.1\r\n{self._fields}{about}\r\n".encode("ascii") + content
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if self._free.locked():
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        else:
            await self._free.acquire()  # returns at once
        try:
            kept = None if once else self._kept(loop.time())
            if kept is not None:
                try:
                    return await self._over(kept, sent, end - loop.time())
                except Broken as error:
                    if error.begun:
                        raise
            async with asyncio.timeout(end - loop.time()):
                fresh = await self._open(loop)
            return await self._over(fresh, sent, end - loop.time())
        finally:
            self._free.release()

    async def _over(
        self, connection: _Connection, sent: bytes, seconds: float
    ) -> tuple[int, bytearray]:
        answer = await connection.exchange(sent, seconds)
        if connection.open:
            if self._closed:
                connection.drop()
            else:
                connection.since = asyncio.get_running_loop().time()
                self._idle.append(connection)
        return answer

    def _kept(self, now: float) -> _Connection | None:
        """The one that was used last. Those at the other end are closed when their time is over."""
        while self._idle and (not self._idle[0].open or now - self._idle[0].since > KEPT):
            self._idle.popleft().drop()
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        return None

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        if self._secure and self._trust is None:
            self._trust = ssl.create_default_context()
        connection = _Connection(loop, self._most)
        try:
            await loop.create_connection(
                lambda: connection, self._host, self._port, ssl=self._trust
            )
        except BaseException:
            connection.drop()
            raise
        return connection

    async def close(self) -> None:
        """Close what is kept; what is on its way is closed when it is answered."""
        self._closed = True
        while self._idle:
            self._idle.pop().drop()
        await asyncio.sleep(0)  # the loop closes them


def _too_much(most: int) -> Garbage:
    return Garbage(f"its content is more than {most} bytes")


def _excerpt(raw: bytes) -> str:
    return repr(raw[:60])[2:-1]
