"""By when a request has to be answered. Imports nothing of ours.

Whoever takes a request in sets its deadline; whoever calls a source for it asks how much time is
left, so that a call never outlives the request that it is for, however deep it is called:

    deadline.set(seconds=10)                    # the server, as a request comes in
    async with asyncio.timeout(deadline.left(2)):  # a source: at most 2 s, and never past the end
        ...

It is a context variable: a task has the deadline of the request that it was made for.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token

_END: ContextVar[float | None] = ContextVar("ogrom.deadline", default=None)


def set(*, seconds: float | None) -> None:  # noqa: A001 - read as deadline.set
    """From here on, `seconds` are left; None lifts the deadline."""
    _END.set(None if seconds is None else time.monotonic() + seconds)


set_end = _END.set
"""From here on, the end is at a moment by `time.monotonic()`: what a server sets for every request."""


@contextmanager
def within(seconds: float | None) -> Generator[None]:
    """In this block no more than `seconds` are left, and never more than before; None: as before."""
    before, _ = narrow(seconds)
    try:
        yield
    finally:
        widen(before)


def narrow(seconds: float | None) -> tuple[Token[float | None], float | None]:
    """What `within` does as its block begins, for whoever cannot afford a `with`.

    Returns what `widen` is given at the end, and how many seconds are left.
    """
    end = _END.get()
    if seconds is None:
        return _END.set(end), None if end is None else max(0.0, end - time.monotonic())
    now = time.monotonic()
    ours = now + seconds
    if end is None or ours <= end:
        return _END.set(ours), seconds
    return _END.set(end), max(0.0, end - now)


widen = _END.reset
"""From here on, the deadline is what it was before it was narrowed: what `narrow` returned says so."""

end = _END.get
"""When there is no time left, by `time.monotonic()`; None where there is no end."""


def left(most: float | None = None) -> float | None:
    """How many seconds are left, and `most` at most; never below 0. None where there is no end."""
    end = _END.get()
    if end is None:
        return most
    remaining = max(0.0, end - time.monotonic())
    return remaining if most is None else min(most, remaining)
