"""Equal calls in flight are one call: the first makes it, the others wait for the same answer."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Hashable
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from msgspec import field

from ogrom import deadline
from ogrom._eager import Eager
from ogrom.sources._errors import TimedOut

T = TypeVar("T")


class _Flight(Eager, kw_only=True):
    """A call in flight, and who waits for it. It changes with both."""

    flights: "dict[Hashable, _Flight]"
    key: Hashable
    end: float | None
    waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])
    is_kept: bool = False
    """Whether it lands though nobody waits for it."""

    def leave(self) -> None:
        """Whoever waited does not any more: the last one ends it."""
        if not self.waiting and not self.is_kept:
            if self.flights.get(self.key) is self:
                del self.flights[self.key]  # who comes now begins anew
            self.cancel()


def _land(flight: Eager) -> None:
    assert isinstance(flight, _Flight)
    if flight.flights.get(flight.key) is flight:  # else another is on its way
        del flight.flights[flight.key]
    for over in flight.waiting:
        _end(over)


def _end(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)


class Flights(Generic[T]):
    """The calls in flight, by what they ask for.

    A call in flight belongs to nobody: a caller that is cancelled, or whose deadline comes, leaves
    the others alone, and the call has a deadline of its own. When nobody waits for it any more, it
    is cancelled. So it is a task of its own, with the first caller's context variables; but one
    that begins at once, without a turn of the loop.

    Args:
        name: who is asked, for messages.
        seconds: how long a call may be in flight, as its deadline; None where it ends by itself.
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
        if not flight.is_done:
            over: asyncio.Future[None] = flight.loop.create_future()
            flight.waiting.append(over)
            end, timer = deadline.end(), None
            if end is not None and (flight.end is None or end < flight.end):
                timer = flight.loop.call_later(max(0.0, end - monotonic()), _end, over)
            try:
                await over
            finally:
                if timer is not None:
                    timer.cancel()
                if not flight.is_done:
                    flight.waiting.remove(over)
                    flight.leave()
            if not flight.is_done:
                raise TimedOut(
                    f"{self._name} did not answer before the request's deadline.", early=True
                )
        value: T = flight.result()
        return value

    def _begin(self, key: Hashable, call: Callable[[], Coroutine[Any, Any, T]]) -> _Flight:
        end = None if self._seconds is None else monotonic() + self._seconds
        context = contextvars.copy_context()
        context.run(deadline.set_end, end)
        loop = asyncio.get_running_loop()
        flight = self._flights[key] = _Flight(
            call(),
            loop,
            context,
            _land,
            flights=self._flights,
            key=key,
            end=end,
        )
        flight.start_within(asyncio.current_task(loop))
        return flight

    async def close(self) -> None:
        """Cancel what is in flight, and wait for its end."""
        flights = list(self._flights.values())
        ends = [flight.loop.create_future() for flight in flights]
        for flight, over in zip(flights, ends, strict=True):
            flight.waiting.append(over)
            flight.cancel()
        await asyncio.gather(*ends)
