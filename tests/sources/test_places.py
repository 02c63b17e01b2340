"""Places and time limits: what a call passes on its way to a source."""

import asyncio

import pytest

from ogrom import deadline
from ogrom.sources._errors import TimedOut
from ogrom.sources._flights import Flights
from ogrom.sources._limit import Limit
from ogrom.sources._places import Places


async def test_places_go_to_whoever_came_first():
    """And whoever comes while others wait does not overtake them."""
    places, order = Places(2), list[int]()
    assert places.take()
    assert places.take()
    assert not places.take()

    async def come(number: int) -> None:
        await places.wait(30)
        order.append(number)

    tasks = [asyncio.create_task(come(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert 3 == places.waiting
    for _ in range(3):
        assert not places.take()
        places.give()
    await asyncio.gather(*tasks)
    assert [0, 1, 2] == order
    assert (2, 0) == (places.taken, places.waiting)


async def test_a_place_is_not_lost_with_who_leaves():
    """Be it while waiting, in the very moment of the turn, or because the time is over."""
    places = Places(1)
    assert places.take()
    with pytest.raises(TimeoutError):
        await places.wait(0.01)
    waits, leaves = (asyncio.create_task(places.wait(30)) for _ in range(2))
    await asyncio.sleep(0)
    waits.cancel()
    places.give()  # the first has just been cancelled, so it is the second's turn
    leaves.cancel()
    await asyncio.gather(waits, leaves, return_exceptions=True)
    assert (0, 0) == (places.taken, places.waiting)
    assert places.take()


async def test_a_limit_knows_its_own_cancellation():
    """Another's stays one, even where both come."""

    async def limited(seconds: float) -> str:
        limit = Limit(seconds)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            if limit.end():
                return "late"
            raise
        return "never"

    assert "late" == await limited(0.001)
    task = asyncio.current_task()
    assert task is not None
    assert 0 == task.cancelling()
    for seconds, pause in ((30, 0), (0, 0.01)):
        other = asyncio.create_task(limited(seconds))
        await asyncio.sleep(0)
        other.get_loop().call_later(0, other.cancel)
        if pause:
            other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other


async def test_whoever_has_less_time_leaves_a_flight_earlier():
    """And who began it may be that one: the others get their answer from the same call."""
    flights, asked, free = Flights[str]("s", 30), list[int](), asyncio.Event()

    async def ask() -> str:
        asked.append(1)
        await free.wait()
        assert 1 < (deadline.left() or 0) <= 30  # its own, not its first caller's
        return "well"

    async def wait(seconds: float) -> str:
        deadline.set(seconds=seconds)
        return await flights.wait("x", ask)

    hasty, patient = asyncio.create_task(wait(0.01)), asyncio.create_task(wait(60))
    with pytest.raises(TimedOut, match="before the request's deadline"):
        await hasty
    free.set()
    assert "well" == await patient
    assert ([1], 1, 0) == (asked, flights.joined, len(flights))


async def test_what_is_done_at_once_takes_no_turn_of_the_loop():
    """And it is the same task for all that it calls, in a context of its own."""
    flights, turns = Flights[object]("s"), list[int]()
    asyncio.get_running_loop().call_soon(turns.append, 1)

    async def ask() -> object:
        deadline.set(seconds=5)
        return asyncio.current_task()

    mine, before = asyncio.current_task(), deadline.left()
    assert mine is not await flights.wait("x", ask)
    assert (mine, before, []) == (asyncio.current_task(), deadline.left(), turns)


async def test_closing_waits_for_the_end_of_what_is_in_flight():
    """Whoever waits for it is told that it was cancelled."""
    flights, ended = Flights[None]("s"), list[str]()

    async def ask() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            ended.append("well")

    waits = asyncio.create_task(flights.wait("x", ask))
    await asyncio.sleep(0)
    await flights.close()
    assert ["well"] == ended
    with pytest.raises(asyncio.CancelledError):
        await waits
