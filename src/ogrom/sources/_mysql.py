"""`Db` by MySQL and MariaDB, over asyncmy.

Outside a transaction every statement stands for itself (autocommit). A read that lost its
connection is asked again; a write is not, unless the server says that it was undone.

Inside a transaction reads lock what they read ("FOR UPDATE", REPEATABLE READ). So what was read
still holds when it is written upon, as on SQLite, where only one writes at a time; here only those
wait for each other who want the same rows. Two that wait for each other's are told apart by the
server: one goes on, the other is `Busy` and has done nothing (see `transact`).
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import Any, LiteralString, TypeVar, final

import asyncmy

from ogrom import deadline
from ogrom.metrics import Metric
from ogrom.sources import _mysql_errors as errors
from ogrom.sources._db import (
    Busy,
    Misuse,
    Outcome,
    Queries,
    SchemaChange,
    SourceError,
    Unavailable,
    Value,
)
from ogrom.sources._meter import Meter
from ogrom.sources._mysql_schema import MysqlSchema
from ogrom.sources._mysql_url import Options, parse
from ogrom.sources._mysql_values import arguments, outcome, rows
from ogrom.sources._observed import observed, transaction_of
from ogrom.sources._pool import Member, Pool, timed_out
from ogrom.sources._statement import Statement, parsed
from ogrom.sources._to_its_end import to_its_end
from ogrom.sources._values import excerpt, single
from ogrom.tracing import Attributes

T = TypeVar("T")

UNCHECKED_READ = 30.0
"""Seconds; a read can be asked again, and only a firewall forgets a connection in silence."""

UNCHECKED_WRITE = 1.0
"""Seconds; a write cannot, so its connection is asked first."""

RESTS = 2.0
"""Seconds for which a replica that failed is not asked."""


@final
class MysqlDb:
    """A pool for the primary, and one for each replica."""

    def __init__(self, options: Options, patience: float) -> None:
        self._options = options
        self._patience = patience
        self._meter = Meter("mysql")
        self._primary = Pool(options, options.primary, patience)
        self._replicas = [Pool(options, place, patience) for place in options.replicas]
        self._writing: set[asyncio.Task[Any] | None] = set()

    @classmethod
    async def open(cls, url: str, patience: float, *, wanted: bool) -> "MysqlDb":
        db = cls(parse(url), patience)
        try:
            await db._primary.open(wanted=wanted)
        except BaseException:
            await db.close()
            raise
        return db

    async def close(self) -> None:
        await asyncio.gather(*(pool.close() for pool in (self._primary, *self._replicas)))

    @observed
    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        return single(await self._read([self._primary], into, sql, params), sql)

    @observed
    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        return await self._read([self._primary], into, sql, params)

    @observed
    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
        self._check_not_writing()
        statement = parsed(sql)
        args = arguments(statement, params)

        async def run() -> Outcome:
            member = await self._acquire(self._primary, UNCHECKED_WRITE)
            result = await self._finish(self._primary, member, statement, args)
            return outcome(statement, result)

        return await self._again(run)

    def transaction(self) -> AbstractAsyncContextManager[Queries]:
        return transaction_of(self, self._transaction())

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[Queries, None]:
        self._check_not_writing()
        pool, task = self._primary, asyncio.current_task()
        tx, member = await self._begin(pool)
        sound = False
        self._writing.add(task)
        try:
            try:
                yield tx
            finally:
                tx.over = True
            tx.check_whole()
            # It cannot be called back: it is waited for, though we be cancelled.
            await to_its_end(tx.control(member.connection.commit))
            sound = True
        except BaseException:
            sound = not tx.lost and await _undone(member)
            raise
        finally:
            self._writing.discard(task)
            if sound:
                pool.release(member)
            else:
                pool.discard(member)

    async def _begin(self, pool: Pool) -> tuple["_Transaction", Member]:
        """A transaction that has begun; on another connection where the first was lost by then."""
        for unchecked in (UNCHECKED_WRITE, 0.0):
            member = await self._acquire(pool, unchecked)
            tx = _Transaction(self, pool, member)
            try:
                await tx.control(member.connection.begin)
            except BaseException as error:
                pool.discard(member)
                if isinstance(error, Unavailable) and unchecked and member.broken:
                    continue
                raise
            return tx, member
        raise AssertionError("the second turn returns or raises")

    async def transact(self, work: Callable[[Queries], Awaitable[T]]) -> T:
        async def run() -> T:
            async with self.transaction() as tx:
                return await work(tx)

        return await self._again(run)

    def schema_change(self) -> AbstractAsyncContextManager[SchemaChange]:
        return self._schema_change()

    @asynccontextmanager
    async def _schema_change(self) -> AsyncGenerator[SchemaChange, None]:
        self._check_not_writing()
        pool = self._primary
        member = await self._acquire(pool, UNCHECKED_WRITE)
        schema = MysqlSchema(member, max(60.0, self._patience))
        try:
            async with schema.locked(self._options.database):
                yield schema
        finally:
            pool.discard(member)  # its session was set for schema changes

    def stale(self) -> "_Stale":
        return _Stale(self)

    def metrics(self) -> Iterable[Metric]:
        yield from self._meter.metrics()
        for pool in (self._primary, *self._replicas):
            yield from pool.metrics()

    @property
    def place(self) -> Attributes:
        """What and where the primary is."""
        at = self._options.primary
        return self.somewhere | {
            "server.address": at.socket or at.host,
            **({} if at.socket else {"server.port": at.port}),
        }

    @property
    def somewhere(self) -> dict[str, str | int]:
        """The same, where it may be any of the replicas."""
        system = "mariadb" if self._primary.mariadb else "mysql"
        return {"db.system.name": system, "db.namespace": self._options.database}

    async def read_stale(
        self, into: type[T], sql: LiteralString, params: dict[str, Value]
    ) -> list[T]:
        """The rows, by a replica that works, else by the primary."""
        now = perf_counter()
        healthy = [pool for pool in self._replicas if pool.down_until <= now]
        random.shuffle(healthy)
        return await self._read([*healthy, self._primary], into, sql, params)

    async def _read(
        self, pools: list[Pool], into: type[T], sql: LiteralString, params: dict[str, Value]
    ) -> list[T]:
        """The rows, by the first of the pools that can, the last asked twice."""
        statement = parsed(sql)
        if not statement.reads:
            raise Misuse(f"one() and all() only read, write with execute(): {excerpt(sql)}")
        args = arguments(statement, params)
        for pool in pools:
            try:
                member = await self._acquire(pool, UNCHECKED_READ)
                result = await self._finish(pool, member, statement, args)
                break
            except Unavailable:
                if pool is self._primary:
                    raise
                pool.down_until = perf_counter() + RESTS
        else:
            raise AssertionError("the primary is the last of them")
        return rows(into, result, sql)

    async def _acquire(self, pool: Pool, unchecked: float) -> Member:
        try:
            return await pool.acquire(unchecked)
        except SourceError as error:
            self._meter.failed(error)
            raise

    async def _finish(
        self, pool: Pool, member: Member, statement: Statement, args: tuple[Any, ...]
    ) -> Any:
        """Run a statement that stands for itself, and give the connection back."""
        for turn in (1, 2, 3):
            began, sound = perf_counter(), False
            try:
                result = await pool.timely(member, statement, args)
                sound = True
                break
            except asyncmy.errors.MySQLError as error:
                sound = errors.is_answer(error)
                repeats = errors.number(error) in errors.REPREPARE or (
                    statement.reads and not sound
                )
                if turn == 3 or not repeats:
                    raise self.failed(error, pool, statement) from error
            except SourceError as error:
                self._meter.failed(error)
                raise
            finally:
                self._meter.seconds.observe(perf_counter() - began)
                if sound:
                    pool.release(member)
                else:
                    pool.discard(member)
            member = await self._acquire(pool, 0.0 if turn == 2 else UNCHECKED_READ)
        else:
            raise AssertionError("the third turn breaks or raises")
        return result

    def failed(self, error: Exception, pool: Pool, statement: Statement) -> SourceError:
        """The error as ours, counted."""
        found = errors.explained(error, pool.place, statement.sql)
        if isinstance(found, Unavailable) and not errors.is_answer(error) and not statement.reads:
            found.add_note("Whether it was written is not known: the connection was lost.")
        if errors.number(error) == errors.DEADLOCK:
            found = Deadlock(str(found))
        return self._meter.failed(found)

    async def _again(self, run: Callable[[], Awaitable[T]]) -> T:
        """What `run` gives; run again where the server has undone it all, within our patience."""
        end = perf_counter() + (deadline.left(self._patience) or 0.0)
        pause = 0.002
        while True:
            try:
                return await run()
            except Deadlock:
                if perf_counter() + pause > end:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(pause * 2, 0.1)

    @property
    def has_replicas(self) -> bool:
        """Whether others than the primary may answer."""
        return bool(self._replicas)

    @property
    def read_timeout(self) -> float:
        """Seconds that a statement may take."""
        return self._options.read_timeout

    @property
    def meter(self) -> Meter:
        """What it counts."""
        return self._meter

    def _check_not_writing(self) -> None:
        if asyncio.current_task() in self._writing:
            raise Misuse("This would wait for its own transaction: use what transaction() gave.")


class Deadlock(Busy):
    """Two waited for each other; ours was undone, whole."""


@final
class _Transaction:
    """What may be done between BEGIN and COMMIT."""

    def __init__(self, db: MysqlDb, pool: Pool, member: Member) -> None:
        self._db = db
        self._pool = pool
        self._member = member
        self._lock = asyncio.Lock()
        self.over = False
        self.lost = False  # the connection may be in the middle of something
        self._undone = False

    @property
    def place(self) -> Attributes:
        """Where it is done."""
        return self._db.place

    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        return single(await self.all(into, sql, **params), sql)

    @observed
    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        return rows(into, await self._run(parsed(sql).locking(), params), sql)

    @observed
    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
        statement = parsed(sql)
        if statement.defines:
            raise Misuse(
                f"MySQL would commit the transaction by this; it belongs in a step: {excerpt(sql)}"
            )
        return outcome(statement, await self._run(statement, params))

    async def control(self, call: Callable[[], Awaitable[None]]) -> None:
        """BEGIN or COMMIT, within the time that there is."""
        await self._guarded(call, Statement("COMMIT", (), "COMMIT", reads=False))

    def check_whole(self) -> None:
        """What follows a failure must not be written alone."""
        if self._undone or self.lost or self._member.broken:
            raise Unavailable(f"{self._pool.place}: this transaction has been undone by a failure.")

    async def _run(self, statement: Statement, params: dict[str, Value]) -> Any:
        if self.over:
            raise Misuse("This transaction is over: begin another.")
        args = arguments(statement, params)
        async with self._lock:  # its tasks share one connection
            self.check_whole()

            async def run() -> Any:
                return await self._member.run(statement.sql, args)

            return await self._guarded(run, statement)

    async def _guarded(self, run: Callable[[], Awaitable[T]], statement: Statement) -> T:
        limit = deadline.left(self._db.read_timeout)
        began = perf_counter()
        self.lost = True
        try:
            async with asyncio.timeout(limit):
                result = await run()
        except TimeoutError:
            late = timed_out(self._pool.place, limit, self._db.read_timeout)
            raise self._db.meter.failed(late) from None
        except asyncmy.errors.MySQLError as error:
            self.lost = not errors.is_answer(error)
            self._undone |= errors.number(error) in errors.UNDONE
            raise self._db.failed(error, self._pool, statement) from error
        finally:
            self._db.meter.seconds.observe(perf_counter() - began)
        self.lost = False
        return result


@final
class _Stale:
    """What may be a little late: read from a replica, where there is one."""

    def __init__(self, db: MysqlDb) -> None:
        self._db = db

    @property
    def place(self) -> Attributes:
        """What it is, and where if there is one server."""
        return self._db.somewhere if self._db.has_replicas else self._db.place

    @observed
    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        return single(await self._db.read_stale(into, sql, params), sql)

    @observed
    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        return await self._db.read_stale(into, sql, params)


async def _undone(member: Member) -> bool:
    """Whether the transaction could be rolled back in an orderly way."""
    try:
        async with asyncio.timeout(2):
            await member.connection.rollback()
    except (asyncio.CancelledError, TimeoutError, OSError, asyncmy.errors.MySQLError):
        return False  # whoever is cancelled once more is raising already
    return True
