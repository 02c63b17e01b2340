"""One connection to a SQLite file: runs SQL at once, with values and errors that are no longer SQLite's."""

import sqlite3
from datetime import datetime
from time import perf_counter
from typing import Final, TypeVar, final

from ogrom.sources._db import (
    Busy,
    Constraint,
    Duplicate,
    Misuse,
    Outcome,
    SourceError,
    Unavailable,
    Value,
)
from ogrom.sources._meter import Meter
from ogrom.sources._values import Dialect, excerpt, loaded, single, stored

T = TypeVar("T")

NEVER: Final = float("inf")

_STEPS: Final = 1_000
"""After so many of its virtual machine's steps, some 10 µs, a read looks at the clock."""


class Interrupted(Exception):
    """A read took longer than it may."""


@final
class Connection:
    """Runs SQL at once, with values and errors that are no longer SQLite's."""

    def __init__(self, path: str, meter: Meter | None = None, *, reads_only: bool = False) -> None:
        self.path: Final = path
        self.meter = meter or Meter("sqlite")
        self.end = NEVER
        """When a read is broken off, as `Interrupted`; by `perf_counter`."""
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
        if reads_only:
            self._raw.set_progress_handler(self._is_over, _STEPS)

    def one(self, into: type[T], sql: str, params: dict[str, Value]) -> T | None:
        return single(self.select(into, sql, params, 2), sql)

    def select(
        self, into: type[T], sql: str, params: dict[str, Value], most: int | None = None
    ) -> list[T]:
        began = perf_counter()
        try:
            cursor = self._raw.execute(sql, stored(params, _DIALECT))
            # Without the close, a row left unread would keep its snapshot, and the log growing.
            rows = cursor.fetchall() if most is None else cursor.fetchmany(most)
            names = [column[0] for column in cursor.description or ()]
            cursor.close()
        except _REFUSALS as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise Interrupted from None
            raise self.meter.failed(self._explained(error, sql)) from error
        self.meter.seconds.observe(perf_counter() - began)
        return loaded(into, names, rows, sql, _DIALECT)

    def execute(self, sql: str, params: dict[str, Value]) -> Outcome:
        began = perf_counter()
        try:
            cursor = self._raw.execute(sql, stored(params, _DIALECT))
            # Any other statement would give the id of the INSERT before it.
            inserted = cursor.lastrowid if sql.lstrip()[:6].upper() == "INSERT" else None
            outcome = Outcome(max(cursor.rowcount, 0), inserted or 0)
            cursor.close()
        except _REFUSALS as error:
            raise self.meter.failed(self._explained(error, sql)) from error
        self.meter.seconds.observe(perf_counter() - began)
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
            raise Unavailable(f"{self.path}: this transaction has been undone by a failure.")

    def rollback(self) -> None:
        if self.in_transaction:
            self._raw.execute("ROLLBACK")

    def close(self) -> None:
        self._raw.close()

    def _is_over(self) -> int:
        return perf_counter() > self.end

    def _explained(self, error: Exception, sql: str) -> SourceError:
        """SQLite's error as ours."""
        code: int | None = getattr(error, "sqlite_errorcode", None)
        if code in _DUPLICATES:
            return Duplicate(str(error))
        match code and code & 0xFF:  # the rest of the code tells variants apart
            case sqlite3.SQLITE_CONSTRAINT:
                return Constraint(str(error))
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
                return Busy(f"{self.path}: others kept it for too long ({error}).")
            # None: it did not even get to SQLite.
            case None | sqlite3.SQLITE_ERROR | sqlite3.SQLITE_MISMATCH | sqlite3.SQLITE_TOOBIG:
                return Misuse(f"{error}: {excerpt(sql)}")
            case sqlite3.SQLITE_READONLY if self._reads_only:
                return Misuse(f"one() and all() only read, write with execute(): {excerpt(sql)}")
            case other:
                advice = _ADVICE.get(other, "Look into the disk and the log of the machine.")
                return Unavailable(f"{self.path}: {error}. {advice}")


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


def _moment(moment: datetime) -> str:
    # Text of a fixed width, so that it sorts, SQLite's own functions take it, and a person who
    # looks into the file can read it.
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


_DIALECT = Dialect(moment=_moment)
