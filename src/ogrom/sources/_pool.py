"""Connections to one MySQL or MariaDB, kept open for the next who needs one.

Rule 1: the one that was given back last is lent first, so that those too many grow old and go.
Rule 2: a connection on which anything was left unfinished (a call cancelled, out of time, an error
that is not the server's own answer) is never lent again; what it was doing is ended on the server.
Rule 3: nobody waits without a limit: for a free one, for a new one, or for an answer.
"""

import asyncio
import random
from collections.abc import Iterable
from contextvars import Context
from time import perf_counter
from typing import Any, final

import asyncmy
from asyncmy.constants import CLIENT

from ogrom import deadline
from ogrom.metrics import Metric, sample
from ogrom.sources import _mysql_errors as errors
from ogrom.sources._errors import Busy, Misuse, TimedOut, Unavailable
from ogrom.sources._mysql_url import Options, Place
from ogrom.sources._statement import Statement

_open: Any = getattr(asyncmy, "connect")  # noqa: B009 - its stubs are wrong about what it takes

STATEMENTS = 100
"""How many prepared statements a connection keeps; the server has room for 16,382 of all."""

CHECK = 2.0
"""Seconds within which an idle connection must prove that it is still one."""

SQL_MODE = (
    "STRICT_ALL_TABLES,ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO,"
    "NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY"
)
"""What makes SQL mean what it means to SQLite, and refuses what would have to be cut to fit."""


@final
class Member:
    """A connection with its prepared statements. One task at a time uses it."""

    def __init__(self, connection: Any, place: Place, lifetime: float) -> None:
        self.connection = connection
        self.mariadb = "mariadb" in connection.get_server_info().lower()
        self.place = place
        self.used = _now()
        # Not all at once: those opened together would be replaced together.
        self.until = self.used + lifetime * random.uniform(0.8, 1.0)  # noqa: S311
        self._prepared: dict[str, Any] = {}

    @property
    def collation(self) -> str:
        """Texts are equal and in order by their code points, blanks at the end included."""
        return "utf8mb4_nopad_bin" if self.mariadb else "utf8mb4_0900_bin"

    @property
    def broken(self) -> bool:
        """Whether the server has hung up, as far as is known without asking."""
        # The driver's own pool asks the same; there is no public name for it.
        return not self.connection.connected or getattr(self.connection, "_stream_broken", False)

    async def run(self, sql: str, args: tuple[Any, ...] = (), *, keep: bool = True) -> Any:
        """What the statement gives, as the driver's result. Values travel beside the SQL."""
        prepared = self._prepared.pop(sql, None) if keep else None
        if prepared is None:
            prepared = await self.connection.prepare(sql)
        try:
            result = await prepared.execute(args)
        except asyncmy.errors.MySQLError as error:
            if errors.is_answer(error):
                await prepared.close()
            raise
        if not keep:
            await prepared.close()
            return result
        self._prepared[sql] = prepared  # now the youngest
        if len(self._prepared) > STATEMENTS:
            await self._prepared.pop(next(iter(self._prepared))).close()
        return result

    async def set_up(self, patience: float, read_timeout: float) -> None:
        """Make the session one that answers as SQLite would."""
        limit: dict[str, object] = (
            {"max_statement_time": f"{read_timeout:g}"}
            if self.mariadb
            else {"max_execution_time": int(read_timeout * 1000)}
        )
        session = {
            "sql_mode": f"'{SQL_MODE}'",
            "autocommit": 1,
            "time_zone": "'+00:00'",
            "innodb_lock_wait_timeout": max(1, int(patience)),
            **limit,
        }
        for sql in (
            f"SET NAMES utf8mb4 COLLATE {self.collation}",
            "SET " + ", ".join(f"SESSION {name} = {value}" for name, value in session.items()),
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        ):
            await self.connection.query(sql)

    async def end(self) -> None:
        """Say goodbye, and hang up."""
        try:
            async with asyncio.timeout(CHECK):
                await self.connection.ensure_closed()
        except (TimeoutError, OSError, asyncmy.errors.MySQLError):
            pass
        finally:
            self.connection.close()


