"""Reads of SQLite's that take long: in threads, so many at once, and never past their deadline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from time import perf_counter
from typing import Final, TypeVar, final

from ogrom import deadline
from ogrom.sources._db import Busy, Value
from ogrom.sources._errors import TimedOut
from ogrom.sources._sqlite_connection import Connection, Interrupted
from ogrom.sources._values import excerpt

T = TypeVar("T")

THREADS: Final = 2
MOST: Final = 64
"""How many may be under way, those that wait for a thread included."""

LONGEST: Final = 10.0
"""How many seconds a read may take; a request's deadline may come before."""


@final
class _Read:
    """One read, and the connection that it has while it runs."""

    def __init__(self, end: float) -> None:
        self.end = end
        self.connection: Connection | None = None


@final
class LongReads:
    """The threads, each with a connection of its own that is opened when it is first needed.

    Args:
        connect: opens one.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ogrom-sql-long")
        self._lock = Lock()  # for what the loop and the threads change: `_idle`, and each read
        self._idle: list[Connection] = []
        self._reads: set[_Read] = set()
        self.count = 0
        """How many there were."""

    async def select(
        self, into: type[T], sql: str, params: dict[str, Value], most: int | None
    ) -> list[T]:
        """The rows.

        Raises:
            Busy: too many wait already.
            TimedOut: it was broken off at its deadline.
        """
        if len(self._reads) >= MOST:
            raise Busy(f"{MOST} long reads are under way. This is one more: {excerpt(sql)}")
        limit = deadline.left(LONGEST) or 0.0
        read = _Read(perf_counter() + limit)
        self._reads.add(read)
        self.count += 1
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, self._select, read, into, sql, params, most
        )
        try:
            async with asyncio.timeout(limit):
                return await work
        except (Interrupted, TimeoutError):
            raise TimedOut(
                f"This did not end within {limit:.3g} s: {excerpt(sql)}", early=limit < LONGEST
            ) from None
        finally:
            self._give_up(read)
            self._reads.discard(read)

    async def close(self) -> None:
        """Break off what is under way."""
        for read in self._reads:
            self._give_up(read)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _give_up(self, read: _Read) -> None:
        with self._lock:
            read.end = 0.0
            if read.connection is not None:
                read.connection.end = 0.0

    def _select(
        self, read: _Read, into: type[T], sql: str, params: dict[str, Value], most: int | None
    ) -> list[T]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        with self._lock:
            read.connection = connection
            connection.end = read.end
        try:
            if read.end <= perf_counter():
                raise Interrupted
            return connection.select(into, sql, params, most)
        finally:
            with self._lock:
                read.connection = None
                self._idle.append(connection)
