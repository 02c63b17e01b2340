"""What only a server does: connections are lost, it is stopped or frozen, writers wait in circles."""

import asyncio
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec import Struct, json
from support.database import Missing, Server, fresh

from ogrom import deadline
from ogrom.metrics import text
from ogrom.sources._errors import TimedOut
from ogrom.sources.sql import (
    Busy,
    Db,
    Misuse,
    Queries,
    Step,
    Unavailable,
    connect,
    migrate,
)

pytestmark = pytest.mark.slow

ROWS = Step(
    1,
    "rows",
    (
        "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, text VARCHAR(99) UNIQUE)",
        "INSERT INTO t (id, n, text) VALUES (1, 10, 'a'), (2, 20, 'b')",
    ),
)


class Row(Struct, frozen=True):
    id: int
    n: int


@pytest.fixture
def url(database: Server) -> str:
    return fresh(database.url())


@pytest.fixture
async def db(url: str) -> AsyncGenerator[Db, None]:
    async with connect(f"{url}?max=4&read_timeout=60", patience=2) as db:
        await migrate(db, [ROWS])
        yield db


@pytest.fixture
def own(tmp_path: Path, database: Server) -> Iterator[Server]:
    """A server that a test may stop and freeze."""
    server = Server(tmp_path / "own")
    server.start(tls=False)
    yield server
    server.stop()


async def told(server: Server, db: Db, table: str, name: str) -> str:
    """What the server says of its own state."""
    place = {"mariadb": "information_schema", "mysql": "performance_schema"}[server.product.name]
    sql = f"SELECT variable_value FROM {place}.{table} WHERE variable_name = :name"
    return await db.one(str, sql, name=name) or ""  # type: ignore[arg-type]


def figure(db: Db, name: str) -> float:
    """A metric's value."""
    lines = text(db.metrics()).splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))


async def works_again(db: Db) -> float:
    """After how many seconds it does."""
    began = time.monotonic()
    while True:
        try:
            assert 1 == await db.one(int, "SELECT 1")
        except Unavailable:
            assert time.monotonic() - began < 30
            await asyncio.sleep(0.02)
        else:
            return time.monotonic() - began


class TestCancelling:
    async def test_forty_cancelled_in_flight(self, db: Db) -> None:
        """None gives its row to the next, and none is left on the server."""
        for turn in range(40):
            tasks = [
                asyncio.create_task(db.one(int, "SELECT -1 + 0 * SLEEP(:s)", s=20))
                for _ in range(2)
            ]
            await asyncio.sleep(0.002 * (turn % 8))
            for task in tasks:
                task.cancel()
            others = [db.one(Row, "SELECT :n AS id, :n AS n", n=turn * 10 + k) for k in range(4)]
            for k, row in enumerate(await asyncio.gather(*others)):
                assert Row(turn * 10 + k, turn * 10 + k) == row
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [asyncio.CancelledError] * 2 == [type(each) for each in outcomes]

        await nobody_sleeps(db)
        assert 0 == figure(db, "ogrom_sql_pool_connections_used{")

    async def test_forty_at_once(self, db: Db) -> None:
        """Some at work, others waiting for a connection: the next forty get their own rows."""
        for turn in range(3):
            tasks = [
                asyncio.create_task(db.one(int, "SELECT -1 + 0 * SLEEP(:s)", s=20))
                for _ in range(40)
            ]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            others = [db.one(Row, "SELECT :n AS id, :n AS n", n=turn * 100 + k) for k in range(40)]
            found = await asyncio.gather(*others)
            assert [Row(turn * 100 + k, turn * 100 + k) for k in range(40)] == found
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [asyncio.CancelledError] * 40 == [type(each) for each in outcomes]
        await nobody_sleeps(db)
        assert 0 == figure(db, "ogrom_sql_pool_connections_used{")

    async def test_past_the_deadline_it_ends_on_the_server_too(self, db: Db) -> None:
        """The caller hears of it in time, that it came early, and no zombie stays: this one would
        not even notice that we have hung up.
        """
        began = time.monotonic()
        deadline.set(seconds=0.3)
        try:
            with pytest.raises(TimedOut, match=r"did not answer within 0\.") as caught:
                await db.one(int, "SELECT BENCHMARK(2000000000, SHA2('SLEEP(', 512))")
        finally:
            deadline.set(seconds=None)
        assert 0.25 < time.monotonic() - began < 5
        assert caught.value.early
        await nobody_sleeps(db)

    async def test_read_timeout(self, url: str) -> None:
        """Without a deadline there is still a limit."""
        async with connect(f"{url}?read_timeout=0.3") as db:
            with pytest.raises(TimedOut) as caught:
                await db.one(int, "SELECT SLEEP(20)")
            assert not caught.value.early
            assert 1 == await db.one(int, "SELECT 1")

    async def test_a_transaction_out_of_time_writes_nothing(self, db: Db) -> None:
        """And what follows in it is refused."""

        async def write() -> None:
            async with db.transaction() as tx:
                await tx.execute("UPDATE t SET n = 11 WHERE id = 1")
                deadline.set(seconds=0.2)
                with pytest.raises(TimedOut):
                    await tx.one(int, "SELECT SLEEP(20)")
                deadline.set(seconds=None)
                await tx.execute("UPDATE t SET n = 21 WHERE id = 2")

        with pytest.raises(Unavailable, match="undone by a failure"):
            await write()
        assert [10, 20] == await db.all(int, "SELECT n FROM t ORDER BY id")


