"""What a database is to those who use it: the `Db` protocol and its values; both are told in `sql`."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, LiteralString, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from ogrom.metrics import Metric
from ogrom.sources._errors import (
    Busy,
    Constraint,
    Duplicate,
    Misuse,
    SourceError,
    Unavailable,
)

__all__ = [
    "Busy",
    "Constraint",
    "Db",
    "Duplicate",
    "Misuse",
    "Outcome",
    "Queries",
    "Reads",
    "SchemaChange",
    "SourceError",
    "Step",
    "Unavailable",
    "Value",
]

T = TypeVar("T")

Value: TypeAlias = (
    str
    | int
    | float
    | bytes
    | datetime
    | Struct
    | tuple[object, ...]
    | list[Any]
    | dict[str, Any]
    | None
)
"""What a parameter may be."""


class Outcome(Struct, frozen=True):
    """What a statement did."""

    rowcount: int
    """How many rows were inserted, deleted, or matched by an update."""
    lastrowid: int
    """The id that the database gave to the one row inserted; 0 if the statement is no INSERT."""


class Step(Struct, frozen=True):
    """One change of the schema. Once released, its number and name stay as they are."""

    number: int
    name: str
    statements: tuple[LiteralString, ...]


class Reads(Protocol):
    """Where one can read."""

    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        """The row found, or None. More than one is a `Misuse`."""
        ...

    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        """The rows found, all at once: a long list wants a LIMIT."""
        ...


class Queries(Reads, Protocol):
    """What a database and a transaction have in common."""

    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
        """Write."""
        ...


class SchemaChange(Queries, Protocol):
    """A database whose schema nobody else changes at this moment."""

    async def apply(self, step: Step) -> None:
        """Make the step, and note that it is made. One that was left half-way is gone on with."""
        ...


class Db(Queries, Protocol):
    """A database: any number of tasks may use it at once."""

    def transaction(self) -> AbstractAsyncContextManager[Queries]:
        """All that is written in the block, or nothing: an exception or cancellation undoes it.

        Writers wait for each other, so nothing slow belongs in the block. Inside it use what it
        gives you; the database itself shows its readers the state before.
        """
        ...

    async def transact(self, work: Callable[[Queries], Awaitable[T]]) -> T:
        """What the work gives, done in a transaction; done again where others' undid it.

        Writers of a server's database may wait for each other in a circle, and then one is undone.
        So the work does nothing but by what it is given, and may be done several times.
        """
        ...

    def stale(self) -> Reads:
        """For reads that may miss the last seconds: a replica where there is one that works."""
        ...

    def schema_change(self) -> AbstractAsyncContextManager[SchemaChange]:
        """The one of all processes that changes the schema: see `migrate`."""
        ...

    def metrics(self) -> Iterable[Metric]:
        """How it is now, for whoever gathers metrics."""
        ...
