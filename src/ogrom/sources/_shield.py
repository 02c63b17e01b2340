"""A shield around one source: every protection that it shall have, put together in the right order.

a call → cache → equal calls in flight → tries → breaker → bulkhead → time-out → the source
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeVar

from ogrom import deadline
from ogrom.metrics import Histogram, Metric, Sample, sample
from ogrom.sources._breaker import Breaker, Circuit, Pass
from ogrom.sources._bulkhead import Bulkhead, Gate
from ogrom.sources._cache import Aged, Cache, Store
from ogrom.sources._errors import CircuitOpen, SourceError, TimedOut, Unavailable
from ogrom.sources._flights import Flights
from ogrom.sources._retry import Budget, Retry, repeated

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger("ogrom.sources")

_STATES: Final = ("closed", "half-open", "open")


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name: Final = name
        self.clock: Final = clock
        self.patience: Final = patience
        self._timeout = timeout
        self._retry = retry
        self._budget = Budget(retry.budget, retry.burst) if retry else None
        self.circuit: Final = Circuit(breaker) if breaker else None
        self._gate = Gate(name, bulkhead) if bulkhead else None
        self._last = ""
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
            share: whether equal calls in flight are made once.

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

    async def check(self) -> str:
        """How the source is, as far as is known without asking it: for `/-/ready`.

        Raises:
            CircuitOpen: it is left alone.
        """
        if self.circuit is None:
            return "no breaker"
        if self.circuit.state != "closed":
            raise CircuitOpen(f"breaker {self.circuit.state}; the last failure: {self._last}")
        calls, failed = self.circuit.counted(self.clock())
        return (
            f"breaker closed; {failed} of {calls} calls failed in {self.circuit.rules.window:g} s"
        )

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
                    sample(self._gate.running, source=name, state="running"),
                    sample(self._gate.waiting, source=name, state="waiting"),
                ),
            )
        for protected in self._protected:
            yield from protected.metrics()

    async def close(self) -> None:
        """Cancel what is in flight behind everybody's back."""
        for protected in self._protected:
            await protected.close()

    async def ask(self, call: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
        """One call of the source, tried again where that may be."""
        attempt = partial(self._attempt, call)
        if self._retry is None or self._budget is None or not repeatable:
            return await attempt()
        return await repeated(attempt, self._retry, self._budget)

    async def _attempt(self, call: Callable[[], Awaitable[T]]) -> T:
        given = self._admit()
        ok: bool | None = None
        try:
            async with self._passed():
                started = self.clock()
                try:
                    value = await self._in_time(call)
                    ok = True
                except Unavailable as error:
                    ok = None if isinstance(error, TimedOut) and error.early else False
                    self._last = f"{type(error).__name__}: {error}"
                    raise
                except SourceError:
                    ok = True  # it answered; what was asked of it is another matter
                    raise
                finally:
                    self._seconds.observe(self.clock() - started)
                    self._results["failed" if ok is False else "ok"] += ok is not None
            return value
        finally:
            self._report(given, ok=ok)

    def _admit(self) -> Pass | None:
        if self.circuit is None:
            return None
        given = self.circuit.admit(self.clock())
        if isinstance(given, Pass):
            return given
        self._results["refused"] += 1
        raise CircuitOpen(
            f"{self.name} has failed too often and is left alone for {given:.1f} s more. "
            f"The last failure: {self._last}",
            retry_after=given,
        )

    def _report(self, given: Pass | None, *, ok: bool | None) -> None:
        if self.circuit is None or given is None:
            return
        before = self.circuit.state
        counted = self.circuit.counted(self.clock())
        self.circuit.report(given, self.clock(), ok=ok)
        after = self.circuit.state
        if before == "closed" and after == "open":
            _log.warning(
                "%s is left alone for %g s: %d of %d calls failed. The last failure: %s",
                self.name, self.circuit.rules.rest, counted[1] + 1, counted[0] + 1, self._last,
            )  # fmt: skip
        elif before == "half-open" and after == "closed":
            _log.warning("%s answers again", self.name)

    @asynccontextmanager
    async def _passed(self) -> AsyncGenerator[None]:
        if self._gate is None:
            yield
            return
        refused = self._gate.refused
        try:
            async with self._gate.passed():
                yield
        finally:
            self._results["refused"] += self._gate.refused > refused

    async def _in_time(self, call: Callable[[], Awaitable[T]]) -> T:
        seconds = deadline.left(self._timeout)
        ours = asyncio.timeout(seconds)
        try:
            async with ours:
                return await call()
        except TimeoutError:
            early = seconds is not None and seconds < (self._timeout or float("inf"))
            waited = f"{seconds or 0:.3g} s" if ours.expired() else "its own time"
            raise TimedOut(f"{self.name} did not answer within {waited}.", early=early) from None


class Protected(Generic[P, T]):
    """One call of a source, behind its shield: call it as you would call the source itself."""

    def __init__(
        self,
        shield: Shield,
        call: Callable[P, Awaitable[T]],
        name: str,
        cache: Cache | None,
        key: Callable[P, Hashable] | None,
        repeatable: bool,
        share: bool,
    ) -> None:
        self.name: Final = name
        self._shield = shield
        self._call = call
        self._key = key
        self._repeatable = repeatable
        self._store: Store[T] | None = Store(cache, shield.clock) if cache else None
        shares = repeatable and (share or cache is not None)
        self._flights: Flights[T] | None = Flights(shield.name, shield.patience) if shares else None
        self._given = {"fresh": 0, "stale": 0, "on_error": 0, "miss": 0}

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The source's answer, or one that was kept.

        Raises:
            Unavailable: there is neither.
        """
        return (await self.aged(*args, **kwargs)).value

    async def aged(self, *args: P.args, **kwargs: P.kwargs) -> Aged[T]:
        """The same, with how old the answer is."""
        call = partial(self._call, *args, **kwargs)
        if self._flights is None:
            return Aged(await self._shield.ask(call, repeatable=self._repeatable))
        key = self._key(*args, **kwargs) if self._key else (args, *sorted(kwargs.items()))
        if self._store is None:
            return Aged(await self._flights.wait(key, partial(self._ask, call)))
        return await self._kept(self._store, self._flights, key, call)

    async def _kept(
        self, store: Store[T], flights: Flights[T], key: Hashable, call: Callable[[], Awaitable[T]]
    ) -> Aged[T]:
        found = store.get(key)
        fetch = partial(self._fetch, store, key, call)
        if found is not None and found[1] == "fresh":
            self._given["fresh"] += 1
            return found[0]
        if found is not None and found[1] == "while_revalidate":
            self._given["stale"] += 1
            flights.start(key, fetch)
            return found[0]
        try:
            value = await flights.wait(key, fetch)
        except Unavailable:
            if found is None or (kept := store.get(key)) is None:
                raise
            self._given["on_error"] += 1
            return kept[0]
        self._given["miss"] += 1
        # What was just fetched is there, unless it is not to be kept.
        kept = store.get(key)
        return Aged(value) if kept is None else kept[0]

    async def _fetch(self, store: Store[T], key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        value = await self._ask(call)
        store.put(key, value)
        return value

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._shield.ask(call, repeatable=True)

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Do not give the answer that is kept for these arguments any more."""
        if self._store is not None:
            key = self._key(*args, **kwargs) if self._key else (args, *sorted(kwargs.items()))
            self._store.drop(key)

    def metrics(self) -> Iterable[Metric]:
        """What is counted of this call alone."""
        labels = {"source": self._shield.name, "call": self.name}
        if self._flights is not None:
            yield Metric(
                "ogrom_source_shared_total",
                "counter",
                "Calls that joined an equal one in flight.",
                (sample(self._flights.joined, **labels),),
            )
        if self._store is not None:
            yield Metric(
                "ogrom_cache_answers_total",
                "counter",
                "Answers, by where they came from: miss is the source itself.",
                tuple(sample(n, **labels, kind=kind) for kind, n in self._given.items()),
            )
            yield Metric(
                "ogrom_cache_entries",
                "gauge",
                "Answers that are kept.",
                (sample(len(self._store), **labels),),
            )
            yield Metric(
                "ogrom_cache_evicted_total",
                "counter",
                "Answers that had to go before their time.",
                (sample(self._store.evicted, **labels),),
            )

    async def close(self) -> None:
        """Cancel what is in flight."""
        if self._flights is not None:
            await self._flights.close()


def _one(name: str, help: str, value: float, source: str, *, gauge: bool = False) -> Metric:
    samples: tuple[Sample, ...] = (sample(value, source=source),)
    return Metric(name, "gauge" if gauge else "counter", help, samples)
