"""The SQL source, on real files, with real processes."""

import asyncio
import enum
import json
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ogrom.sources.sql import (
    Busy,
    Constraint,
    Db,
    Duplicate,
    Misuse,
    SourceError,
    Step,
    Unavailable,
    connect,
    migrate,
    validate,
)

NOTES = Step(
    1,
    "notes",
    (
        """
        CREATE TABLE notes (
            id SERIAL PRIMARY KEY, text VARCHAR(500) NOT NULL, stars INTEGER CHECK (stars BETWEEN 1 AND 5)
        )
        """,
        "CREATE UNIQUE INDEX notes_by_text ON notes (text)",
    ),
)


class Note(msgspec.Struct, frozen=True):
    id: int
    text: str
    stars: int | None = None


@pytest.fixture
async def db(where: Path | str) -> AsyncGenerator[Db, None]:
    async with connect(where, patience=0.5) as db:
        await migrate(db, [NOTES])
        yield db


sqlite_only = pytest.mark.parametrize("where", ["sqlite"], indirect=True)
"""What is said of a file, or by SQLite's own words."""


def script(source: str, *arguments: object) -> subprocess.Popen[str]:
    """A real process that runs the source."""
    command = [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(*processes: subprocess.Popen[str]) -> list[str]:
    """What they print, once all have ended well."""
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [0] * len(processes) == [process.returncode for process in processes], outputs
    return [out for out, _ in outputs]


class TestReading:
    async def test_a_row_becomes_the_struct_asked_for(self, db: Db) -> None:
        """Columns are found by their names, whatever their order."""
        await db.execute("INSERT INTO notes (text, stars) VALUES (:text, 4)", text="Ah!")

        note = await db.one(Note, "SELECT stars, text, id FROM notes WHERE id = :id", id=1)

        assert Note(1, "Ah!", 4) == note

    async def test_no_row_is_none_and_an_empty_list(self, db: Db) -> None:
        """Absence is no error."""
        assert await db.one(Note, "SELECT id, text FROM notes WHERE id = :id", id=1) is None
        assert await db.all(Note, "SELECT id, text FROM notes") == []

    async def test_several_rows_come_in_their_order(self, db: Db) -> None:
        """`all` gives every row; a column that is not asked for keeps its default."""
        for text in ("a", "b", "c"):
            await db.execute("INSERT INTO notes (text, stars) VALUES (:text, 1)", text=text)

        notes = await db.all(Note, "SELECT id, text FROM notes ORDER BY id DESC")

        assert [Note(3, "c"), Note(2, "b"), Note(1, "a")] == notes

    async def test_one_column_may_be_a_plain_value(self, db: Db) -> None:
        """A count needs no Struct around it."""
        assert 0 == await db.one(int, "SELECT COUNT(*) FROM notes")
        assert [1, 2] == await db.all(int, "SELECT 1 UNION SELECT 2")
        assert await db.one(bool, "SELECT 1") is True
        assert (1, 2) == await db.one(tuple[int, ...], "SELECT '[1,2]'")

    async def test_one_of_many_is_a_mistake(self, db: Db) -> None:
        """Which one was meant? It is not left to chance, and the next query is not harmed."""
        with pytest.raises(Misuse, match=r"More than one row.*SELECT 1 UNION"):
            await db.one(int, "SELECT 1 UNION SELECT 2 UNION SELECT 3")

        assert 1 == await db.one(int, "SELECT 1")

    async def test_an_unknown_column_is_ignored(self, db: Db) -> None:
        """A newer schema may have more than this release knows."""
        assert Note(1, "a") == await db.one(Note, "SELECT 1 AS id, 'a' AS text, 9 AS more")

    @pytest.mark.parametrize(
        ("into", "sql", "complaint"),
        [
            (Note, "SELECT 1 AS id", "missing required field `text`"),
            (Note, "SELECT 'one' AS id, 'a' AS text", r"Expected `int`, got `str` - at `\$.id`"),
            (Note, "SELECT 1 AS id, NULL AS text", "Expected `str`, got `null`"),
            (int, "SELECT 1, 2", "there are 2 columns"),
            (int, "SELECT NULL", "Expected `int`, got `null`"),
            (bytes, "SELECT 'text'", "Expected `bytes`, got `str`"),
            (bool, "SELECT 2", "Expected `bool`, got `int`"),
            (tuple[int, ...], "SELECT '[1'", "truncated"),
            (tuple[int, ...], "SELECT 1", "tuple"),
        ],
    )
    async def test_a_row_that_does_not_fit_is_a_mistake(
        self, db: Db, into: type[object], sql: str, complaint: str
    ) -> None:
        """The message names the field and the query."""
        with pytest.raises(Misuse, match=complaint) as caught:
            await db.one(into, sql)

        assert sql in str(caught.value)

    async def test_reading_does_not_write(self, db: Db) -> None:
        """A write in the place of a read says where it belongs."""
        with pytest.raises(Misuse, match=r"write with execute\(\)"):
            await db.one(int, "INSERT INTO notes (text) VALUES ('a')")

        assert 0 == await db.one(int, "SELECT COUNT(*) FROM notes")


class TestWriting:
    async def test_what_was_done(self, db: Db) -> None:
        """An INSERT gives the id; the others only how many rows; a schema neither."""
        assert (1, 1) == await outcome(db, "INSERT INTO notes (text) VALUES ('a')")
        assert (1, 2) == await outcome(db, "  insert INTO notes (text) VALUES ('b')")
        assert (2, 0) == await outcome(db, "UPDATE notes SET stars = 5")
        assert (0, 0) == await outcome(db, "UPDATE notes SET stars = 4 WHERE id = 9")
        assert (2, 0) == await outcome(db, "DELETE FROM notes")
        assert (0, 0) == await outcome(db, "CREATE TABLE more (id INTEGER)")

    async def test_an_id_is_never_given_twice(self, db: Db) -> None:
        """Not even that of the last row, once it is removed."""
        await db.execute("INSERT INTO notes (text) VALUES ('a')")
        await db.execute("DELETE FROM notes")

        assert (1, 2) == await outcome(db, "INSERT INTO notes (text) VALUES ('a')")

    @sqlite_only
    async def test_a_write_waits_for_the_disk(self, db: Db) -> None:
        """What is acknowledged outlives a power failure: the log is synced at every commit."""
        async with db.transaction() as tx:
            assert 2 == await tx.one(int, "PRAGMA synchronous")
            assert "wal" == await tx.one(str, "PRAGMA journal_mode")

    @pytest.mark.parametrize(
        ("sql", "error", "complaint"),
        [
            (
                "INSERT INTO notes (text) VALUES ('a')",
                Duplicate,
                "UNIQUE.*notes.text|Duplicate.*notes_by_text",
            ),
            (
                "INSERT INTO notes (id, text) VALUES (1, 'b')",
                Duplicate,
                "UNIQUE.*notes.id|Duplicate.*PRIMARY",
            ),
            (
                "INSERT INTO notes (text) VALUES (NULL)",
                Constraint,
                "NOT NULL.*notes.text|text.*null",
            ),
            (
                "INSERT INTO notes (text, stars) VALUES ('b', 6)",
                Constraint,
                "CHECK|CONSTRAINT|Check constraint",
            ),
            ("INSERT INTO replies (note_id) VALUES (7)", Constraint, "FOREIGN KEY|foreign key"),
            (
                "INSERT INTO nots (text) VALUES ('b')",
                Misuse,
                "(no such table: nots|nots' doesn't exist): INSERT INTO",
            ),
            ("SELEKT 1", Misuse, "syntax"),
            ("INSERT INTO notes (text) VALUES (:text)", Misuse, ":text"),
            ("DELETE FROM notes; DELETE FROM notes", Misuse, "one statement at a time"),
            (
                "INSERT INTO notes (id, text) VALUES ('x', 'b')",
                Misuse,
                "mismatch|Incorrect integer",
            ),
        ],
    )
    async def test_a_refusal_says_who_must_act(
        self, db: Db, sql: str, error: type[SourceError], complaint: str
    ) -> None:
        """The caller for a constraint, the programmer for the SQL; and nothing is written."""
        await db.execute(
            "CREATE TABLE replies (note_id BIGINT, FOREIGN KEY (note_id) REFERENCES notes (id))"
        )
        await db.execute("INSERT INTO notes (text) VALUES ('a')")

        with pytest.raises(error, match=complaint) as caught:
            await db.execute(sql)

        assert error is type(caught.value)
        assert 1 == await db.one(int, "SELECT COUNT(*) FROM notes")

    @sqlite_only
    async def test_a_full_disk(self, db: Db) -> None:
        """The message says what to do; once there is room, writing goes on."""
        async with db.transaction() as tx:
            pages = await tx.one(int, "PRAGMA page_count") or 0
            await tx.one(int, f"PRAGMA max_page_count = {pages}")

        with pytest.raises(Unavailable, match=r"full.*Make room on the disk"):
            await db.execute("INSERT INTO notes (text) VALUES (:text)", text="a" * 100_000)

        async with db.transaction() as tx:
            await tx.one(int, "PRAGMA max_page_count = 1000000")
        await db.execute("INSERT INTO notes (text) VALUES (:text)", text="a" * 100_000)

    async def test_after_the_end_there_is_nothing_to_ask(self, where: Path | str) -> None:
        """A closed database refuses at once."""
        async with connect(where) as db:
            pass

        with pytest.raises(Misuse, match="closed"):
            await db.one(int, "SELECT 1")
        with pytest.raises(Misuse, match="closed"):
            await db.execute("CREATE TABLE a (id INTEGER)")


async def outcome(db: Db, sql: str) -> tuple[int, int]:
    done = await db.execute(sql)
    return done.rowcount, done.lastrowid


class Colour(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    M = 38


class Inner(msgspec.Struct, frozen=True):
    name: str
    at: datetime


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    none: int | None
    flag: bool
    maybe: bool | None
    number: int
    real: float
    text: str
    raw: bytes
    at: datetime
    many: tuple[str, ...]
    lists: list[int] | None
    pair: Annotated[tuple[int, str], msgspec.Meta(description="two")]
    mapping: Annotated[dict[str, float], msgspec.Meta(extra_json_schema={"title": "A table"})]
    inner: Inner
    kind: Colour
    size: Size
    renamed: int = msgspec.field(name="called")


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MOMENTS = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=ZONES,
)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
REALS = st.floats(allow_nan=False, allow_infinity=False)
EVERYTHING = st.builds(
    Everything,
    none=st.none(),
    flag=st.booleans(),
    maybe=st.none() | st.booleans(),
    number=NUMBERS,
    real=REALS,
    text=TEXT,
    raw=st.binary(),
    at=MOMENTS,
    many=st.lists(TEXT).map(tuple),
    lists=st.none() | st.lists(NUMBERS),
    pair=st.tuples(NUMBERS, TEXT),
    mapping=st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False)),
    inner=st.builds(Inner, name=TEXT, at=MOMENTS),
    kind=st.just(Colour.RED),
    size=st.just(Size.M),
    renamed=NUMBERS,
)


