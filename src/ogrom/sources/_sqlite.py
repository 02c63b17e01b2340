"""`Db` by SQLite.

It answers a point query in a few microseconds, a twentieth of what handing it to a thread
would cost, so statements run in the event loop. What can take long does not:

- Waiting for another process's write: SQLite's own waiting is off (timeout=0), we ask again.
- Waiting for the disk. "Stored" is to mean stored though the power fails, hence synchronous=FULL:
  every commit waits for the disk, 0.1 ms or 10, and then some for a checkpoint. Commits have a
  thread of their own, and reads, on a connection of their own, go on meanwhile.
"""

import asyncio
import random
import sqlite3
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any, LiteralString, TypeVar, final

from ogrom.sources._db import (
    Busy,
    Constraint,
    Duplicate,
    Misuse,
    Outcome,
    Queries,
    SourceError,
    Unavailable,
    Value,
)
from ogrom.sources._values import excerpt, loaded, stored

T = TypeVar("T")


@final
class SqliteDb:
    """A connection that reads, a connection that writes, and the lock of who writes now."""

    def __init__(self, reader: "_Connection", writer: "_Connection", patience: float) -> None:
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None  # whose transaction it is, for _begin
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="ogrom-sql")

    @classmethod
    async def open(cls, path: str, patience: float) -> "SqliteDb":
        writer = _Connection(path)
        try:
            # Another process may be making the same file at this moment.
            turn_on = partial(writer.select, str, "PRAGMA journal_mode = WAL", {})
            mode = await _patiently(turn_on, _now() + patience)
            writer.execute("PRAGMA synchronous = FULL", {})
            writer.execute("PRAGMA foreign_keys = ON", {})
            reader = _Connection(path, reads_only=True)
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
            self._reader.close()
            await self._on_disk(self._writer.close)  # may copy the log into the file
            self._disk.shutdown(wait=False)
            if held:
                self._lock.release()

    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        try:
            return self._reader.one(into, sql, params)
        except Busy:  # rare: a reader waits only while somebody repairs what a crash left
            again = partial(self._reader.one, into, sql, params)
            return await _patiently(again, _now() + self._patience)

    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        try:
            return self._reader.select(into, sql, params)
        except Busy:
            again = partial(self._reader.select, into, sql, params)
            return await _patiently(again, _now() + self._patience)

    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
        async with self._exclusively(_Transaction(self._writer), self._patience) as tx:
            return await tx.execute(sql, **params)

    def transaction(self) -> AbstractAsyncContextManager[Queries]:
        return self._exclusively(_Transaction(self._writer), self._patience)

    def schema_change(self) -> AbstractAsyncContextManager[Queries]:
        # A step may rebuild a large table, and whoever starts meanwhile needs its outcome.
        return self._exclusively(_SchemaChange(self._writer), max(60.0, self._patience))

    @asynccontextmanager
    async def _exclusively(
        self, tx: "_Transaction", patience: float
    ) -> AsyncGenerator["_Transaction", None]:
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
        future = asyncio.get_running_loop().run_in_executor(self._disk, work)
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled from future.exception()
        future.result()


class _Transaction:
    """What may be done between BEGIN and COMMIT."""

    def __init__(self, writer: "_Connection") -> None:
        self._writer = writer
        self.over = False

    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        self._check()
        return self._writer.one(into, sql, params)

    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        self._check()
        return self._writer.select(into, sql, params)

    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
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


@final
class _Connection:
    """Runs SQL at once, with values and errors that are no longer SQLite's."""

    def __init__(self, path: str, *, reads_only: bool = False) -> None:
        self._path = path
        self._reads_only = reads_only
        try:
            # Statements run in the loop's thread, COMMIT in another, never two at a time.
            self._raw = sqlite3.connect(
                path,
                isolation_level=None,
                timeout=0,
                check_same_thread=False,
                cached_statements=512,
            )
        except sqlite3.Error as error:
            raise self._explained(error, "") from error
        self._raw.execute(f"PRAGMA query_only = {int(reads_only)}")

    def one(self, into: type[T], sql: str, params: dict[str, Value]) -> T | None:
        found = self.select(into, sql, params, 2)
        if len(found) > 1:
            raise Misuse(f"More than one row, where one was asked for: {excerpt(sql)}")
        return found[0] if found else None

    def select(
        self, into: type[T], sql: str, params: dict[str, Value], most: int | None = None
    ) -> list[T]:
        try:
            cursor = self._raw.execute(sql, stored(params))
            # Without the close, a row left unread would keep its snapshot, and the log growing.
            rows = cursor.fetchall() if most is None else cursor.fetchmany(most)
            names = [column[0] for column in cursor.description or ()]
            cursor.close()
        except _REFUSALS as error:
            raise self._explained(error, sql) from error
        return loaded(into, names, rows, sql)

    def execute(self, sql: str, params: dict[str, Value]) -> Outcome:
        try:
            cursor = self._raw.execute(sql, stored(params))
            # Any other statement would give the id of the INSERT before it.
            inserted = cursor.lastrowid if sql.lstrip()[:6].upper() == "INSERT" else None
            outcome = Outcome(max(cursor.rowcount, 0), inserted or 0)
            cursor.close()
        except _REFUSALS as error:
            raise self._explained(error, sql) from error
        return outcome

    @property
    def in_transaction(self) -> bool:
        try:
            return self._raw.in_transaction
        except sqlite3.ProgrammingError:  # it was closed in the middle, which undoes
            return False

    def check_transaction(self) -> None:
        """Some failures undo all of it (a full disk may); the rest must not be written alone."""
        if not self.in_transaction:
            raise Unavailable(f"{self._path}: this transaction has been undone by a failure.")

    def rollback(self) -> None:
        if self.in_transaction:
            self._raw.execute("ROLLBACK")

    def close(self) -> None:
        self._raw.close()

    def _explained(self, error: Exception, sql: str) -> SourceError:
        """SQLite's error as ours."""
        code: int | None = getattr(error, "sqlite_errorcode", None)
        if code in _DUPLICATES:
            return Duplicate(str(error))
        match code and code & 0xFF:  # the rest of the code tells variants apart
            case sqlite3.SQLITE_CONSTRAINT:
                return Constraint(str(error))
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
                return Busy(f"{self._path}: others kept it for too long ({error}).")
            # None: it did not even get to SQLite.
            case None | sqlite3.SQLITE_ERROR | sqlite3.SQLITE_MISMATCH | sqlite3.SQLITE_TOOBIG:
                return Misuse(f"{error}: {excerpt(sql)}")
            case sqlite3.SQLITE_READONLY if self._reads_only:
                return Misuse(f"one() and all() only read, write with execute(): {excerpt(sql)}")
            case other:
                advice = _ADVICE.get(other, "Look into the disk and the log of the machine.")
                return Unavailable(f"{self._path}: {error}. {advice}")


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


_REFUSALS = (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeEncodeError)

_DUPLICATES = (
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
)

_DAMAGED = (
    "Stop whatever uses it; put a backup in its place, or try `sqlite3 FILE .recover` on a copy."
)
_FORBIDDEN = (
    "Give the user of this process the right to write to the file and to its directory, which"
    " must be there."
)
_ADVICE = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CANTOPEN: _FORBIDDEN,
    sqlite3.SQLITE_PERM: _FORBIDDEN,
    sqlite3.SQLITE_READONLY: _FORBIDDEN,
    sqlite3.SQLITE_FULL: "Make room on the disk; then it goes on by itself.",
}