async def kill(db: Db, number: int | None) -> None:
    """End a connection, as an administrator would."""
    await db.execute(f"KILL {number}")  # type: ignore[arg-type]


async def nobody_sleeps(db: Db) -> None:
    sleeping = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(%' AND id <> CONNECTION_ID()"
    async with asyncio.timeout(15):
        while await db.one(int, sleeping):
            await asyncio.sleep(0.02)


class TestConnections:
    async def test_a_killed_one_is_replaced_unseen(self, url: str) -> None:
        """Reading and writing, at once or later: nobody notices."""
        async with connect(f"{url}?max=1") as db, connect(url) as other:
            await migrate(db, [ROWS])
            await db.execute("UPDATE t SET n = 10")
            for pause in (0, 0.05):
                for turn in range(5):
                    number = await db.one(int, "SELECT CONNECTION_ID()")
                    await kill(other, number)
                    await asyncio.sleep(pause)
                    if turn % 2 and pause:
                        assert 2 == (await db.execute("UPDATE t SET n = 10")).rowcount
                    elif pause:
                        async with db.transaction() as tx:
                            assert [10, 10] == await tx.all(int, "SELECT n FROM t")
                    assert number != await db.one(int, "SELECT CONNECTION_ID()")

    async def test_killed_in_a_transaction(self, db: Db) -> None:
        """Nothing of it stays, and the caller is told."""

        async def write() -> None:
            async with db.transaction() as tx:
                await tx.execute("UPDATE t SET n = 11 WHERE id = 1")
                number = await tx.one(int, "SELECT CONNECTION_ID()")
                await asyncio.create_task(kill(db, number))
                await tx.execute("UPDATE t SET n = 21 WHERE id = 2")

        with pytest.raises(Unavailable):
            await write()

        assert [10, 20] == await db.all(int, "SELECT n FROM t ORDER BY id")

    async def test_all_in_use(self, db: Db) -> None:
        """Who waits for longer than the deadline is told that there were too many."""
        busy = [asyncio.create_task(db.one(int, "SELECT SLEEP(1)")) for _ in range(4)]
        while figure(db, "ogrom_sql_pool_connections_used{") < 4:
            await asyncio.sleep(0.01)
        deadline.set(seconds=0.1)
        with pytest.raises(Busy, match="all 4 connections were in use"):
            await db.one(int, "SELECT 1")
        deadline.set(seconds=None)

        assert 1 == await db.one(int, "SELECT 1")  # which waits
        assert [0] * 4 == await asyncio.gather(*busy)
        assert 2 == figure(db, "ogrom_sql_pool_waits_total")
        assert 4 >= figure(db, "ogrom_sql_pool_connections{")

    async def test_idle_ones_go(self, url: str) -> None:
        """Down to the least number."""
        async with connect(f"{url}?idle=0.1&min=1&max=4") as db:
            await asyncio.gather(*(db.one(int, "SELECT SLEEP(0.05)") for _ in range(4)))
            async with asyncio.timeout(15):
                while figure(db, "ogrom_sql_pool_connections{") > 1:
                    await asyncio.sleep(0.02)
            assert 1 == await db.one(int, "SELECT 1")

    async def test_old_ones_go(self, url: str) -> None:
        """However busy they are."""
        async with connect(f"{url}?lifetime=0.05&max=1") as db:
            first = await db.one(int, "SELECT CONNECTION_ID()")
            await asyncio.sleep(0.06)
            await db.one(int, "SELECT 1")
            assert first != await db.one(int, "SELECT CONNECTION_ID()")

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            (lambda url: url.replace("ogrom:", "ogrom:not-"), "Access denied.*user and password"),
            (lambda url: url.replace("/t", "/none"), "Unknown database.*Make the database"),
            (lambda url: re.sub(r"1:\d+/", "1:1/", url), "127.0.0.1:1: .*[Cc]onnect"),
        ],
    )
    async def test_a_wrong_url(self, url: str, change: Any, complaint: str) -> None:
        """The message says what is wrong with it, and not the password."""
        wrong = change(url)
        with pytest.raises((Unavailable, Misuse), match=complaint) as caught:
            async with connect(wrong):
                pass
        assert wrong.split(":")[2].split("@")[0] not in str(caught.value)

    async def test_statements_are_forgotten_in_time(self, database: Server, db: Db) -> None:
        """The server's room for them is not ours alone."""
        for n in range(150):
            assert n == await db.one(int, f"SELECT {n}")  # type: ignore[arg-type]
        assert 0 < int(await told(database, db, "global_status", "Prepared_stmt_count")) < 130

    async def test_a_schema_that_changes_under_it(self, db: Db) -> None:
        """A statement prepared before is prepared anew."""
        for n in range(3):
            assert Row(1, 10) == await db.one(Row, "SELECT * FROM t WHERE id = 1")
            await db.execute(f"ALTER TABLE t ADD COLUMN more{n} VARCHAR(9) DEFAULT 'x' FIRST")  # type: ignore[arg-type]


