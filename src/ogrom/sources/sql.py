"""SQL: one `Db` to read rows as typed values, to write, and to do several writes as one.

SQL is written once, for every database, with named parameters. A row becomes a msgspec Struct, its
columns found by name, or a single value:

    async with connect("shop.db") as db:
        comment = await db.one(Comment, "SELECT id, text FROM comments WHERE id = :id", id=7)
        number = await db.one(int, "SELECT COUNT(*) FROM comments")

        async with db.transaction() as tx:
            await tx.execute("UPDATE comments SET text = :text WHERE id = :id", text="Ah!", id=7)

**What is kept.** A write is stored when its call returns: it survives the death of the process and
of the machine. A call that raises has written nothing, but for one case: cancelled or cut off while
it commits, it may have written, as a client that hangs up may have been served.

**What goes wrong**, by who must act:

    SourceError
    ├── Unavailable    whoever runs it: the database cannot be opened, read or written
    │   └── Busy       nobody: others wrote for longer than our patience; later it works
    ├── Constraint     the caller: the data refuses this value
    │   └── Duplicate  … as a row with this key is there already
    └── Misuse         the programmer: SQL, a parameter or a row's type is wrong

**Values.** `None`, `bool`, `int`, `float`, `str` and `bytes` are themselves. A `datetime` must
know its zone; it is kept in UTC to the microsecond, and comes back as UTC. Structs, tuples, lists
and dicts are kept as JSON text, and read back wherever the field's type is one of these.

**Portable SQL** has no RETURNING and no ON CONFLICT: say INSERT and catch `Duplicate`. Columns are
named, never `*`, so that an older release still reads a newer schema. In a schema, write
`id SERIAL PRIMARY KEY` for ids that are given out by the database and never again, DATETIME(6) for
points in time, VARCHAR(n) for keys, and "double quotes" around a name that is a word of SQL's. Texts
are compared by their code points. A MySQL's TEXT has room for 64 KB, and it has no infinity.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from ogrom.sources._db import (
    Busy,
    Constraint,
    Db,
    Duplicate,
    Misuse,
    Outcome,
    Queries,
    Reads,
    SchemaChange,
    SourceError,
    Step,
    Unavailable,
    Value,
)
from ogrom.sources._mysql_url import SCHEMES, masked, parse
from ogrom.sources._sqlite import SqliteDb

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
    "connect",
    "masked",
    "migrate",
    "validate",
]


class _Applied(Struct, frozen=True):
    number: int
    name: str


async def migrate(db: Db, steps: Sequence[Step]) -> tuple[int, ...]:
    """Bring the schema forward by the steps that it has not had yet; their numbers.

    Any number of processes may start with it at once: one works, the others find nothing to do.
    Whoever is killed in the middle leaves no harm: SQLite undoes what he began, and on MySQL the
    next one goes on with it.
    Steps which the database has had and we do not know are a newer release's, and are no error:
    during a deployment, and after it is rolled back, the older release has to go on. So steps only
    ever add what it can ignore (a table, a column with a default, an index); what is no longer
    wanted is removed by a later release, when none is left that reads it.
    """
    numbers = [step.number for step in steps]
    if numbers != sorted(set(numbers)):
        raise Misuse(f"Steps of the schema are numbered upwards, each once; these are {numbers}.")
    async with db.schema_change() as tx:
        await tx.execute(
            "CREATE TABLE IF NOT EXISTS ogrom_schema ("
            " number INTEGER PRIMARY KEY, name VARCHAR(200) NOT NULL, applied DATETIME(6) NOT NULL)"
        )
        applied = await tx.all(_Applied, "SELECT number, name FROM ogrom_schema")
        names = {step.number: step.name for step in applied}
        missing = [step for step in steps if step.number not in names]
        for step in steps:
            if names.get(step.number, step.name) != step.name:
                raise Misuse(
                    f"Step {step.number} is {step.name!r} here, but this database had another by"
                    f" that number, {names[step.number]!r}: give yours the next free number."
                )
        for step in missing:
            try:
                await tx.apply(step)
            except SourceError as error:
                error.add_note(f"This was in step {step.number} of the schema, {step.name!r}.")
                raise
    return tuple(step.number for step in missing)


@asynccontextmanager
async def connect(
    where: str | Path, *, patience: float = 5.0, wanted: bool = True
) -> AsyncGenerator[Db, None]:
    """The database at `where`.

    A path, or `sqlite:///path`, is a file of SQLite's, which is made if there is none; any number
    of processes of one machine may share it. `mysql://user:password@host:3306/database` is a MySQL
    or MariaDB: docs/sql.md tells what else its URL may say.

    For `patience` seconds a call waits while others write, or for a free connection, without
    holding up the event loop; then it raises `Busy`. Connect in the process that uses it: a
    connection does not outlive a fork.

    Unless the database is `wanted` now, a server that is out of reach is no error here: calls are
    `Unavailable` until it is there. That it does not let us in, or lacks our database, is one.

    Raises:
        Misuse: the URL cannot be right.
        Unavailable: there is no such database, or it does not let us in.
    """
    if _is_mysql(where):
        # A service on SQLite need not load the driver.
        from ogrom.sources._mysql import MysqlDb

        db: SqliteDb | MysqlDb = await MysqlDb.open(str(where), patience, wanted=wanted)
    else:
        db = await SqliteDb.open(_file(where), patience)
    try:
        yield db
    finally:
        await db.close()


def validate(where: str | Path) -> None:
    """See whether `connect` could be right, without connecting.

    Raises:
        Misuse: it could not; the message says why and shows no password.
    """
    if _is_mysql(where):
        parse(str(where))
    else:
        _file(where)


def _is_mysql(where: str | Path) -> bool:
    return str(where).startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def _file(where: str | Path) -> str:
    if str(where) in ("", ":memory:"):
        raise Misuse(f"{str(where)!r}: a database is a file here. In a test: tmp_path / 'test.db'.")
    scheme, separator, rest = str(where).partition("://")
    if not separator or isinstance(where, Path):
        return str(where)
    if scheme != "sqlite" or not rest.startswith("/") or not rest.strip("/"):
        raise Misuse(
            f"{masked(str(where))}: a database is mysql://user:password@host:3306/database,"
            " sqlite:///path/in/here.db or sqlite:////path/from/the/root.db."
        )
    return rest[1:]
