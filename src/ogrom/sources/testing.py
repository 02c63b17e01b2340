"""For tests of what asks a source: a clock that one sets, and a source that does as it is told."""

import asyncio
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Clock:
    """Time that passes when it is told to: give it where a clock is asked for."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """What time it is, in seconds."""
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let so much time pass."""
        self.now += seconds


class Script(Generic[T]):
    """A source that answers what was written down for it, one answer a call; the last for ever.

        ask = Script([Unavailable("gone"), "hello"])     # fails once, then answers

    Args:
        answers: what it returns, or raises where that is an exception.
        held: whether calls wait until `let_go`.
    """

    def __init__(self, answers: Iterable[T | Exception], *, held: bool = False) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[object, ...]] = []
        """The arguments of each call, in order."""
        self.cancelled = 0
        self._free = asyncio.Event()
        if not held:
            self._free.set()

    async def __call__(self, *args: object) -> T:
        """The next answer."""
        self.calls.append(args)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            await self._free.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hold(self) -> None:
        """Let calls wait from now on."""
        self._free.clear()

    def let_go(self) -> None:
        """Let them all end."""
        self._free.set()
