"""One call of a source behind its shield: what is kept of its answers, and what is in flight."""

from collections.abc import Awaitable, Callable, Hashable, Iterable
from functools import partial
from typing import Final, Generic, ParamSpec, Protocol, TypeVar

from ogrom.metrics import Metric, sample
from ogrom.sources._cache import Aged, Cache, Store, fresh_for
from ogrom.sources._errors import Unavailable
from ogrom.sources._flights import Flights

P = ParamSpec("P")
T = TypeVar("T")


class Asked(Protocol):
    """The shield, as far as its calls need it."""

    @property
    def name(self) -> str:
        """The source."""
        ...

    @property
    def clock(self) -> Callable[[], float]:
        """Tells the time in seconds."""
        ...

    @property
    def patience(self) -> float | None:
        """How many seconds a call that belongs to no single request may take."""
        ...

    async def ask(self, call: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
        """One call of the source, tried again where that may be."""
        ...


class Protected(Generic[P, T]):
    """One call of a source, behind its shield: call it as you would call the source itself."""

    def __init__(
        self,
        shield: Asked,
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
        self._share = share
        behind = cache is not None and cache.while_revalidate > 0
        self._flights: Flights[Aged[T]] | None = (
            Flights(shield.name, shield.patience) if repeatable and (share or behind) else None
        )
        self._given = {"fresh": 0, "stale": 0, "on_error": 0, "miss": 0}

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The source's answer, or one that was kept.

        Raises:
            Unavailable: there is neither.
        """
        return (await self.aged(*args, **kwargs)).value

    async def aged(self, *args: P.args, **kwargs: P.kwargs) -> Aged[T]:
        """The same, with how old the answer is."""
        store = self._store
        if self._flights is None and store is None:
            call = partial(self._call, *args, **kwargs)
            return Aged(await self._shield.ask(call, repeatable=self._repeatable))
        key = self._key(*args, **kwargs) if self._key else (args, *sorted(kwargs.items()))
        found = None if store is None else store.get(key)
        if found is not None and found[1] == "fresh":
            self._given["fresh"] += 1
            return found[0]
        fetch = partial(self._fetch, key, partial(self._call, *args, **kwargs))
        if found is not None and found[1] == "while_revalidate":
            self._given["stale"] += 1
            assert self._flights is not None
            self._flights.start(key, fetch)
            return found[0]
        try:
            if self._flights is not None and self._share:
                answer = await self._flights.wait(key, fetch)
            else:
                answer = await fetch()
        except Unavailable:
            if store is None or found is None or (kept := store.get(key)) is None:
                raise
            self._given["on_error"] += 1
            return kept[0]
        self._given["miss"] += 1
        return answer

    async def _fetch(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> Aged[T]:
        """Ask the source, and keep what it says."""
        value = await self._shield.ask(call, repeatable=True)
        if self._store is None or not self._store.put(key, value):
            return Aged(value)
        return Aged(value, 0.0, fresh_for(self._store.rules, value))

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
