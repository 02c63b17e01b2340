"""A shield around one source: every protection that it shall have, put together in the right order.

a call → cache → equal calls in flight → tries → ready? → breaker → bulkhead → time-out → the source

Beside the calls there may be two tasks: one makes the source ready (`prepare`), one asks it when
nobody else does (`watch`), so that `/-/ready` knows how it is without asking anything itself.
"""

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from ogrom import deadline
from ogrom.metrics import Histogram, Metric, Sample, sample
from ogrom.sources._breaker import Breaker, Circuit, Pass
from ogrom.sources._bulkhead import Bulkhead, Gate
from ogrom.sources._cache import Cache
from ogrom.sources._errors import Busy, CircuitOpen, SourceError, TimedOut, Unavailable
from ogrom.sources._limit import Limit
from ogrom.sources._protected import Protected
from ogrom.sources._retry import Budget, Retry, repeated

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger("ogrom.sources")

_STATES: Final = ("closed", "half-open", "open")

_IN_DOUBT: Final = 3
"""After so many failures, one upon the other, a source passes for one that is down."""

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts to make a source ready."""


class Shield:
    """What stands between the service and one source. Its calls share breaker, bulkhead and budget.

        shield = Shield("users", timeout=2, retry=Retry(), breaker=Breaker(), bulkhead=Bulkhead())
        by_id = shield.protect(client.user, cache=Cache(fresh=60, on_error=3600))

        user = await by_id("anna")

    Each protection is a value, and what is left out is not there.

    Args:
        name: the source, in messages, in health and in metrics.
        timeout: how many seconds one attempt may take; never past the request's deadline.
        patience: how many seconds all attempts together may take, where equal calls are made once:
            such a call belongs to no single request, so it has no deadline but this.
        retry: how what failed is tried again.
        breaker: when the source is left alone.
        bulkhead: how many calls there may be at once.
        counts_busy: whether `Busy` says that the source fails. A database whose rows are taken by
            others is well.
        clock: tells the time in seconds; a test gives its own.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float | None = None,
        patience: float | None = 10.0,
        retry: Retry | None = None,
        breaker: Breaker | None = None,
        bulkhead: Bulkhead | None = None,
        counts_busy: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name: Final = name
        self.clock: Final = clock
        self._counts_busy = counts_busy
        self.patience: Final = patience
        self._timeout = timeout
        self._retry = retry
        self._budget = Budget(retry.budget, retry.burst) if retry else None
        self.circuit: Final = Circuit(breaker) if breaker else None
        self._gate = Gate(name, bulkhead) if bulkhead else None
        self._last = ""
        self._failures = 0  # since it last answered
        self._heard = clock()  # when that was, or when it last failed
        self._unready: str | None = None  # why it cannot be asked yet
        self._tasks: set[asyncio.Task[None]] = set()
        self._seconds = Histogram()
        self._results = {"ok": 0, "failed": 0, "refused": 0}
        self._protected: list[Protected[Any, Any]] = []

    def protect(
        self,
        call: Callable[P, Awaitable[T]],
        *,
        name: str | None = None,
        cache: Cache | None = None,
        key: Callable[P, Hashable] | None = None,
        repeatable: bool = True,
        share: bool = True,
    ) -> "Protected[P, T]":
        """The call, protected.

        Args:
            call: asks the source something.
            name: what is asked, in metrics; the function's own name where it is left out.
            cache: how long answers are kept.
            key: what tells one call from another, from its arguments; all of them by default. What
                is secret should be hashed here.
            repeatable: whether doing it twice does no harm. A call that is not is never tried
                again, shared or kept.
            share: whether equal calls in flight are made once. Whoever joins one that has begun
                before may miss what was written since; where that matters, do not share.

        Raises:
            ValueError: answers of a call that is not repeatable cannot be kept.
        """
        if cache is not None and not repeatable:
            raise ValueError("What is not repeatable has an effect, so its answers are not kept.")
        made = Protected(
            self,
            call,
            name or str(getattr(call, "__name__", "call")),
            cache,
            key,
            repeatable,
            share,
        )
        self._protected.append(made)
        return made

    @property
    def up(self) -> bool:
        """Whether the source can be used, as far as is known without asking it."""
        return (
            self._unready is None
            and self._failures < _IN_DOUBT
            and (self.circuit is None or self.circuit.state == "closed")
        )

    async def check(self) -> str:
        """How the source is, as far as is known without asking it: for `/-/ready`.

        Raises:
            Unavailable: it is not ready yet, left alone (`CircuitOpen`), or has just failed often.
        """
        if self._unready is not None:
            raise self._not_ready(self._unready)
        if self.circuit is not None and self.circuit.state != "closed":
            raise CircuitOpen(f"breaker {self.circuit.state}; the last failure: {self._last}")
        if self._failures >= _IN_DOUBT:
            raise Unavailable(f"the last {self._failures} calls failed, the last so: {self._last}")
        if self.circuit is None:
            return "no breaker"
        calls, failed = self.circuit.counted(self.clock())
        return (
            f"breaker closed; {failed} of {calls} calls failed in {self.circuit.rules.window:g} s"
        )

    async def prepare(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Make the source ready; whether it is. Until then every call is `Unavailable`.

        Where it is out of reach, the work is done again and again beside the service, until it
        succeeds: so the service starts without the source, and recovers without being restarted.

        Args:
            work: what has to be done first, past the shield. It may be done several times.

        Raises:
            SourceError: the source can be reached, and refuses. No waiting would mend that.
        """
        self._unready = "it has not been reached yet"
        try:
            await work()
        except Unavailable as error:
            self._unready = _told(error)
            _log.warning("%s is not there yet, the service goes on without: %s", self.name, error)
            self._spawn(self._prepare(work))
            return False
        self._unready = None
        return True

    def watch(self, ask: Callable[[], Awaitable[object]], every: float = 1.0) -> None:
        """From now on, ask the source something whenever nobody else has for `every` seconds.

        So it is known how it is though nobody needs it, and no client has to find out for us that
        it is there again.
        """
        self._spawn(self._watch(ask, every))

    def metrics(self) -> Iterable[Metric]:
        """All that is counted here, for Prometheus."""
        name = self.name
        yield Metric(
            "ogrom_source_attempts_total",
            "counter",
            "Attempts to ask a source, by result; refused are those that breaker or bulkhead stopped.",
            tuple(sample(n, source=name, result=result) for result, n in self._results.items()),
        )
        yield Metric(
            "ogrom_source_seconds",
            "histogram",
            "How long the attempts took.",
            tuple(self._seconds.samples(source=name)),
        )
        if self._budget is not None:
            yield _one("ogrom_source_retries_total", "Repetitions.", self._budget.spent, name)
            yield _one(
                "ogrom_source_retries_withheld_total",
                "Repetitions that the budget forbade.",
                self._budget.withheld,
                name,
            )
        yield _one("ogrom_source_up", "1 while it can be used.", int(self.up), name, gauge=True)
        if self.circuit is not None:
            yield _one(
                "ogrom_source_breaker_state",
                "0 closed, 1 half-open, 2 open.",
                _STATES.index(self.circuit.state),
                name,
                gauge=True,
            )
            yield _one(
                "ogrom_source_breaker_opened_total",
                "How often the breaker opened.",
                self.circuit.opened,
                name,
            )
        if self._gate is not None:
            yield Metric(
                "ogrom_source_calls",
                "gauge",
                "Calls at this moment.",
                (
                    sample(self._gate.places.taken, source=name, state="running"),
                    sample(self._gate.places.waiting, source=name, state="waiting"),
                ),
            )
        for protected in self._protected:
            yield from protected.metrics()

    async def close(self) -> None:
        """Cancel what is in flight behind everybody's back."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for protected in self._protected:
            await protected.close()

    async def ask(self, call: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
        """One call of the source, tried again where that may be."""
        if self._retry is None or self._budget is None or not repeatable:
            return await self.attempt(call)
        self._budget.earn()
        try:
            return await self.attempt(call)
        except Unavailable as error:
            again = partial(self.attempt, call)
            return await repeated(again, self._retry, self._budget, error)

    async def attempt(self, call: Callable[[], Awaitable[T]]) -> T:
        """One call of the source, which is never repeated.

        Raises:
            Unavailable: the source is not to be asked now, or took too long.
        """
        # All that a call passes is in one function, without contexts: each would cost more than the rest.
        if self._unready is not None:
            raise self._not_ready(self._unready)
        gate = self._gate
        started = self.clock()
        circuit, given = self.circuit, None
        if circuit is not None:
            is_closed = circuit.state == "closed"
            given = circuit.free_pass if is_closed else self._admit(circuit, started)
        if gate is not None and not gate.enter():
            await self._wait(gate, given)
            started = self.clock()
        before, seconds = deadline.narrow(self._timeout)  # whoever is called may end in good order
        limit = None if seconds is None else Limit(seconds)
        ok: bool | None = None
        try:
            value = await call()
            ok = True
        except BaseException as error:
            is_late = limit is not None and limit.end()
            limit = None
            ok, told = self._judged(error, seconds, is_late=is_late)
            if told is error:
                raise
            raise told from (error if isinstance(error, TimedOut) else None)
        finally:
            if limit is not None:
                limit.end()
            deadline.widen(before)
            if gate is not None:
                gate.leave()
            now = self.clock()
            self._seconds.observe(now - started)
            if ok is not None:
                self._results["ok" if ok else "failed"] += 1
                self._heard = now
                self._failures = 0 if ok else self._failures + 1
            if circuit is not None and given is not None:
                if ok and circuit.state == "closed":
                    circuit.report(given, now, ok=True)
                else:
                    self._report(circuit, given, now, ok=ok)
        return value

    async def _wait(self, gate: Gate, given: Pass | None) -> None:
        """Wait for a place among those that ask."""
        let_in = False
        try:
            await gate.wait()
            let_in = True
        except Busy:
            self._results["refused"] += 1
            raise
        finally:
            if not let_in and self.circuit is not None and given is not None:
                self.circuit.report(given, self.clock(), ok=None)

    def _judged(
        self, error: BaseException, seconds: float | None, *, is_late: bool
    ) -> tuple[bool | None, BaseException]:
        """What a failure says of the source (see `_failed`), and what is raised of it."""
        early = seconds is not None and seconds < (self._timeout or float("inf"))
        if isinstance(error, TimeoutError) or (
            is_late and isinstance(error, asyncio.CancelledError)
        ):
            waited = f"{seconds or 0:.3g} s" if is_late else "its own time"
            late = TimedOut(f"{self.name} did not answer within {waited}.", early=early)
            return self._failed(late), late
        if isinstance(error, TimedOut) and error.early and not early:
            # It tells ours from its own limit; whether ours was the request's, we alone know.
            late = TimedOut(str(error), early=False)
            return self._failed(late), late
        if isinstance(error, Unavailable):
            return self._failed(error), error
        # It answered; what was asked of it is another matter.
        return (True if isinstance(error, SourceError) else None), error

    def _failed(self, error: Unavailable) -> bool | None:
        """What the failure says of the source: False, or None where it says nothing."""
        if (isinstance(error, TimedOut) and error.early) or (
            isinstance(error, Busy) and not self._counts_busy
        ):
            return None
        self._last = _told(error)
        return False

    def _not_ready(self, why: str) -> Unavailable:
        return Unavailable(f"{self.name} is not ready yet: {why}", retry_after=_LONGEST_PAUSE)

    async def _prepare(self, work: Callable[[], Awaitable[object]]) -> None:
        pause = _FIRST_PAUSE
        while self._unready is not None:
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - so that not all come at once
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                await work()
            except SourceError as error:
                said = _told(error)
                if said != self._unready:
                    _log.warning("%s is not ready yet: %s", self.name, error)
                self._unready = said
            else:
                self._unready = None
                _log.warning("%s is ready now", self.name)

    async def _watch(self, ask: Callable[[], Awaitable[object]], every: float) -> None:
        while True:
            await asyncio.sleep(every)
            if self._unready is None and self.clock() - self._heard >= every:
                with suppress(SourceError):  # it is counted
                    await self.attempt(ask)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # In a context of its own: it belongs to no request, and has no deadline.
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _admit(self, circuit: Circuit, now: float) -> Pass:
        given = circuit.admit(now)
        if isinstance(given, Pass):
            return given
        self._results["refused"] += 1
        raise CircuitOpen(
            f"{self.name} has failed too often and is left alone for {given:.1f} s more. "
            f"The last failure: {self._last}",
            retry_after=given,
        )

    def _report(self, circuit: Circuit, given: Pass, now: float, *, ok: bool | None) -> None:
        """Tell the breaker how a call ended, and the log what that has changed."""
        before = circuit.state
        counted = (0, 0) if ok else circuit.counted(now)
        circuit.report(given, now, ok=ok)
        if circuit.state is before:
            return
        if before == "closed":
            _log.warning(
                "%s is left alone for %g s: %d of %d calls failed. The last failure: %s",
                self.name, circuit.rules.rest, counted[1] + 1, counted[0] + 1, self._last,
            )  # fmt: skip
        elif circuit.state == "closed":
            _log.warning("%s answers again", self.name)


def _told(error: SourceError) -> str:
    return f"{type(error).__name__}: {error}"


def _one(name: str, help: str, value: float, source: str, *, gauge: bool = False) -> Metric:
    samples: tuple[Sample, ...] = (sample(value, source=source),)
    return Metric(name, "gauge" if gauge else "counter", help, samples)
