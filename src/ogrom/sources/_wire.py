"""HTTP/1.1 (RFC 9112) to one server, at the cost of little more than the system's calls.

For a server that is asked again and again. No redirects, cookies, compression, proxies or upgrades;
what it answers is read by `_reading`. Connections are kept and bounded in number. Every question has
its time; an answer, a most size.

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
from typing import Any, Final
from urllib.parse import urlsplit

from ogrom.sources._places import Places
from ogrom.sources._reading import MOST, Garbage, Reading, Whole

KEPT: Final = 60.0
"""Seconds after which a connection that nobody has used is not used again."""

_PIECE = 128 << 10  # what is sent at once; the loop goes on meanwhile

_TARGET = re.compile(r"/[!-~]*")


class Broken(ConnectionError):
    """The connection ended before the answer did; `begun`: after a part of it."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


class _Connection(asyncio.Protocol):
    """One connection, with the question that is on its way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self.since = 0.0
        """When it was put aside, by the loop's clock."""
        self.open = False
        self._loop = loop
        self._most = most
        self._transport: Any = None
        self._waiting: asyncio.Future[Whole] | None = None
        self._paused: asyncio.Future[None] | None = None
        self._reading = Reading(most)

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
        waiting = self._waiting
        if waiting is None or waiting.done():
            self.drop()  # nobody asked for it
            return
        try:
            whole = self._reading.take(data)
        except Garbage as error:
            self._fail(error)
        else:
            if whole is not None:
                waiting.set_result(whole)
                if self._paused is not None:
                    self.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        try:
            whole = self._reading.end() if exc is None else None
        except Garbage as error:
            self._fail(error)
            return
        if whole is None:
            why = "it has closed the connection" + (f" ({exc})" if exc else "")
            self._fail(Broken(why, begun=self._reading.has_begun))
        elif self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(whole)

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self.resume_writing()

    # -- what is asked

    async def exchange(self, sent: bytes, seconds: float) -> Whole:
        """The answer. Unless all went well, the connection is closed then.

        Raises:
            TimeoutError, Broken, Garbage: there is none.
        """
        if not self.open:
            raise Broken("it has closed the connection", begun=False)
        waiting: asyncio.Future[Whole] = self._loop.create_future()
        self._waiting = waiting
        timer = self._loop.call_later(seconds, self._fail, TimeoutError())
        keep = False
        try:
            if len(sent) <= _PIECE:
                self._transport.write(sent)
                is_sent = True
            else:
                is_sent = await self._write(sent, waiting)
            answer = await waiting
            keep = answer.keep and is_sent
            return answer
        finally:
            timer.cancel()
            self._waiting = None
            if keep:
                self._reading = Reading(self._most)
            else:
                self.drop()

    async def _write(self, sent: bytes, waiting: "asyncio.Future[Whole]") -> bool:
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
        ca: a file of the authorities that it is known by; those of the system where it is empty.

    Raises:
        ValueError: a field cannot be sent.
    """

    def __init__(
        self,
        url: str,
        fields: dict[str, str],
        *,
        connections: int = 64,
        most: int = MOST,
        ca: str = "",
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
        self._ca = ca or None
        self._places = Places(connections)
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
    ) -> Whole:
        """The answer.

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
        if not self._places.take():
            await self._places.wait(seconds)
            seconds = end - loop.time()
        try:
            kept = None if once else self._kept(loop)
            if kept is not None:
                try:
                    answer = await kept.exchange(sent, seconds)
                except Broken as error:
                    if error.begun:
                        raise
                else:
                    self._put_aside(kept, loop)
                    return answer
            async with asyncio.timeout(end - loop.time()):
                fresh = await self._open(loop)
            answer = await fresh.exchange(sent, end - loop.time())
            self._put_aside(fresh, loop)
            return answer
        finally:
            self._places.give()

    def _put_aside(self, connection: _Connection, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed:
            connection.drop()
        elif connection.open:
            connection.since = loop.time()
            self._idle.append(connection)

    def _kept(self, loop: asyncio.AbstractEventLoop) -> _Connection | None:
        """The one that was used last. Those at the other end are closed when their time is over."""
        idle = self._idle
        while idle and (not idle[0].open or loop.time() - idle[0].since > KEPT):
            idle.popleft().drop()
        while idle:
            connection = idle.pop()
            if connection.open:
                return connection
        return None

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        if self._secure and self._trust is None:
            self._trust = ssl.create_default_context(cafile=self._ca)
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
