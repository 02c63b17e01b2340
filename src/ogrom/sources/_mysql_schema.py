"""Changes of a MySQL's schema, which cannot be undone: each statement commits by itself.

So a step is not done whole or not at all, it is gone on with. `ogrom_schema_progress` says for each
step that is under way how many of its statements are done, and whether the next was begun:

    a change of the schema   "begun" is written, the change made, "done" written
    a change of rows         the change and "done" are one transaction

Whoever is killed leaves at most one statement in doubt: one that was begun and not done. It is made
again; where the server answers that it is there already (or gone already), it had been made.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, LiteralString, TypeVar, final

from msgspec import Struct

import asyncmy
from ogrom.sources import _mysql_errors as errors
from ogrom.sources._db import Busy, Misuse, Outcome, SourceError, Step, Value
from ogrom.sources._statement import Statement, parsed

T = TypeVar("T")

METADATA_WAIT = 3
"""Seconds that a change waits for those who use the table. All who come after it wait as well, so
it does not wait for long; it lets them pass, and tries again."""

_TABLE = re.compile(r"\s*CREATE\s+TABLE\s[^(;]*\(.*\)\s*", re.IGNORECASE | re.DOTALL)


class _Progress(Struct, frozen=True):
    done: int
    begun: bool


@final
class MysqlSchema:
    """The one of all processes that may change the schema, while it is `locked`."""

    def __init__(self, member: Any, patience: float) -> None:
        self._member = member
        self._patience = patience

    @asynccontextmanager
    async def locked(self, database: str) -> AsyncGenerator[None, None]:
        """Hold the lock. It is the connection's: when that dies, it is free."""
        name = "ogrom.schema." + hashlib.sha256(database.encode()).hexdigest()[:32]
        # However long it takes: to rebuild a large table takes minutes.
        unlimited = "max_statement_time" if self._member.mariadb else "max_execution_time"
        await self._member.connection.query(f"SET SESSION {unlimited} = 0")
        await self._member.connection.query(f"SET SESSION lock_wait_timeout = {METADATA_WAIT}")
        if await self.one(int, "SELECT GET_LOCK(:name, :wait)", name=name, wait=self._patience) != 1:
            raise Busy("Another process has been changing the schema for too long.")
        yield
        await self.one(int, "SELECT RELEASE_LOCK(:name)", name=name)

    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        found = await self.all(into, sql, **params)
        return found[0] if found else None

    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        from ogrom.sources._mysql import rows  # which needs this module first

        return rows(into, await self._run(parsed(sql), params), sql)

    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
        from ogrom.sources._mysql import outcome

        statement = parsed(sql)
        return outcome(statement, await self._run(statement, params))

    async def apply(self, step: Step) -> None:
        """Make the step, or go on with it where it was left, and note that it is made."""
        await self.execute(
            "CREATE TABLE IF NOT EXISTS ogrom_schema_progress (number INTEGER PRIMARY KEY,"
            " done INTEGER NOT NULL, begun BOOLEAN NOT NULL)"
        )
        left = await self.one(
            _Progress,
            "SELECT done, begun FROM ogrom_schema_progress WHERE number = :number",
            number=step.number,
        )
        progress = left or _Progress(0, begun=False)
        if left is None:
            await self.execute(
                "INSERT INTO ogrom_schema_progress (number, done, begun) VALUES (:number, 0, 0)",
                number=step.number,
            )
        if progress.done > len(step.statements):
            raise Misuse(
                f"Step {step.number} has {len(step.statements)} statements here, but"
                f" {progress.done} were made already: put back those that are missing."
            )
        for place, statement in enumerate(step.statements[progress.done :], progress.done):
            in_doubt = progress.begun and place == progress.done
            if parsed(statement).defines:
                await self._define(step.number, place, statement, in_doubt=in_doubt)
            else:
                await self._change(step.number, place, statement)
        await self.execute(
            "INSERT INTO ogrom_schema (number, name, applied) VALUES (:number, :name, :now)",
            number=step.number,
            name=step.name,
            now=datetime.now(UTC),
        )
        await self.execute(
            "DELETE FROM ogrom_schema_progress WHERE number = :number", number=step.number
        )

    async def _define(
        self, number: int, place: int, statement: LiteralString, *, in_doubt: bool
    ) -> None:
        await self._note(number, place, begun=True)
        try:
            await self._patiently(parsed(statement))
        except asyncmy.errors.MySQLError as error:
            if not (in_doubt and errors.number(error) in errors.THERE_ALREADY):
                if errors.is_answer(error):  # refused, hence not made
                    await self._note(number, place, begun=False)
                raise self._explained(error, statement) from error
        await self._note(number, place + 1, begun=False)

    async def _change(self, number: int, place: int, statement: LiteralString) -> None:
        await self._member.connection.begin()
        await self.execute(statement)
        await self._note(number, place + 1, begun=False)
        await self._member.connection.commit()

    async def _note(self, number: int, done: int, *, begun: bool) -> None:
        await self.execute(
            "UPDATE ogrom_schema_progress SET done = :done, begun = :begun WHERE number = :number",
            number=number,
            done=done,
            begun=begun,
        )

    async def _patiently(self, statement: Statement) -> None:
        """Make the change between the transactions of those who use the table."""
        end = perf_counter() + self._patience
        while True:
            try:
                await self._member.run(self._native(statement.sql), keep=False)
                return
            except asyncmy.errors.MySQLError as error:
                if errors.number(error) != 1205 or perf_counter() > end:
                    raise
            await asyncio.sleep(0.2)

    async def _run(self, statement: Statement, params: dict[str, Value]) -> Any:
        from ogrom.sources._mysql import arguments

        args = arguments(statement, params)
        try:
            return await self._member.run(self._native(statement.sql), args, keep=False)
        except asyncmy.errors.MySQLError as error:
            raise self._explained(error, statement.sql) from error

    def _explained(self, error: Exception, sql: str) -> SourceError:
        return errors.explained(error, self._member.place, sql)

    def _native(self, sql: str) -> str:
        """The schema as this server has to be told it."""
        native = sql.replace("SERIAL PRIMARY KEY", "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY")
        if _TABLE.fullmatch(native):
            native += f" ENGINE InnoDB CHARACTER SET utf8mb4 COLLATE {self._member.collation}"
        return native