class TestServer:
    async def test_stopped_for_seconds(self, own: Server) -> None:
        """Every call fails soon with `Unavailable`; back, it works by itself, with all that was
        acknowledged.
        """
        acknowledged: list[int] = []
        failed = 0
        async with connect(f"{fresh(own.url())}?max=4&read_timeout=2", patience=1) as db:
            await db.execute("CREATE TABLE w (n BIGINT PRIMARY KEY)")
            over = asyncio.Event()

            async def write(start: int) -> None:
                nonlocal failed
                n = start
                while not over.is_set():
                    began = time.monotonic()
                    try:
                        await db.execute("INSERT INTO w (n) VALUES (:n)", n=n)
                        acknowledged.append(n)
                    except Unavailable:
                        failed += 1
                        await asyncio.sleep(0.01)
                    assert time.monotonic() - began < 10
                    n += 1

            writers = [asyncio.create_task(write(k * 1_000_000)) for k in range(6)]
            await asyncio.sleep(0.3)
            await asyncio.to_thread(own.stop)
            await asyncio.sleep(1.5)
            before = len(acknowledged)
            await asyncio.to_thread(own.start, tls=False)
            took = await works_again(db)
            await asyncio.sleep(0.3)
            over.set()
            await asyncio.gather(*writers)

            kept = set(await db.all(int, "SELECT n FROM w"))
        assert before < len(acknowledged)
        assert failed > 10
        assert figure(db, 'ogrom_sql_errors_total{system="mysql",error="Unavailable"}') >= failed
        assert kept.issuperset(acknowledged)
        assert took < 10

    async def test_frozen(self, own: Server) -> None:
        """Nobody waits beyond the deadline, and thawed, it works by itself."""
        pid = own.pid()
        assert pid is not None
        async with connect(f"{fresh(own.url())}?max=3&connect_timeout=0.5", patience=0.5) as db:
            await db.one(int, "SELECT 1")
            os.kill(pid, signal.SIGSTOP)
            while ") T " not in Path(f"/proc/{pid}/stat").read_text():  # it takes a moment
                await asyncio.sleep(0.001)
            try:
                for _ in range(3):
                    deadline.set(seconds=0.4)
                    began = time.monotonic()
                    asked = [db.one(int, "SELECT 1") for _ in range(5)]
                    got = await asyncio.gather(*asked, return_exceptions=True)
                    assert time.monotonic() - began < 5
                    assert all(isinstance(each, Unavailable) for each in got), got
            finally:
                os.kill(pid, signal.SIGCONT)
                deadline.set(seconds=None)
            assert await works_again(db) < 10

    async def test_a_replica(self, own: Server, database: Server) -> None:
        """Only what may be stale is read there; without it, the primary answers."""
        theirs = fresh(own.url())
        async with connect(theirs) as db:
            await db.execute("CREATE TABLE who AS SELECT 'replica' AS name")
        _, _, place = theirs.rpartition("@")
        place, _, name = place.partition("/")
        user = "CREATE USER IF NOT EXISTS pair@'%' IDENTIFIED BY 'x'"
        for server in (own, database):
            async with connect(server.url()) as db:
                await db.execute(user)
                await db.execute("GRANT ALL ON *.* TO pair@'%'")
        ours = database.url().replace("/ogrom", f"/{name}")
        async with connect(database.url()) as db:
            await db.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        _, _, primary = ours.rpartition("@")
        async with connect(f"mysql://pair:x@{primary}?replica={place}") as db:
            await db.execute("CREATE TABLE who AS SELECT 'primary' AS name")
            assert "replica" == await db.stale().one(str, "SELECT name FROM who")
            assert ["replica"] == await db.stale().all(str, "SELECT name FROM who")
            assert "primary" == await db.one(str, "SELECT name FROM who")
            async with db.transaction() as tx:
                assert "primary" == await tx.one(str, "SELECT name FROM who")

            await asyncio.to_thread(own.stop)
            assert "primary" == await db.stale().one(str, "SELECT name FROM who")
            assert "primary" == await db.stale().one(str, "SELECT name FROM who")

    @pytest.mark.parametrize(
        ("how", "advice"),
        [
            ("IDENTIFIED BY 'secret' ACCOUNT LOCK", "locked. Unlock the account"),
            ("IDENTIFIED BY 'secret' PASSWORD EXPIRE", "(?i)password.*Give the user a new"),
            ("IDENTIFIED BY 'secret' REQUIRE SSL", "Access denied.*by TLS"),
            ("IDENTIFIED BY 'other'", "Access denied.*Look at user and password"),
        ],
    )
    async def test_who_is_not_let_in(self, database: Server, how: str, advice: str) -> None:
        """It is never the question's fault, and the message says what to do."""
        name = f"u{os.urandom(6).hex()}"
        async with connect(database.url()) as db:
            await db.execute(f"CREATE USER {name}@'%' {how}")  # type: ignore[arg-type]
            await db.execute(f"GRANT ALL ON ogrom.* TO {name}@'%'")  # type: ignore[arg-type]
        url = urlsplit(database.url())
        login = f"{name}:secret@{url.hostname}:{url.port}"
        with pytest.raises(Unavailable, match=advice) as raised:
            async with connect(url._replace(netloc=login).geturl()) as db:
                await db.one(int, "SELECT 1")
        assert "secret" not in str(raised.value)

    async def test_no_tls_to_trust(self, database: Server) -> None:
        """It speaks none, or its certificate is its own: waiting does not help."""
        with pytest.raises(Unavailable, match="Look at ssl= and ca= in the URL"):
            async with connect(f"{database.url()}?ssl=verify"):
                pass

    async def test_tls(self, tmp_path: Path, database: Server) -> None:
        """With an authority it must prove itself; without one it is encrypted all the same."""
        server = Server(tmp_path / "tls")
        try:
            server.start(tls=True)
        except Missing as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))
        try:
            for query in (f"ca={server.directory}/ca.pem", "ssl=on"):
                async with connect(f"{server.url()}?{query}") as db:
                    assert await told(server, db, "session_status", "Ssl_cipher")
            async with connect(server.url()) as db:
                assert not await told(server, db, "session_status", "Ssl_cipher")
            with pytest.raises(Unavailable, match="certificate"):
                async with connect(f"{server.url()}?ssl=verify"):
                    pass
        finally:
            server.stop()


