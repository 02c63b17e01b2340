"""Runs a coroutine at once, and becomes its task only if it really waits. Imports nothing of ours.

What never waits then costs no turn of the event loop: a request, a call of a source. `Eager` plays
asyncio.Task's part from the coroutine's first line to its last, so that whoever keeps
`asyncio.current_task()` (a timeout, a task group, a lock's owner) keeps the same one before and after
the first wait.
"""

import asyncio
from asyncio import AbstractEventLoop, tasks
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, cast

from msgspec import Struct

# What an event loop's tasks are known by: documented for tasks of third parties (asyncio-extending).
_enter = cast("Callable[..., None]", tasks._enter_task)  # pyright: ignore[reportPrivateUsage]
_leave = cast("Callable[..., None]", tasks._leave_task)  # pyright: ignore[reportPrivateUsage]
_register = cast("Callable[..., None]", tasks._register_task)  # pyright: ignore[reportPrivateUsage]


class Eager(Struct, weakref=True, eq=False):
    """One coroutine on its way. It changes until it is done.

    A `Struct`, because one is made for every request: that costs a third of an `__init__`.

    Args:
        coro: what to run.
        loop: the running loop.
        context: the coroutine's context variables. Nothing else runs in it.
        then: is called once, with this, as soon as it is done, outside of that context; it must not
            raise.
    """

    coro: Coroutine[Any, Any, Any]
    loop: AbstractEventLoop
    context: Context
    then: Callable[["Eager"], None]
    value: Any = None
    """What it returned."""
    error: BaseException | None = None
    """What it raised."""
    is_done: bool = False
    _must_cancel: str | bool = False
    _cancels: int = 0
    _waiter: Any = None

    def start(self) -> None:
        """Run it up to where it first waits. No task may be running in this loop."""
        self._run(self.coro.send, None)
        if not self.is_done:
            _register(self)

    def start_within(self, running: Any) -> None:
        """The same while a task is running in this loop, which goes on then."""
        _leave(self.loop, running)
        try:
            self._run(self.coro.send, None)
        finally:
            _enter(self.loop, running)
        if not self.is_done:
            _register(self)

    def _run(self, go_on: Callable[[Any], Any], by: BaseException | None) -> None:
        """One step, as asyncio.Task does it."""
        loop = self.loop
        _enter(loop, self)
        try:
            waited = self.context.run(go_on, by)
        except StopIteration as end:
            self.value = end.value
            self.is_done = True
        except BaseException as error:  # noqa: BLE001 - it is kept for whoever asks for the result
            self._failed(error)
        else:
            self._wait_for(waited)
        finally:
            _leave(loop, self)
        if self.is_done:
            self.then(self)

    def _step(self, error: BaseException | None = None) -> None:
        """Go on, by `error` where there is one."""
        if self.is_done:  # pragma: no cover - nothing wakes what is done
            return
        if self._must_cancel is not False:
            error = error if isinstance(error, asyncio.CancelledError) else self._cancelled()
            self._must_cancel = False
        self._waiter = None
        self._run(self.coro.send if error is None else self.coro.throw, error)

    def _failed(self, error: BaseException) -> None:
        self.error = error
        self.is_done = True
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error

    def _wait_for(self, waited: Any) -> None:
        """Until the future that was awaited is done, or for a turn of the loop (sleep(0))."""
        if waited is None:
            self.loop.call_soon(self._step)
        elif getattr(waited, "_asyncio_future_blocking", None):
            waited._asyncio_future_blocking = False
            waited.add_done_callback(self._wake)
            self._waiter = waited
            if self._must_cancel is not False and waited.cancel():
                self._must_cancel = False
        else:
            wrong = RuntimeError(f"A coroutine awaited {waited!r}, which is no future.")
            self.loop.call_soon(self._step, wrong)

    def _wake(self, future: "asyncio.Future[Any]") -> None:
        try:
            future.result()
        except BaseException as error:  # noqa: BLE001 - the coroutine's to handle
            self._step(error)
        else:
            self._step()

    def _cancelled(self) -> asyncio.CancelledError:
        message = self._must_cancel
        return (
            asyncio.CancelledError(message)
            if isinstance(message, str)
            else asyncio.CancelledError()
        )

    # What follows is asyncio.Task's own interface.

    def cancel(self, msg: str | None = None) -> bool:
        """Raise CancelledError in the coroutine where it waits, or at its next wait."""
        if self.is_done:
            return False
        self._cancels += 1
        if self._waiter is not None and self._waiter.cancel(msg=msg):
            return True
        self._must_cancel = True if msg is None else msg
        return True

    def cancelling(self) -> int:
        """How many cancellations were asked for and not taken back."""
        return self._cancels

    def uncancel(self) -> int:
        """Take one cancellation back; how many are left."""
        self._cancels = max(0, self._cancels - 1)
        return self._cancels

    def done(self) -> bool:
        """Whether it has returned or raised."""
        return self.is_done

    def cancelled(self) -> bool:
        """Whether it ended by a cancellation."""
        return isinstance(self.error, asyncio.CancelledError)

    def result(self) -> Any:
        """What it returned; raises what it raised.

        Raises:
            asyncio.InvalidStateError: it is not done.
        """
        if not self.is_done:
            raise asyncio.InvalidStateError("It is not done.")
        if self.error is not None:
            raise self.error
        return self.value

    def exception(self) -> BaseException | None:
        """What it raised."""
        return self.error

    def get_loop(self) -> AbstractEventLoop:
        """The loop that it runs in."""
        return self.loop

    def get_coro(self) -> Coroutine[Any, Any, Any]:
        """What it runs."""
        return self.coro

    def get_context(self) -> Context:
        """Its context variables."""
        return self.context

    def get_name(self) -> str:
        """A name for logs."""
        return f"ogrom-{id(self):x}"

    def add_done_callback(
        self, function: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Call `function` with this in a turn of the loop after it is done."""
        before, loop = self.then, self.loop

        def both(me: Eager) -> None:
            before(me)
            loop.call_soon(cast("Callable[[Any], None]", function), me, context=context)

        if self.is_done:
            loop.call_soon(cast("Callable[[Any], None]", function), self, context=context)
        else:
            self.then = both
