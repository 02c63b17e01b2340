"""Runs a coroutine at once, and becomes its task only if it really waits.

A request that never waits then costs no turn of the event loop. `Eager` plays asyncio.Task's part from
the coroutine's first line to its last, so that whoever keeps `asyncio.current_task()` (a timeout, a
task group, a lock's owner) keeps the same one before and after the first wait.
"""

import asyncio
from asyncio import AbstractEventLoop, tasks
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, cast

# What an event loop's tasks are known by: documented for tasks of third parties (asyncio-extending).
_enter = cast("Callable[..., None]", tasks._enter_task)  # pyright: ignore[reportPrivateUsage]
_leave = cast("Callable[..., None]", tasks._leave_task)  # pyright: ignore[reportPrivateUsage]
_register = cast("Callable[..., None]", tasks._register_task)  # pyright: ignore[reportPrivateUsage]


class Eager:
    """One coroutine on its way. It changes until it is done.

    Args:
        coro: what to run.
        loop: the running loop.
        context: the coroutine's context variables.
        then: is called once, with this, as soon as it is done; it must not raise.
    """

    __slots__ = (
        "__weakref__", "_cancels", "_context", "_coro", "_error", "_loop", "_must_cancel", "_result",
        "_then", "_waiter", "done_",
    )  # fmt: skip

    def __init__(
        self,
        coro: Coroutine[Any, Any, Any],
        loop: AbstractEventLoop,
        context: Context,
        then: Callable[["Eager"], None],
    ) -> None:
        self._coro = coro
        self._loop = loop
        self._context = context
        self._then = then
        self._must_cancel: str | bool = False
        self._cancels = 0
        self._waiter: Any = None
        self._result: Any = None
        self._error: BaseException | None = None
        self.done_ = False

    def start(self) -> None:
        """Run it up to where it first waits. No task may be running in this loop."""
        loop = self._loop
        _enter(loop, self)
        try:
            waited = self._context.run(self._coro.send, None)
        except StopIteration as end:
            self._result = end.value
            self.done_ = True
        except BaseException as error:  # noqa: BLE001 - it is kept for whoever asks for the result
            self._failed(error)
        else:
            _register(self)
            self._wait_for(waited)
        finally:
            _leave(loop, self)
        if self.done_:
            self._then(self)

    def _step(self, error: BaseException | None = None) -> None:
        """Go on, by `error` where there is one. As asyncio.Task does it."""
        if self.done_:  # pragma: no cover - nothing wakes what is done
            return
        if self._must_cancel is not False:
            error = error if isinstance(error, asyncio.CancelledError) else self._cancelled()
            self._must_cancel = False
        self._waiter = None
        loop = self._loop
        _enter(loop, self)
        try:
            waited = self._coro.send(None) if error is None else self._coro.throw(error)
        except StopIteration as end:
            self._result = end.value
            self.done_ = True
        except BaseException as raised:  # noqa: BLE001 - it is kept for whoever asks for the result
            self._failed(raised)
        else:
            self._wait_for(waited)
        finally:
            _leave(loop, self)
        if self.done_:
            self._then(self)

    def _failed(self, error: BaseException) -> None:
        self._error = error
        self.done_ = True
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error

    def _wait_for(self, waited: Any) -> None:
        """Until the future that was awaited is done, or for a turn of the loop (sleep(0))."""
        if waited is None:
            self._loop.call_soon(self._step, context=self._context)
        elif getattr(waited, "_asyncio_future_blocking", None):
            waited._asyncio_future_blocking = False
            waited.add_done_callback(self._wake, context=self._context)
            self._waiter = waited
            if self._must_cancel is not False and waited.cancel():
                self._must_cancel = False
        else:
            wrong = RuntimeError(f"A request's coroutine awaited {waited!r}, which is no future.")
            self._loop.call_soon(self._step, wrong, context=self._context)

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
        if self.done_:
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
        return self.done_

    def cancelled(self) -> bool:
        """Whether it ended by a cancellation."""
        return isinstance(self._error, asyncio.CancelledError)

    def result(self) -> Any:
        """What it returned; raises what it raised.

        Raises:
            asyncio.InvalidStateError: it is not done.
        """
        if not self.done_:
            raise asyncio.InvalidStateError("It is not done.")
        if self._error is not None:
            raise self._error
        return self._result

    def exception(self) -> BaseException | None:
        """What it raised."""
        return self._error

    def get_loop(self) -> AbstractEventLoop:
        """The loop that it runs in."""
        return self._loop

    def get_coro(self) -> Coroutine[Any, Any, Any]:
        """What it runs."""
        return self._coro

    def get_context(self) -> Context:
        """Its context variables."""
        return self._context

    def get_name(self) -> str:
        """A name for logs."""
        return f"ogrom-request-{id(self):x}"

    def add_done_callback(
        self, function: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Call `function` with this in a turn of the loop after it is done."""
        before, loop = self._then, self._loop

        def both(me: Eager) -> None:
            before(me)
            loop.call_soon(cast("Callable[[Any], None]", function), me, context=context)

        if self.done_:
            loop.call_soon(cast("Callable[[Any], None]", function), self, context=context)
        else:
            self._then = both