class TestSchema:
    STEPS = (
        Step(
            1,
            "many",
            tuple(
                statement
                for n in range(30)
                for statement in (
                    f"CREATE TABLE m{n} (id SERIAL PRIMARY KEY, n INTEGER)",
                    f"INSERT INTO m{n} (n) VALUES (1)",
                    f"ALTER TABLE m{n} ADD COLUMN more INTEGER NOT NULL DEFAULT 0",
                    f"UPDATE m{n} SET n = n + 1",
                    f"CREATE INDEX m{n}_by_n ON m{n} (n)",
                )
            ),  # type: ignore[arg-type]
        ),
    )

    async def test_killed_at_any_moment(self, url: str) -> None:
        """The next one goes on with it: each change is made once, whole."""
        migrating = """
            import asyncio, json, sys
            from ogrom.sources.sql import Step, connect, migrate

            async def main():
                steps = [
                    Step(each["number"], each["name"], each["statements"])
                    for each in json.loads(sys.stdin.readline())
                ]
                async with connect(sys.argv[1]) as db:
                    print("now", flush=True)
                    await migrate(db, steps)

            asyncio.run(main())
        """
        chance = random.Random(5)
        killed = 0
        for _ in range(40):
            child = script(migrating, url)
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(json.encode(self.STEPS).decode() + "\n")
            child.stdin.flush()
            assert "now\n" == child.stdout.readline()
            await asyncio.sleep(chance.uniform(0, 0.05))
            done = child.poll() is not None
            child.kill()
            _, complaint = child.communicate()
            assert not done or child.returncode == 0, complaint
            killed += child.returncode != 0
            if child.returncode == 0:
                break
        assert killed > 2

        async with connect(url) as db:
            await migrate(db, self.STEPS)
            assert () == await migrate(db, self.STEPS)
            for n in range(30):
                assert [2] == await db.all(int, f"SELECT n + more FROM m{n}")  # type: ignore[arg-type]
            assert 0 == await db.one(int, "SELECT COUNT(*) FROM ogrom_schema_progress")

    @pytest.mark.parametrize(("begun", "goes_on"), [(1, True), (0, False)])
    async def test_a_change_in_doubt(self, url: str, begun: int, goes_on: bool) -> None:
        """What is there already counts as made where it was begun; else it is somebody else's."""
        step = Step(1, "s", ("CREATE TABLE s (id INTEGER)", "INSERT INTO s (id) VALUES (7)"))
        async with connect(url) as db:
            await migrate(db, [Step(9, "so that there is a table of progress", ())])
            await db.execute("CREATE TABLE s (id INTEGER)")
            await db.execute(
                "INSERT INTO ogrom_schema_progress (number, done, begun) VALUES (1, 0, :begun)",
                begun=begun,
            )
            if goes_on:
                assert (1,) == await migrate(db, [step])
                assert [7] == await db.all(int, "SELECT id FROM s")
            else:
                with pytest.raises(Misuse, match="already exists"):
                    await migrate(db, [step])

    async def test_one_at_a_time(self, url: str) -> None:
        """Who comes second is told in the end, and the lock is free when the first is gone."""
        async with connect(url) as db:
            async with db.schema_change() as schema:
                lock = "SELECT IS_USED_LOCK(:name)"
                name = await schema.one(str, "SELECT :name", name=lock_of(url))
                assert await db.one(int, lock, name=name) is not None
            async with asyncio.timeout(15):
                while await db.one(int, "SELECT IS_FREE_LOCK(:name)", name=lock_of(url)) != 1:
                    await asyncio.sleep(0.01)

    async def test_it_waits_between_those_who_use_the_table(self, db: Db) -> None:
        """A long transaction keeps a change waiting; readers that come later pass it."""
        step = Step(2, "more", ("ALTER TABLE t ADD COLUMN more INTEGER",))
        async with db.transaction() as tx:
            await tx.one(int, "SELECT n FROM t WHERE id = 1")
            change = asyncio.create_task(migrate(db, [step]))
            await asyncio.sleep(0.2)
            began = time.monotonic()
            assert 10 == await asyncio.create_task(db.one(int, "SELECT n FROM t WHERE id = 1"))
            assert time.monotonic() - began < 9
            assert not change.done()
        assert (2,) == await change