@final
class Pool:
    """The connections to one server."""

    def __init__(self, options: Options, place: Place, patience: float) -> None:
        self.place = place
        self.mariadb = False  # until it has been reached
        self.down_until = 0.0  # until when nobody need try; a replica's
        self._options = options
        self._tls = options.tls()
        self._patience = patience
        self._idle: list[Member] = []
        self._used: set[Member] = set()
        self._free = asyncio.Semaphore(options.max)
        self._waits = self._opened = self._dropped = 0
        self._doomed: list[int] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self, *, wanted: bool) -> None:
        """Open the least number, which shows whether the URL is right.

        Args:
            wanted: whether it is an error that the server is out of reach. That it refuses us is.
        """
        try:
            for _ in range(self._options.min):
                self._idle.append(await self._connect())
        except Unavailable as error:
            if wanted or (error.__cause__ is not None and errors.is_answer(error.__cause__)):
                raise
        self._spawn(self._sweep())

    async def close(self) -> None:
        """Hang up; what is still being done after our patience is undone."""
        end = _now() + self._patience
        while self._used and _now() < end:  # noqa: ASYNC110 - it happens once
            await asyncio.sleep(0.005)
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for member in self._used:
            member.connection.close()
        await asyncio.gather(*(member.end() for member in self._idle))
        self._idle.clear()

    async def acquire(self, unchecked: float) -> Member:
        """A connection to use, and then to `release` or to `discard`.

        Args:
            unchecked: for how many seconds it may have been idle without being asked whether it
                still is one.

        Raises:
            Busy: none became free in time.
            Unavailable: the server cannot be reached.
        """
        if self._closed:
            raise Misuse("This database is closed.")
        await self._wait()
        try:
            member = await self._idle_one(unchecked) or await self._connect()
        except BaseException:
            self._free.release()
            raise
        self._used.add(member)
        return member

    def release(self, member: Member) -> None:
        """Give back a connection on which everything is finished."""
        self._used.discard(member)
        member.used = _now()
        if self._closed or member.broken or member.used > member.until:
            self._drop(member)
        else:
            self._idle.append(member)
        self._free.release()

    def discard(self, member: Member) -> None:
        """Throw away a connection that may be in the middle of something, and end that."""
        self._used.discard(member)
        self._drop(member)
        self._free.release()
        if not self._closed:
            self._doomed.append(member.connection.thread_id())
            if len(self._doomed) == 1:
                self._spawn(self._kill())

    async def timely(self, member: Member, statement: Statement, args: tuple[Any, ...]) -> Any:
        """Run the statement within the time that there is."""
        limit = deadline.left(self._options.read_timeout)
        try:
            async with asyncio.timeout(limit):
                return await member.run(statement.sql, args)
        except TimeoutError:
            raise timed_out(self.place, limit, self._options.read_timeout) from None

    def metrics(self) -> Iterable[Metric]:
        """How many connections there are, and what became of others."""
        at = str(self.place)
        for name, kind, text, value in (
            ("connections", "gauge", "Open.", len(self._idle) + len(self._used)),
            ("connections_used", "gauge", "In use.", len(self._used)),
            ("connections_max", "gauge", "As many as may be open.", self._options.max),
            ("waits_total", "counter", "Calls that waited for a free one.", self._waits),
            ("opened_total", "counter", "Connections opened.", self._opened),
            ("dropped_total", "counter", "Connections closed by us.", self._dropped),
        ):
            yield Metric(f"ogrom_sql_pool_{name}", kind, text, (sample(value, server=at),))  # type: ignore[arg-type]

    async def _wait(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        self._waits += 1
        limit = deadline.left(self._patience)
        try:
            async with asyncio.timeout(limit):
                await self._free.acquire()
        except TimeoutError:
            raise Busy(
                f"{self.place}: all {self._options.max} connections were in use for {limit:.3g} s."
            ) from None

    async def _idle_one(self, unchecked: float) -> Member | None:
        """The one given back last that still is a connection."""
        while self._idle:
            member = self._idle.pop()
            try:
                if not member.broken and (
                    _now() - member.used < unchecked or await self._answers(member)
                ):
                    return member
            except BaseException:
                self._drop(member)
                raise
            self._drop(member)
        return None

    async def _answers(self, member: Member) -> bool:
        try:
            async with asyncio.timeout(deadline.left(CHECK)):
                await member.connection.ping(reconnect=False)
        except (TimeoutError, OSError, asyncmy.errors.MySQLError):
            return False
        return True

    async def _connect(self) -> Member:
        options = self._options
        limit = deadline.left(options.connect_timeout)
        connection: Any = None
        try:
            async with asyncio.timeout(limit):
                connection = await _open(
                    host=self.place.host,
                    port=self.place.port,
                    unix_socket=self.place.socket,
                    user=options.user,
                    password=options.password,
                    database=options.database,
                    charset="utf8mb4",
                    autocommit=None,
                    connect_timeout=options.connect_timeout,
                    client_flag=CLIENT.FOUND_ROWS,  # rows that match, as SQLite counts them
                    program_name="ogrom",
                    ssl=self._tls,
                )
                member = Member(connection, self.place, options.lifetime)
                self.mariadb = member.mariadb
                await member.set_up(self._patience, options.read_timeout)
        except TimeoutError:
            if connection is not None:
                connection.close()
            raise timed_out(self.place, limit, options.connect_timeout) from None
        except (OSError, asyncmy.errors.MySQLError) as error:
            if connection is not None:
                connection.close()
            raise errors.explained(error, self.place) from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        self._opened += 1
        return member

    def _drop(self, member: Member) -> None:
        self._dropped += 1
        member.connection.close()

    async def _kill(self) -> None:
        """End on the server what nobody waits for any more; best effort, as it ends by itself."""
        try:
            async with asyncio.timeout(CHECK):
                member = await self._connect()
                while self._doomed:
                    try:
                        await member.connection.query(f"KILL {int(self._doomed.pop())}")
                    except asyncmy.errors.MySQLError as error:
                        if not errors.is_answer(error):  # else it has ended already
                            raise
                await member.end()
        except (TimeoutError, Unavailable, OSError, asyncmy.errors.MySQLError):
            self._doomed.clear()

    async def _sweep(self) -> None:
        """Close what has been idle for long, the oldest first, down to the least number."""
        while True:
            await asyncio.sleep(min(self._options.idle / 4, 5))
            old = _now() - self._options.idle
            while (
                self._idle
                and self._idle[0].used < old
                and len(self._idle) + len(self._used) > self._options.min
            ):
                self._dropped += 1
                await self._idle.pop(0).end()

    def _spawn(self, work: Any) -> None:
        # In a context of its own: it must not end with the request that happened to begin it.
        task: asyncio.Task[None] = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def timed_out(place: Place, limit: float | None, given: float) -> TimedOut:
    """That it did not answer, and whether that was for want of time."""
    waited = given if limit is None else limit
    return TimedOut(f"{place} did not answer within {waited:.3g} s.", early=waited < given)


def _now() -> float:
    return perf_counter()
