"""A read of SQLite's that takes long keeps nobody else waiting, and ends at its deadline."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from ogrom import deadline
from ogrom.sources._sqlite_long import MOST
from ogrom.sources.resilience import TimedOut
from ogrom.sources.sql import Busy, Db, Misuse, connect

COUNT = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most)
    SELECT COUNT(*) FROM n
"""
"""About a third of a microsecond for each `most`."""

FOREVER = 10**12


@pytest.fixture
async def db(tmp_path: Path) -> AsyncGenerator[Db, None]:
    async with connect(tmp_path / "long.db") as db:
        yield db


def counted(db: Db) -> float:
    """How many reads were done in a thread."""
    found = {each.name: each for each in db.metrics()}
    return found["ogrom_sql_long_reads_total"].samples[0].value


async def turns_until(work: asyncio.Task[int | None]) -> int:
    """How often the loop came round meanwhile."""
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    return turns


async def test_the_loop_goes_on(db: Db) -> None:
    """It is broken off after its turn, and done in a thread; the next time it begins there."""
    work = asyncio.create_task(db.one(int, COUNT, most=3_000_000))
    turns = await turns_until(work)

    assert 3_000_000 == work.result()
    assert turns > 100
    assert 1 == counted(db)
    assert 1 == await db.one(int, "SELECT 1")
    assert 2_000_000 == await db.one(int, COUNT, most=2_000_000)
    assert 2 == counted(db)


async def test_what_is_fast_again_comes_back(db: Db) -> None:
    """A statement is not judged for ever by one that had more to do."""
    await db.one(int, COUNT, most=2_000_000)
    async with asyncio.timeout(30):  # a thread may have to wait for its turn, too
        while True:
            before = counted(db)
            assert 1 == await db.one(int, COUNT, most=1)
            if counted(db) == before:
                break


async def test_it_ends_at_the_deadline(db: Db) -> None:
    """And its thread is free again: as often as one likes."""
    for _ in range(6):
        began = time.perf_counter()
        with deadline.within(0.1), pytest.raises(TimedOut, match="COUNT") as late:
            await db.one(int, COUNT, most=FOREVER)
        assert late.value.early
        assert time.perf_counter() - began < 5
    with deadline.within(30):
        assert 500_000 == await db.one(int, COUNT, most=500_000)


async def test_who_is_cancelled_leaves_no_work_behind(db: Db) -> None:
    """Nor an end to the next."""
    for _ in range(20):
        tasks = [asyncio.create_task(db.one(int, COUNT, most=FOREVER)) for _ in range(3)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(20):
            assert 300_000 == await db.one(int, COUNT, most=300_000)


async def test_so_many_wait_and_no_more(db: Db) -> None:
    """The others hear at once that there are too many."""
    tasks = [asyncio.create_task(db.one(int, COUNT, most=FOREVER)) for _ in range(MOST + 1)]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    assert (1, MOST) == (len(done), len(waiting))
    assert isinstance(done.pop().exception(), Busy)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_errors_are_the_same_there(db: Db) -> None:
    """What is wrong with a long one is told as of a short one."""
    with pytest.raises(Misuse, match="More than one row"):
        await db.one(int, COUNT + " UNION ALL SELECT 1 ORDER BY 1", most=1_000_000)


async def test_closed_in_the_middle(tmp_path: Path) -> None:
    """It is broken off."""
    async with connect(tmp_path / "long.db") as db:
        task = asyncio.create_task(db.one(int, COUNT, most=FOREVER))
        await asyncio.sleep(0.05)
    with pytest.raises(TimedOut):
        await task
