"""A circuit breaker: a source that keeps failing is left alone, and tried again by one call.

Rule 1. Closed: calls go through. When of the last `window` seconds' calls, being `least` or more,
        `ratio` or more failed, it opens.
Rule 2. Open: no call goes through. After `rest` seconds it is half-open.
Rule 3. Half-open: one call goes through, the probe; the others are refused. If the probe does well
        it closes, and what was counted is forgotten; if it fails it opens again; if nobody waited
        for its end, the next call is the probe.
Rule 4. What a call says counts only in the state that let it through.

It knows no loop and no clock: every method is told what time it is.
"""

from collections import deque
from typing import Final, Literal, NamedTuple

from msgspec import Struct

State = Literal["closed", "open", "half-open"]

TRANSITIONS: Final[dict[tuple[State, str], State]] = {
    ("closed", "too many failed"): "open",
    ("open", "has rested"): "half-open",
    ("half-open", "the probe did well"): "closed",
    ("half-open", "the probe failed"): "open",
}
"""All changes of state that there are."""


class Breaker(Struct, frozen=True, kw_only=True):
    """When a source is left alone, and for how long.

    Args:
        ratio: of the calls, how many have to fail; above 0, at most 1.
        least: how many calls there must have been: two failures of two say little.
        window: over how many seconds calls are counted.
        rest: for how many seconds the source is left alone.

    Raises:
        ValueError: one of them cannot be.
    """

    ratio: float = 0.5
    least: int = 10
    window: float = 10.0
    rest: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError(f"Breaker(ratio={self.ratio}): above 0 and at most 1, please.")
        if self.least < 1 or self.window <= 0 or self.rest <= 0:
            raise ValueError("Breaker(least=, window=, rest=): all above 0, please.")


class Pass(NamedTuple):
    """Lets one call through, and tells by `era` in which state that was."""

    era: int


class Circuit:
    """One breaker at work. It changes with every call."""

    def __init__(self, rules: Breaker) -> None:
        self.rules: Final = rules
        self.state: State = "closed"
        self.opened = 0
        """How often it has opened."""
        self._era = 0
        self.free_pass = Pass(self._era)
        """What lets a call through while it is closed; else ask `admit`."""
        self._until = 0.0
        self._probing = False
        self._calls: deque[tuple[float, bool]] = deque()
        self._failed = 0

    def admit(self, now: float) -> Pass | float:
        """A pass where a call may go through; else in how many seconds it may be worth asking."""
        if self.state == "open":
            if now < self._until:
                return self._until - now
            self._change("has rested")
        if self.state == "half-open":
            if self._probing:
                return self.rules.rest
            self._probing = True
        return self.free_pass

    def report(self, given: Pass, now: float, *, ok: bool | None) -> None:
        """How the call ended: well, badly, or (None) in a way that says nothing of the source."""
        if given.era != self._era:
            return
        if self.state == "half-open":
            self._probing = False
            if ok is not None:
                self._change("the probe did well" if ok else "the probe failed", now)
        elif self.state == "closed" and ok is not None:
            calls = self._calls
            calls.append((now, ok))
            self._failed += not ok
            if calls[0][0] <= now - self.rules.window:
                self._forget(now)
            if not ok and self._too_many():
                self._change("too many failed", now)

    def counted(self, now: float) -> tuple[int, int]:
        """Of the calls in the window: how many, and how many failed."""
        self._forget(now)
        return len(self._calls), self._failed

    def _too_many(self) -> bool:
        calls = len(self._calls)
        return calls >= self.rules.least and self._failed >= self.rules.ratio * calls

    def _forget(self, now: float) -> None:
        while self._calls and self._calls[0][0] <= now - self.rules.window:
            self._failed -= not self._calls.popleft()[1]

    def _change(self, why: str, now: float = 0.0) -> None:
        self.state = TRANSITIONS[self.state, why]
        self._era += 1
        self.free_pass = Pass(self._era)
        self._probing = False
        self._calls.clear()
        self._failed = 0
        if self.state == "open":
            self.opened += 1
            self._until = now + self.rules.rest
