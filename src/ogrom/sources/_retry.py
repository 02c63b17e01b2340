"""Trying again what failed: only what may be repeated, inside the deadline, and within a budget.

When a source is down, everybody's repetitions are what keeps it down. So a source has one budget:
every call puts `budget` of a try into it, every repetition takes a whole one out.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina
from msgspec import Struct

from ogrom import deadline
from ogrom.sources._errors import CircuitOpen, TimedOut, Unavailable

T = TypeVar("T")


class Retry(Struct, frozen=True, kw_only=True):
    """How what failed is tried again: after 50 ms or so, then twice that, and a little by chance.

    Args:
        attempts: how often it is tried at most, the first time included.
        wait: about how many seconds pass before the second attempt.
        most_wait: how many seconds pass before any attempt at most. A source that asks for more
            (`Retry-After`) is not asked again.
        budget: how many repetitions there may be for each call, on the whole: 0.1 is a tenth more
            load at most.
        burst: how many repetitions the budget can save up.

    Raises:
        ValueError: one of them cannot be.
    """

    attempts: int = 3
    wait: float = 0.05
    most_wait: float = 1.0
    budget: float = 0.1
    burst: float = 10.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.wait, self.most_wait, self.budget, self.burst) < 0:
            raise ValueError("Retry(attempts=): at least 1; the others at least 0, please.")


class Budget:
    """How many repetitions there may still be: a token bucket. It changes with every call."""

    __slots__ = ("_most", "_share", "left", "spent", "withheld")

    def __init__(self, share: float, most: float) -> None:
        self._share: Final = share
        self._most: Final = most
        self.left = most
        self.spent = 0
        """How often something was repeated."""
        self.withheld = 0
        """How often it was not, as there was nothing left."""

    def earn(self) -> None:
        """A call was made."""
        self.left = min(self._most, self.left + self._share)

    def spend(self) -> bool:
        """Whether there may be one repetition; it is then paid for."""
        if self.left < 1:
            self.withheld += 1
            return False
        self.left -= 1
        self.spent += 1
        return True


def worth_repeating(error: Exception) -> bool:
    """Whether trying again may help: the source was out of reach, and has not been given up."""
    if isinstance(error, TimedOut):
        return not error.early
    return isinstance(error, Unavailable) and not isinstance(error, CircuitOpen)


async def repeated(
    call: Callable[[], Awaitable[T]], rules: Retry, budget: Budget, first: Unavailable
) -> T:
    """What `call` returns in the end, where its first attempt has failed.

    Args:
        call: makes one more attempt; it must be such that doing it twice does no harm.
        rules: how often, and when.
        budget: the source's.
        first: how the first attempt failed.

    Raises:
        Exception: the last attempt's.
    """
    if rules.attempts == 1 or not worth_repeating(first):
        raise first
    failed, tries = [first], 0

    def again(error: Exception) -> bool | float:
        nonlocal tries
        tries += 1
        asked = (isinstance(error, Unavailable) and error.retry_after) or 0.0
        left = deadline.left()
        soonest = max(rules.wait, asked)
        if tries >= rules.attempts or not worth_repeating(error) or asked > rules.most_wait:
            return False
        if (left is not None and left <= soonest) or not budget.spend():
            return False
        return asked or True

    # The failure is stamina's first attempt.
    async for attempt in stamina.retry_context(
        on=again,
        attempts=rules.attempts,
        timeout=None,
        wait_initial=rules.wait,
        wait_max=rules.most_wait,
        wait_jitter=rules.wait,
    ):
        with attempt:
            if failed:
                raise failed.pop()
            return await call()
    raise AssertionError("stamina raises the last error")  # pragma: no cover