def lock_of(url: str) -> str:
    database = url.rpartition("/")[2]
    return "ogrom.schema." + hashlib.sha256(database.encode()).hexdigest()[:32]


def script(source: str, *arguments: object) -> subprocess.Popen[str]:
    """A real process that runs the source."""
    command = [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


class TestWriters:
    async def test_in_a_circle(self, db: Db) -> None:
        """Each holds what the other wants: one is undone and, by `transact`, done again."""
        runs = 0

        async def move(first: int, second: int) -> None:
            async def work(tx: Queries) -> None:
                nonlocal runs
                runs += 1
                await tx.execute("UPDATE t SET n = n + 1 WHERE id = :id", id=first)
                await asyncio.sleep(0.05)
                await tx.execute("UPDATE t SET n = n + 1 WHERE id = :id", id=second)

            await db.transact(work)

        await asyncio.gather(move(1, 2), move(2, 1))

        assert runs > 2
        assert [12, 22] == await db.all(int, "SELECT n FROM t ORDER BY id")

    async def test_a_circle_without_transact(self, db: Db) -> None:
        """One of them is `Busy`, has done nothing, and can do nothing more."""

        async def move(first: int, second: int) -> None:
            async with db.transaction() as tx:
                await tx.execute("UPDATE t SET n = n + 1 WHERE id = :id", id=first)
                await asyncio.sleep(0.05)
                try:
                    await tx.execute("UPDATE t SET n = n + 1 WHERE id = :id", id=second)
                except Busy:
                    with pytest.raises(Unavailable, match="undone"):
                        await tx.execute("UPDATE t SET n = 0")
                    raise

        outcomes = await asyncio.gather(move(1, 2), move(2, 1), return_exceptions=True)

        assert {None, Busy} == {
            each and next(k for k in type(each).__mro__ if k is Busy) for each in outcomes
        }
        assert [11, 21] == await db.all(int, "SELECT n FROM t ORDER BY id")

    async def test_a_row_kept_for_long(self, db: Db) -> None:
        """After our patience it is `Busy`; others were never held up."""
        async with db.transaction() as tx:
            await tx.execute("UPDATE t SET n = 11 WHERE id = 1")

            async def same() -> None:
                await db.execute("UPDATE t SET n = 12 WHERE id = 1")

            async def another() -> None:
                await db.execute("UPDATE t SET n = 22 WHERE id = 2")

            await asyncio.create_task(another())
            with pytest.raises(Busy, match=r"[Ll]ock wait"):
                await asyncio.create_task(same())

        assert [11, 22] == await db.all(int, "SELECT n FROM t ORDER BY id")

    async def test_what_was_not_there_is_not_there(self, db: Db) -> None:
        """Two find that nothing is there, and want to make it: one does, the other finds it."""
        made = 0

        async def work(tx: Queries) -> None:
            nonlocal made
            if not await tx.one(int, "SELECT COUNT(*) FROM t WHERE n = 99"):
                await asyncio.sleep(0.05)
                await tx.execute("INSERT INTO t (id, n) VALUES (:id, 99)", id=100 + made)
                made += 1

        await asyncio.gather(*(db.transact(work) for _ in range(4)))

        assert 1 == await db.one(int, "SELECT COUNT(*) FROM t WHERE n = 99")

    async def test_a_schema_is_not_changed_in_a_transaction(self, db: Db) -> None:
        """It would commit what came before."""

        async def write() -> None:
            async with db.transaction() as tx:
                await tx.execute("UPDATE t SET n = 11 WHERE id = 1")
                await tx.execute("CREATE TABLE u (id INTEGER)")

        with pytest.raises(Misuse, match="belongs in a step"):
            await write()
        assert 10 == await db.one(int, "SELECT n FROM t WHERE id = 1")


class TestMeaning:
    async def test_texts_are_equal_by_their_code_points(self, db: Db) -> None:
        """As on SQLite: neither case nor accents nor blanks at the end are ignored."""
        for n, written in enumerate(("A", "ä", "a ", "🌸", "🌹", "\u00e9", "e\u0301"), 10):
            await db.execute("INSERT INTO t (id, n, text) VALUES (:n, 0, :text)", n=n, text=written)

        for written in ("a", "A", "a ", "é", "🌹"):
            found = await db.all(str, "SELECT text FROM t WHERE text = :text", text=written)
            assert [written] == found
        assert 0 == await db.one(int, "SELECT :a = :b", a="a", b="a ")
        texts = await db.all(str, "SELECT text FROM t ORDER BY text")
        assert sorted(texts) == texts

    async def test_words_of_standard_sql(self, db: Db) -> None:
        """Double quotes are names, || puts together, a backslash is one."""
        assert "a\\b" == await db.one(str, "SELECT 'a' || '\\' || 'b'")
        assert [10, 20] == await db.all(int, 'SELECT "n" FROM "t" ORDER BY "id"')

    async def test_sums_and_means(self, db: Db) -> None:
        """A sum of whole numbers is one, a mean is not."""
        assert 30 == await db.one(int, "SELECT SUM(n) FROM t")
        assert 15.0 == await db.one(float, "SELECT AVG(n) FROM t")

    async def test_infinity_is_refused(self, db: Db) -> None:
        """There is none here."""
        with pytest.raises(Misuse, match="no infinity"):
            await db.one(float, "SELECT :x", x=float("inf"))

    async def test_what_does_not_fit_is_refused(self, db: Db) -> None:
        """Rather than cut."""
        with pytest.raises(Exception, match="too long"):
            await db.execute("INSERT INTO t (id, n, text) VALUES (9, 0, :text)", text="x" * 100)

    async def test_an_id_is_not_given_again_by_a_restart(self, own: Server) -> None:
        """Not even that of a row removed last."""
        where = fresh(own.url())
        made = Step(1, "made", ("CREATE TABLE made (id SERIAL PRIMARY KEY, n INTEGER)",))
        async with connect(where) as db:
            await migrate(db, [made])
            assert 1 == (await db.execute("INSERT INTO made (n) VALUES (1)")).lastrowid
            assert 2 == (await db.execute("INSERT INTO made (n) VALUES (1)")).lastrowid
            await db.execute("DELETE FROM made")
        own.stop()
        own.start(tls=False)
        async with connect(where) as db:
            assert 3 == (await db.execute("INSERT INTO made (n) VALUES (1)")).lastrowid

    async def test_what_is_counted(self, db: Db) -> None:
        """Statements by duration, errors by who must act."""
        with pytest.raises(Misuse):
            await db.one(int, "SELECT none FROM t")
        assert 'ogrom_sql_errors_total{system="mysql",error="Misuse"} 1' in text(db.metrics())
        assert figure(db, "ogrom_sql_seconds_count{") >= 1
