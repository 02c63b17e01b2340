"""Equal calls in flight are one call: the first makes it, the others wait for the same answer."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Hashable
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from ogrom import deadline
from ogrom._eager import Eager
from ogrom.sources._errors import TimedOut

T = TypeVar("T")


class Flights(Generic[T]):
    """The calls in flight, by what they ask for.

    A call in flight belongs to nobody: a caller that is cancelled, or whose deadline comes, leaves
    the others alone, and the call has a deadline of its own. When nobody waits for it any more, it
    is cancelled. So it is a task of its own, with the first caller's context variables; but one
    that begins at once, without a turn of the loop.

    Args:
        name: who is asked, for messages.
        seconds: how long a call may be in flight; None where it ends by itself.
    """

    def __init__(self, name: str, seconds: float | None = None) -> None:
        self._name = name
        self._seconds: Final = seconds
        self._flights: dict[Hashable, _Flight] = {}
        self.joined = 0
        """How many calls were none, as another was in flight."""

    def __len__(self) -> int:
        return len(self._flights)

    def start(self, key: Hashable, call: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Make the call behind everybody's back, unless it is in flight; it lands in any case."""
        if key not in self._flights:
            self._begin(key, call).is_kept = True

    async def wait(self, key: Hashable, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the call in flight for `key` returns or raises.

        Raises:
            TimedOut: the deadline came first; the call goes on for those who wait longer.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._begin(key, call)
        else:
            self.joined += 1
        work = flight.work
        if not work.is_done:
            over = work.loop.create_future()
            flight.waiting.append(over)
            seconds = deadline.left()
            timer = None if seconds is None else work.loop.call_later(seconds, _end, over)
            try:
                await over
            finally:
                if timer is not None:
                    timer.cancel()
                if not work.is_done:
                    self._leave(key, flight, over)
        if work.is_done:
            value: T = work.result()
            return value
        raise TimedOut(f"{self._name} did not answer before the request's deadline.", early=True)

    async def close(self) -> None:
        """Cancel what is in flight."""
        works = [flight.work for flight in self._flights.values()]
        for work in works:
            work.cancel()
        while not all(work.is_done for work in works):
            await asyncio.sleep(0)

    def _begin(self, key: Hashable, call: Callable[[], Coroutine[Any, Any, T]]) -> "_Flight":
        running = asyncio.current_task()
        context = contextvars.copy_context()
        end = None if self._seconds is None else monotonic() + self._seconds
        context.run(deadline.set_end, end)

        def land(_: Eager) -> None:
            if self._flights.get(key) is flight:  # else another is on its way
                del self._flights[key]
            for over in flight.waiting:
                _end(over)

        flight = _Flight(Eager(call(), asyncio.get_running_loop(), context, land))
        self._flights[key] = flight
        flight.work.start_within(running)
        return flight

    def _leave(self, key: Hashable, flight: "_Flight", over: "asyncio.Future[None]") -> None:
        flight.waiting.remove(over)
        if not flight.waiting and not flight.is_kept:
            if self._flights.get(key) is flight:
                del self._flights[key]  # who comes now begins anew
            flight.work.cancel()


class _Flight:
    """A call in flight, and who waits for it. It changes with both."""

    __slots__ = ("is_kept", "waiting", "work")

    def __init__(self, work: Eager) -> None:
        self.work: Final = work
        self.waiting: Final[list[asyncio.Future[None]]] = []
        self.is_kept = False
        """Whether it lands though nobody waits for it."""


def _end(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)