class TestValues:
    @given(EVERYTHING)
    @settings(
        deadline=None,
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    async def test_what_is_written_is_read(self, db: Db, value: Everything) -> None:
        """Every value comes back as itself, through a table with the types that schemas use."""
        async with db.schema_change() as schema:
            await schema.execute(
                "CREATE TABLE IF NOT EXISTS everything (none INTEGER, flag BOOLEAN, maybe BOOLEAN,"
                ' number BIGINT, "real" DOUBLE, text TEXT, raw BLOB, at DATETIME(6), many TEXT,'
                ' lists TEXT, pair TEXT, mapping TEXT, "inner" TEXT, kind VARCHAR(9), size INTEGER,'
                " called BIGINT)"
            )
        async with db.transaction() as tx:
            await tx.execute("DELETE FROM everything")
            await tx.execute(
                "INSERT INTO everything VALUES (:none, :flag, :maybe, :number, :real, :text, :raw,"
                " :at, :many, :lists, :pair, :mapping, :inner, :kind, :size, :renamed)",
                **{name: getattr(value, name) for name in Everything.__struct_fields__},
            )

        found = await db.one(Everything, "SELECT * FROM everything")

        assert value == found
        assert found is not None
        assert found.at.tzinfo is UTC
        assert isinstance(found.flag, bool)

    @given(MOMENTS, MOMENTS)
    @settings(
        deadline=None,
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    async def test_points_in_time_sort_as_time_does(
        self, db: Db, one: datetime, other: datetime
    ) -> None:
        """The database's order, by the text it keeps, is that of the points in time."""
        assert (one < other) is await db.one(bool, "SELECT :one < :other", one=one, other=other)

    @sqlite_only
    async def test_a_point_in_time_can_be_read_by_people(self, db: Db) -> None:
        """UTC, of a fixed width; SQLite's own functions understand it."""
        at = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=2)))

        assert "2026-03-01T07:30:00.000000Z" == await db.one(str, "SELECT :at", at=at)
        assert "2026-03-02" == await db.one(str, "SELECT date(:at, '+1 day')", at=at)

    @pytest.mark.parametrize(
        ("value", "complaint"),
        [
            (datetime(2026, 1, 1), "without its zone"),  # noqa: DTZ001
            (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "no such year"),
            (float("nan"), "NaN"),
            (object(), "object has no form in SQL"),
            ({1, 2}, "set has no form in SQL"),
            ([object()], "unsupported"),
            (2**63, "too large"),
            ("\ud800", "surrogates"),
            (("\ud800",), "surrogates"),
        ],
    )
    async def test_what_cannot_be_kept_is_refused(self, db: Db, value: Any, complaint: str) -> None:
        """Rather than kept as something else."""
        with pytest.raises(Misuse, match=complaint):
            await db.one(str, "SELECT :value", value=value)


