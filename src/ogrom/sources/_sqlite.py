"""`Db` by SQLite.

It answers a point query in a few microseconds, a twentieth of what handing it to a thread
would cost, so statements run in the event loop. What can take long does not:

- A read that takes longer than a turn of 5 ms is broken off and begun again in a thread (see
  `_sqlite_long`), and so is its statement from then on, until it is fast again.
- Waiting for another process's write: SQLite's own waiting is off (timeout=0), we ask again.
- Waiting for the disk. "Stored" is to mean stored though the power fails, hence synchronous=FULL:
  every commit waits for the disk, 0.1 ms or 10, and then some for a checkpoint. Commits have a
  thread of their own, and reads, on a connection of their own, go on meanwhile.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any, LiteralString, TypeVar, final

from ogrom import tracing
from ogrom.metrics import Metric, sample
from ogrom.sources._db import (
    Busy,
    Misuse,
    Outcome,
    Queries,
    SchemaChange,
    SourceError,
    Step,
    Unavailable,
    Value,
)
from ogrom.sources._meter import Meter
from ogrom.sources._observed import observed, spanned, transaction_of
from ogrom.sources._sqlite_connection import NEVER, Connection, Interrupted
from ogrom.sources._sqlite_long import LongReads
from ogrom.sources._to_its_end import to_its_end
from ogrom.sources._values import single
from ogrom.tracing import Attributes

TURN = 0.005
"""For how many seconds a read may keep the event loop."""

T = TypeVar("T")
Tx = TypeVar("Tx", bound="_Transaction")


@final
class SqliteDb:
    """A connection that reads, a connection that writes, and the lock of who writes now."""

    def __init__(self, reader: "Connection", writer: "Connection", patience: float) -> None:
        self._reader = reader
        self._writer = writer
        self.place: Attributes = {"db.system.name": "sqlite", "db.namespace": reader.path}
        self._long = LongReads(partial(Connection, reader.path, reads_only=True))
        self._slow: set[str] = set()  # statements that took longer than a turn, the last time
        self._patience = patience
        self._meter = reader.meter
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None  # whose transaction it is, for _begin
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="ogrom-sql")

    @classmethod
    async def open(cls, path: str, patience: float) -> "SqliteDb":
        meter = Meter("sqlite")
        writer = Connection(path, meter)
        try:
            # Another process may be making the same file at this moment.
            turn_on = partial(writer.select, str, "PRAGMA journal_mode = WAL", {})
            mode = await _patiently(turn_on, _now() + patience)
            writer.execute("PRAGMA synchronous = FULL", {})
            writer.execute("PRAGMA foreign_keys = ON", {})
            reader = Connection(path, meter, reads_only=True)
        except BaseException:
            writer.close()
            raise
        if mode != ["wal"]:
            writer.close()
            reader.close()
            raise Unavailable(
                f"{path} cannot have a write-ahead log: name a file on a disk of this machine."
            )
        return cls(reader, writer, patience)

    async def close(self) -> None:
        """Close, after the write that is under way; one that takes too long is undone."""
        held = False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    held = await self._lock.acquire()
        finally:
            await self._long.close()
            self._reader.close()
            await self._on_disk(self._writer.close)  # may copy the log into the file
            self._disk.shutdown(wait=False)
            if held:
                self._lock.release()

    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        return single(await self._read(into, sql, params, 2), sql)

    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        return await self._read(into, sql, params, None)

    async def _read(
        self,
        into: type[T],
        sql: str,
        params: dict[str, Value],
        most: int | None,
        *,
        is_told: bool = False,
    ) -> list[T]:
        # `observed` would cost a point query a twentieth.
        if not is_told and tracing.listener() is not None:
            with spanned(self, sql):
                return await self._read(into, sql, params, most, is_told=True)
        if sql not in self._slow:
            self._reader.end = perf_counter() + TURN
            try:
                return self._reader.select(into, sql, params, most)
            except Interrupted:
                self._slow.add(sql)
            except Busy:  # rare: a reader waits only while somebody repairs what a crash left
                self._reader.end = NEVER
                again = partial(self._reader.select, into, sql, params, most)
                return await _patiently(again, _now() + self._patience)
        began = perf_counter()
        try:
            found = await self._long.select(into, sql, params, most)
        except SourceError as error:
            raise self._meter.failed(error) from None
        seconds = perf_counter() - began
        self._meter.seconds.observe(seconds)
        if seconds < TURN / 2:
            self._slow.discard(sql)
        return found

    @observed
    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
        async with self._exclusively(_Transaction(self._writer, self.place), self._patience) as tx:
            return tx.write(sql, params)

    def transaction(self) -> AbstractAsyncContextManager[Queries]:
        made = self._exclusively(_Transaction(self._writer, self.place), self._patience)
        return transaction_of(self, made)

    async def transact(self, work: Callable[[Queries], Awaitable[T]]) -> T:
        async with self.transaction() as tx:  # which waits at its beginning, and never in a circle
            return await work(tx)

    def stale(self) -> "SqliteDb":
        return self

    def metrics(self) -> Iterable[Metric]:
        yield from self._meter.metrics()
        yield Metric(
            "ogrom_sql_long_reads_total",
            "counter",
            "Reads that were done in a thread, as they take long.",
            (sample(self._long.count),),
        )

    def schema_change(self) -> AbstractAsyncContextManager[SchemaChange]:
        # A step may rebuild a large table, and whoever starts meanwhile needs its outcome.
        return self._exclusively(_SchemaChange(self._writer, self.place), max(60.0, self._patience))

    @asynccontextmanager
    async def _exclusively(self, tx: Tx, patience: float) -> AsyncGenerator[Tx, None]:
        await self._begin(_now() + patience)
        try:
            try:
                yield tx
            finally:
                tx.over = True
            self._writer.check_transaction()
            await self._on_disk(partial(self._writer.execute, "COMMIT", {}))
        except BaseException:
            self._writer.rollback()
            raise
        finally:
            self._holder = None
            self._lock.release()

    async def _begin(self, deadline: float) -> None:
        task = asyncio.current_task()
        if self._holder is not None and self._holder is task:
            raise Misuse("This would wait for its own transaction: use what transaction() gave.")
        try:
            async with asyncio.timeout_at(deadline):
                await self._lock.acquire()
        except TimeoutError:
            raise Busy("Others in this process kept writing for too long.") from None
        try:
            # IMMEDIATE takes the write lock now. Taken at the first write, it could be refused
            # after we had read, and no waiting would mend that.
            await _patiently(partial(self._writer.execute, "BEGIN IMMEDIATE", {}), deadline)
        except BaseException:
            self._lock.release()
            raise
        self._holder = task

    async def _on_disk(self, work: Callable[[], object]) -> None:
        """Do the work in the thread, to its end even if we are cancelled meanwhile."""
        await to_its_end(asyncio.get_running_loop().run_in_executor(self._disk, work))


class _Transaction:
    """What may be done between BEGIN and COMMIT."""

    def __init__(self, writer: "Connection", place: Attributes) -> None:
        self._writer = writer
        self.place = place
        self.over = False

    @observed
    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        self._check()
        return self._writer.one(into, sql, params)

    @observed
    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        self._check()
        return self._writer.select(into, sql, params)

    @observed
    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
        return self.write(sql, params)

    def write(self, sql: str, params: dict[str, Value]) -> Outcome:
        """Write, and tell nobody."""
        self._check()
        return self._writer.execute(sql, params)

    def _check(self) -> None:
        if self.over:
            raise Misuse("This transaction is over: begin another.")
        self._writer.check_transaction()


@final
class _SchemaChange(_Transaction):
    """A transaction that translates the little in which schemas differ."""

    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
        native = sql.replace("SERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")
        return await super().execute(native, **params)

    async def apply(self, step: Step) -> None:
        for statement in step.statements:
            await self.execute(statement)
        await self.execute(
            "INSERT INTO ogrom_schema (number, name, applied) VALUES (:number, :name, :now)",
            number=step.number,
            name=step.name,
            now=datetime.now(UTC),
        )


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _patiently(attempt: Callable[[], T], deadline: float) -> T:
    """What the attempt returns; made again while the database is busy, until the deadline."""
    pause = 0.001
    while True:
        try:
            return attempt()
        except Busy:
            left = deadline - _now()
            if left <= 0:
                raise
        # Jitter, or processes that failed together would fail together again.
        await asyncio.sleep(min(left, pause * random.uniform(0.5, 1)))  # noqa: S311
        pause = min(pause * 2, 0.05)
