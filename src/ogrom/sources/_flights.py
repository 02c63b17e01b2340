"""Equal calls in flight are one call: the first makes it, the others wait for the same answer."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from ogrom import deadline
from ogrom.sources._errors import TimedOut

T = TypeVar("T")


class Flights(Generic[T]):
    """The calls in flight, by what they ask for.

    A call in flight belongs to nobody: a caller that is cancelled, or whose deadline comes, leaves
    the others alone, and the call has a deadline of its own. When nobody waits for it any more, it
    is cancelled.

    Args:
        name: who is asked, for messages.
        seconds: how long a call may be in flight; None where it ends by itself.
    """

    def __init__(self, name: str, seconds: float | None = None) -> None:
        self._name = name
        self._seconds: Final = seconds
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}
        self._waiting: dict[Hashable, int] = {}
        self.joined = 0
        """How many calls were none, as another was in flight."""

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> None:
        """Make the call behind everybody's back, unless it is in flight; it lands in any case."""
        if key not in self._tasks:
            self._begin(key, call)
            self._waiting[key] = 1

    def _begin(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.get_running_loop().create_task(
                self._fly(call), context=contextvars.copy_context()
            )
            task.add_done_callback(lambda done: self._land(key, done))
        else:
            self.joined += 1
        return task

    async def wait(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """What the call in flight for `key` returns or raises.

        Raises:
            TimedOut: the deadline came first; the call goes on for those who wait longer.
        """
        task = self._begin(key, call)
        self._waiting[key] = self._waiting.get(key, 0) + 1
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def end(_: object) -> None:
            if not over.done():
                over.set_result(None)

        task.add_done_callback(end)
        seconds = deadline.left()
        timer = None if seconds is None else loop.call_later(seconds, end, None)
        try:
            await over
        finally:
            if timer is not None:
                timer.cancel()
            task.remove_done_callback(end)
            self._leave(key, task)
        if task.done():
            return task.result()
        raise TimedOut(f"{self._name} did not answer before the request's deadline.", early=True)

    async def close(self) -> None:
        """Cancel what is in flight."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fly(self, call: Callable[[], Awaitable[T]]) -> T:
        deadline.set(seconds=self._seconds)
        return await call()

    def _leave(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if self._tasks.get(key) is not task:  # it has landed, and another may be on its way
            return
        self._waiting[key] -= 1
        if not self._waiting[key]:
            task.cancel()
            del self._tasks[key], self._waiting[key]  # who comes now begins anew

    def _land(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
            self._waiting.pop(key, None)
        if not task.cancelled():
            task.exception()  # it is fetched, so that asyncio does not complain where nobody waited