class TestTransaction:
    async def test_all_or_nothing(self, db: Db) -> None:
        """An exception undoes what the block wrote, and goes on its way."""

        async def fail() -> None:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO notes (text) VALUES ('a')")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO notes (text) VALUES ('b')")
            await tx.execute("INSERT INTO notes (text) VALUES ('c')")

        assert ["b", "c"] == await db.all(str, "SELECT text FROM notes ORDER BY id")

    async def test_it_sees_its_own_writes_and_nobody_else_does(self, db: Db) -> None:
        """Until it ends, other readers have the state before."""
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO notes (text) VALUES ('a')")

            assert [Note(1, "a")] == await tx.all(Note, "SELECT id, text FROM notes")
            assert Note(1, "a") == await tx.one(Note, "SELECT id, text FROM notes")
            assert [] == await db.all(Note, "SELECT id, text FROM notes")

    async def test_a_refused_statement_does_not_end_it(self, db: Db) -> None:
        """So that "insert, or update if it is there" can be said."""
        await db.execute("INSERT INTO notes (text) VALUES ('a')")
        async with db.transaction() as tx:
            with pytest.raises(Duplicate):
                await tx.execute("INSERT INTO notes (text) VALUES ('a')")
            await tx.execute("UPDATE notes SET stars = 5 WHERE text = 'a'")

        assert 5 == await db.one(int, "SELECT stars FROM notes")

    async def test_writers_take_turns(self, where: Path | str) -> None:
        """Read, wait, write: no task's change is lost under another's, however long the queue."""
        async with connect(where, patience=60) as db:
            await migrate(db, [NOTES])
            await self._take_turns(db)

    async def _take_turns(self, db: Db) -> None:
        await db.execute("INSERT INTO notes (text, stars) VALUES ('a', 1)")
        await db.execute("CREATE TABLE counter AS SELECT 0 AS n")

        async def increment() -> None:
            async with db.transaction() as tx:
                n = await tx.one(int, "SELECT n FROM counter") or 0
                await asyncio.sleep(0)
                await tx.execute("UPDATE counter SET n = :n", n=n + 1)

        await asyncio.gather(*(increment() for _ in range(50)))

        assert 50 == await db.one(int, "SELECT n FROM counter")

    async def test_cancelled_in_the_middle(self, db: Db) -> None:
        """Nothing stays of it, and the next one works."""
        inside = asyncio.Event()

        async def hang() -> None:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO notes (text) VALUES ('a')")
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hang())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await db.execute("INSERT INTO notes (text) VALUES ('b')")
        assert ["b"] == await db.all(str, "SELECT text FROM notes")

    async def test_cancelled_at_any_moment(self, db: Db) -> None:
        """Waiting, writing or committing: both rows of a transaction are there, or none, whatever
        was returned is there, and the next one works.
        """
        returned: set[str] = set()

        async def write(name: str) -> None:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO notes (text) VALUES (:text)", text=name + "1")
                await asyncio.sleep(0)
                await tx.execute("INSERT INTO notes (text) VALUES (:text)", text=name + "2")
            returned.add(name)

        chance = random.Random(7)
        for turn in range(60):
            tasks = [asyncio.create_task(write(f"{turn}-{n}-")) for n in range(4)]
            for _ in range(chance.randrange(8)):
                await asyncio.sleep(chance.choice((0, 0, 0.0002)))
            for task in tasks:
                task.cancel()
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert {None, asyncio.CancelledError} >= {each and type(each) for each in outcomes}

        texts = await db.all(str, "SELECT text FROM notes")
        written = {text[:-1] for text in texts}
        assert len(texts) == 2 * len(written)
        assert returned <= written
        await write("last")

    @sqlite_only
    async def test_cancelled_while_it_commits(self, db: Db) -> None:
        """The commit cannot be called back: it is waited for, then the cancellation goes on."""
        task = asyncio.create_task(db.execute("INSERT INTO notes (text) VALUES ('a')"))
        async with asyncio.timeout(5):
            while not await db.one(int, "SELECT COUNT(*) FROM notes"):
                await asyncio.sleep(0)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        await db.execute("INSERT INTO notes (text) VALUES ('b')")
        assert 2 == await db.one(int, "SELECT COUNT(*) FROM notes")

    @sqlite_only
    async def test_a_failed_commit(self, db: Db) -> None:
        """What is only refused at the end undoes the whole, and the next one works."""
        await db.execute(
            "CREATE TABLE replies (note_id INTEGER REFERENCES notes (id) DEFERRABLE"
            " INITIALLY DEFERRED)"
        )
        with pytest.raises(Constraint, match="FOREIGN KEY"):
            await db.execute("INSERT INTO replies (note_id) VALUES (7)")

        assert 0 == await db.one(int, "SELECT COUNT(*) FROM replies")
        await db.execute("INSERT INTO notes (text) VALUES ('a')")

    @sqlite_only
    async def test_undone_by_a_failure(self, db: Db) -> None:
        """What follows is not written on its own, as if it were the whole."""

        async def fail() -> None:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO notes (text) VALUES ('a')")
                with pytest.raises(Duplicate):
                    await tx.execute("INSERT OR ROLLBACK INTO notes (text) VALUES ('a')")
                with pytest.raises(Unavailable, match="undone by a failure"):
                    await tx.execute("INSERT INTO notes (text) VALUES ('b')")

        with pytest.raises(Unavailable, match="undone by a failure"):
            await fail()
        assert 0 == await db.one(int, "SELECT COUNT(*) FROM notes")

    async def test_it_does_not_wait_for_itself(self, db: Db) -> None:
        """Writing around one's own transaction would wait for ever; it is refused."""
        async with db.transaction():
            with pytest.raises(Misuse, match=r"use what transaction\(\) gave"):
                await db.execute("INSERT INTO notes (text) VALUES ('a')")

    async def test_over_is_over(self, db: Db) -> None:
        """A transaction kept for later does not write into another."""
        async with db.transaction() as tx:
            pass
        async with db.transaction():
            with pytest.raises(Misuse, match="over"):
                await tx.execute("INSERT INTO notes (text) VALUES ('a')")

    @sqlite_only
    async def test_patience_within_the_process(self, db: Db) -> None:
        """Others who write for too long make a caller `Busy`, without harm to either."""

        async def insert() -> None:
            await db.execute("INSERT INTO notes (text) VALUES ('b')")

        async with db.transaction() as tx:
            await tx.execute("INSERT INTO notes (text) VALUES ('a')")
            with pytest.raises(Busy, match="in this process"):
                await asyncio.create_task(insert())
        await insert()

        assert ["a", "b"] == await db.all(str, "SELECT text FROM notes ORDER BY id")

    async def test_closed_in_the_middle(self, where: Path | str) -> None:
        """A transaction that does not end is undone, once patience is at its end."""

        async def hang() -> None:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO notes (text) VALUES ('a')")
                inside.set()
                await closed.wait()

        inside, closed = asyncio.Event(), asyncio.Event()
        async with connect(where, patience=0.01) as db:
            await migrate(db, [NOTES])
            task = asyncio.create_task(hang())
            await inside.wait()
        closed.set()
        with pytest.raises(Unavailable, match="undone by a failure"):
            await task

        async with connect(where) as db:
            assert 0 == await db.one(int, "SELECT COUNT(*) FROM notes")


