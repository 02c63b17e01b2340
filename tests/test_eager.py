"""A coroutine that starts at once is a task to everything that it calls."""

import asyncio
from contextvars import ContextVar, copy_context

import pytest

from ogrom._eager import Eager

VAR = ContextVar("var", default="outside")


async def soon(done):
    """What a future gets; a task that is never done fails its test, and holds up no other."""
    async with asyncio.timeout(30):
        return await done


async def ended(coro):
    """Start it from a callback of the loop, as a server does; the task once it is done."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(lambda: Eager(coro, loop, copy_context(), done.set_result).start())
    return await soon(done)


async def test_what_never_waits_is_done_at_once():
    """And nothing is left in the loop."""

    async def quick():
        return 5

    assert 5 == (await ended(quick())).result()


async def test_it_is_the_same_task_before_and_after_a_wait():
    """Who remembers the current task finds it again."""

    async def look():
        first = asyncio.current_task()
        await asyncio.sleep(0)
        second = asyncio.current_task()
        await asyncio.sleep(0.001)
        return first is second is asyncio.current_task() and first in asyncio.all_tasks()

    assert (await ended(look())).result()


async def test_a_timeout_that_begins_before_the_first_wait_fires():
    """And what it did not end goes on: the cancellation is taken back."""

    async def slow():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        return asyncio.current_task().cancelling()

    assert 0 == (await ended(slow())).result()


async def test_a_timeout_that_is_over_already_fires_at_the_first_wait():
    """Though nothing had been waited for when it was set."""

    async def late():
        async with asyncio.timeout(-1):
            await asyncio.Event().wait()

    assert isinstance((await ended(late())).exception(), TimeoutError)


async def test_a_coroutine_that_cancels_itself_is_cancelled_at_its_next_wait():
    """As a task is."""

    async def give_up():
        asyncio.current_task().cancel("enough")
        await asyncio.sleep(60)

    assert (await ended(give_up())).cancelled()


async def test_a_cancellation_reaches_what_is_awaited():
    """The inner task is cancelled too, and the outer may clean up while it waits."""
    inner, cleaned = [], []

    async def outer():
        inner.append(asyncio.create_task(asyncio.sleep(60)))
        try:
            await inner[0]
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    loop = asyncio.get_running_loop()
    done, started = loop.create_future(), []

    def start():
        started.append(Eager(outer(), loop, copy_context(), done.set_result))
        started[0].start()
        started[0].cancel()

    loop.call_soon(start)
    assert (await soon(done)).cancelled()
    assert inner[0].cancelled()
    assert cleaned


async def test_errors_before_and_after_a_wait():
    """Kept for whoever asks."""

    async def broken(wait):
        if wait:
            await asyncio.sleep(0)
        raise LookupError("x")

    for wait in (False, True):
        with pytest.raises(LookupError):
            (await ended(broken(wait))).result()


async def test_context_variables_stay_inside():
    """And are the same ones after a wait."""

    async def change():
        VAR.set("inside")
        await asyncio.sleep(0)
        return VAR.get()

    assert "inside" == (await ended(change())).result()
    assert "outside" == VAR.get()


async def test_locks_and_task_groups():
    """Two that want one lock take turns; a group whose task fails cancels its parent's wait."""
    lock, order = asyncio.Lock(), []

    async def hold(name):
        async with lock:
            order.append(name)
            await asyncio.sleep(0.001)
            order.append(name)

    await asyncio.gather(ended(hold("a")), ended(hold("b")))
    assert order[0] == order[1] != order[2] == order[3]

    async def fail():
        raise LookupError

    async def group():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            await asyncio.sleep(60)

    assert isinstance((await ended(group())).exception(), ExceptionGroup)
