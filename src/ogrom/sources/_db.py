"""What a database is to those who use it: the `Db` protocol and its values; both are told in `sql`."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, LiteralString, Protocol, TypeAlias, TypeVar

from msgspec import Struct

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
    "SourceError",
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


class Queries(Protocol):
    """What a database and a transaction have in common."""

    async def one(self, into: type[T], sql: LiteralString, /, **params: Value) -> T | None:
        """The row found, or None. More than one is a `Misuse`."""
        ...

    async def all(self, into: type[T], sql: LiteralString, /, **params: Value) -> list[T]:
        """The rows found, all at once: a long list wants a LIMIT."""
        ...

    async def execute(self, sql: LiteralString, /, **params: Value) -> Outcome:
        """Write."""
        ...


class Db(Queries, Protocol):
    """A database: any number of tasks may use it at once."""

    def transaction(self) -> AbstractAsyncContextManager[Queries]:
        """All that is written in the block, or nothing: an exception or cancellation undoes it.

        Writers wait for each other, so nothing slow belongs in the block. Inside it use what it
        gives you; the database itself shows its readers the state before.
        """
        ...

    def schema_change(self) -> AbstractAsyncContextManager[Queries]:
        """The same for changes of the schema, one at a time among all processes: see `migrate`."""
        ...