class TestFiles:
    async def test_a_missing_directory(self, tmp_path: Path) -> None:
        """The message names the file and says what it takes."""
        with pytest.raises(Unavailable, match=r"none/a.db: .*right to write.*directory"):
            async with connect(tmp_path / "none" / "a.db"):
                pass

    async def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        """It is left alone."""
        path = tmp_path / "a.db"
        path.write_text("This is a letter to my aunt. " * 100)

        with pytest.raises(Unavailable, match=r"not a database.*put a backup in its place"):
            async with connect(path):
                pass
        assert path.read_text().startswith("This is a letter")

    async def test_a_damaged_file(self, tmp_path: Path) -> None:
        """What cannot be read is said, with the way out, and nothing is made up."""
        path = tmp_path / "a.db"
        async with connect(path) as db:
            await migrate(db, [NOTES])
            async with db.transaction() as tx:
                for number in range(2000):
                    await tx.execute("INSERT INTO notes (text) VALUES (:text)", text=str(number))
        content = path.read_bytes()
        path.write_bytes(content[:4096] + b"\x00" * (len(content) - 4096))

        async with connect(path) as db:
            with pytest.raises(Unavailable, match=r"malformed.*\.recover"):
                await db.all(Note, "SELECT id, text FROM notes")


class TestOtherProcesses:
    @sqlite_only
    async def test_the_loop_goes_on_while_a_write_waits(self, db: Db, tmp_path: Path) -> None:
        """Another process writes: reads are answered meanwhile, and the write is done after."""
        other = sqlite3.connect(tmp_path / "notes.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO notes (text) VALUES ('theirs')")

        write = asyncio.create_task(db.execute("INSERT INTO notes (text) VALUES ('ours')"))
        longest, last = 0.0, time.perf_counter()
        end = last + 0.3
        while last < end:
            assert 0 == await db.one(int, "SELECT COUNT(*) FROM notes")
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        assert not write.done()
        other.execute("COMMIT")
        other.close()
        await write

        assert longest < 0.25  # on a busy machine; were the loop held, it would be 0.3
        assert ["theirs", "ours"] == await db.all(str, "SELECT text FROM notes ORDER BY id")

    @sqlite_only
    async def test_a_locked_database_is_busy_in_the_end(self, db: Db, tmp_path: Path) -> None:
        """After our patience, a typed error; when the other is done, writing works again."""
        other = sqlite3.connect(tmp_path / "notes.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        start = time.perf_counter()
        with pytest.raises(Busy, match=r"notes.db: others kept it for too long"):
            await db.execute("INSERT INTO notes (text) VALUES ('ours')")
        assert 0.5 <= time.perf_counter() - start < 5

        other.close()
        await db.execute("INSERT INTO notes (text) VALUES ('ours')")

    async def test_opening_waits_too(self, tmp_path: Path) -> None:
        """Whoever makes the file at this moment is waited for, within the same limit."""
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        other.execute("CREATE TABLE a (id INTEGER)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy):
            async with connect(tmp_path / "a.db", patience=0.05):
                pass

        asyncio.get_running_loop().call_later(0.1, other.close)
        async with connect(tmp_path / "a.db") as db:
            assert 0 == await db.one(int, "SELECT COUNT(*) FROM a")

    @pytest.mark.slow
    @pytest.mark.skipif(sys.platform != "linux", reason="knows where SQLite's locks are")
    async def test_reading_waits_for_repairs(self, tmp_path: Path) -> None:
        """While another process repairs the log after a crash, readers wait, then read."""
        repairing = """
            import fcntl, sys
            with open(sys.argv[1] + "-shm", "r+b") as index:
                fcntl.lockf(index, fcntl.LOCK_EX, 3, 120)  # to write, to checkpoint, to recover
                index.write(b"\\0" * 96)
                index.flush()
                print("repairing", flush=True)
                sys.stdin.readline()
        """
        async with connect(tmp_path / "a.db", patience=0.3) as db:
            await db.execute("CREATE TABLE a AS SELECT 7 AS id")
            child = script(repairing, tmp_path / "a.db")
            assert child.stdout is not None
            assert "repairing\n" == child.stdout.readline()

            with pytest.raises(Busy):
                await db.one(int, "SELECT id FROM a")
            one = asyncio.create_task(db.one(int, "SELECT id FROM a"))
            rows = asyncio.create_task(db.all(int, "SELECT id FROM a"))
            await asyncio.sleep(0.05)
            assert not one.done()
            finish(child)

            assert 7 == await one
            assert [7] == await rows

    @pytest.mark.slow
    async def test_nothing_is_lost_between_processes(self, where: Path | str) -> None:
        """Four processes count to a hundred each, on one row."""
        counting = """
            import asyncio, sys
            from ogrom.sources.sql import connect

            async def main():
                async with connect(sys.argv[1], patience=30) as db:
                    for _ in range(100):
                        async with db.transaction() as tx:
                            n = await tx.one(int, "SELECT n FROM counter")
                            await tx.execute("UPDATE counter SET n = :n", n=n + 1)

            asyncio.run(main())
        """
        async with connect(where) as db:
            await db.execute("CREATE TABLE counter AS SELECT 0 AS n")

            finish(*[script(counting, where) for _ in range(4)])

            assert 400 == await db.one(int, "SELECT n FROM counter")

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills without warning")
    async def test_killed_at_any_moment(self, where: Path | str) -> None:
        """Whatever a process acknowledged is there after kill -9, each pair whole; the file opens
        as if nothing had been.
        """
        writing = """
            import asyncio, sys
            from ogrom.sources.sql import connect

            async def main():
                async with connect(sys.argv[1]) as db:
                    n = await db.one(int, "SELECT COALESCE(MAX(n), 0) FROM written")
                    while True:
                        n += 1
                        async with db.transaction() as tx:
                            for half in (1, 2):
                                await tx.execute(
                                    "INSERT INTO written (n, text) VALUES (:n, :text)",
                                    n=n, text="x" * (n * 37 % 3000),
                                )
                        print(n, flush=True)

            asyncio.run(main())
        """
        async with connect(where) as db:
            await db.execute("CREATE TABLE written (n INTEGER, text TEXT)")
        chance = random.Random(11)
        for _ in range(8):
            child = script(writing, where)
            assert child.stdout is not None
            first = child.stdout.readline()
            await asyncio.sleep(chance.uniform(0, 0.25))
            child.kill()
            out, _ = child.communicate()
            acknowledged = [int(line) for line in (first + out).split("\n")[:-1]]

            async with connect(where) as db:
                counts = dict(await db.all(Pair, "SELECT n, COUNT(*) AS c FROM written GROUP BY n"))
                if isinstance(where, Path):
                    assert "ok" == await db.one(str, "PRAGMA integrity_check")
            assert {*acknowledged} <= counts.keys()
            assert len(counts) <= acknowledged[-1] + 1
            assert {2} == {*counts.values()}


class Pair(msgspec.Struct):
    n: int
    c: int

    def __iter__(self) -> Any:
        return iter((self.n, self.c))


class TestMigrate:
    MORE = Step(2, "colours", ("ALTER TABLE notes ADD COLUMN colour TEXT",))

    async def test_each_step_once(self, db: Db) -> None:
        """Only what is missing is done; it is told which."""
        assert () == await migrate(db, [NOTES])
        assert (2,) == await migrate(db, [NOTES, self.MORE])
        assert () == await migrate(db, [NOTES, self.MORE])

    async def test_an_older_release_goes_on(self, db: Db) -> None:
        """A schema newer than ours is no error: it has only ever been added to."""
        await migrate(db, [NOTES, self.MORE])

        assert () == await migrate(db, [NOTES])
        await db.execute("INSERT INTO notes (text) VALUES ('a')")

    async def test_a_number_given_twice(self, db: Db) -> None:
        """Two branches with the same number: the second to come is told, before it does harm."""
        another = Step(1, "letters", ("CREATE TABLE letters (id INTEGER)",))
        more = Step(2, "colours", ("CREATE TABLE colours (id INTEGER)",))

        with pytest.raises(Misuse, match=r"Step 1 is 'letters' here.*'notes'.*next free number"):
            await migrate(db, [another, more])
        with pytest.raises(Misuse, match="colours"):
            await db.one(int, "SELECT COUNT(*) FROM colours")

    async def test_steps_go_upwards(self, db: Db) -> None:
        """Steps out of order, or twice, are refused."""
        with pytest.raises(Misuse, match=r"\[2, 1\]"):
            await migrate(db, [self.MORE, NOTES])
        with pytest.raises(Misuse, match=r"\[1, 1\]"):
            await migrate(db, [NOTES, NOTES])

    async def test_a_step_that_fails(self, db: Db, where: Path | str) -> None:
        """The error names the step. Nothing of the migration stays on SQLite; on MariaDB, where a
        change of the schema cannot be undone, what came before the mistake does.
        """
        broken = Step(3, "broken", ("CREATE TABLE letters (id INTEGER)", "CREATE TABEL x"))

        with pytest.raises(Misuse, match="syntax") as caught:
            await migrate(db, [NOTES, self.MORE, broken])

        assert ["This was in step 3 of the schema, 'broken'."] == caught.value.__notes__
        stayed = not isinstance(where, Path)
        assert (() if stayed else (2,)) == await migrate(db, [NOTES, self.MORE])
        mended = Step(3, "broken", (broken.statements[0], "CREATE TABLE words (id INTEGER)"))
        assert (3,) == await migrate(db, [NOTES, self.MORE, mended])

    @pytest.mark.slow
    async def test_four_processes_start_at_once(self, where: Path | str) -> None:
        """On a file that is not there yet: each step is done by one of them, and all can go on."""
        starting = """
            import asyncio, json, sys
            from ogrom.sources.sql import Step, connect, migrate

            STEPS = [
                Step(n, f"table {n}", (f"CREATE TABLE t{n} (id SERIAL PRIMARY KEY)",))
                for n in range(1, 20)
            ]

            async def main():
                async with connect(sys.argv[1]) as db:
                    done = await migrate(db, STEPS)
                    await db.execute("INSERT INTO t19 (id) VALUES (NULL)")
                print(json.dumps(done))

            sys.stdin.readline()
            asyncio.run(main())
        """
        children = [script(starting, where) for _ in range(4)]
        await asyncio.sleep(0.5)  # until all have imported what they need
        done = [json.loads(out) for out in finish(*children)]

        assert [[], [], [], [*range(1, 20)]] == sorted(done)
        async with connect(where) as db:
            assert 4 == await db.one(int, "SELECT COUNT(*) FROM t19")


@pytest.mark.parametrize("where", ["", ":memory:"])
def test_a_database_without_a_file_is_refused(where):
    """Several processes, and our own threads, share it."""
    with pytest.raises(Misuse, match=r"a database is a file here. In a test: tmp_path"):
        validate(where)
