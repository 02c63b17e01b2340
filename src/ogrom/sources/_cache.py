"""Answers kept for a while: fresh ones, stale ones while a new one is fetched, and stale ones while
the source is down (RFC 5861). How old an answer is stays known, so that endpoints can say so.

    age <= fresh                        it is the answer
    … <= fresh + while_revalidate       it is the answer, and a new one is fetched meanwhile
    … <= fresh + on_error               it is the answer if the source cannot give another
    older                               it is forgotten
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode


def as_messagepack(value: object) -> int:
    """How many bytes a value takes as MessagePack."""
    return len(_encode(value))


Use = Literal["fresh", "while_revalidate", "on_error", "forgotten"]


class Cache(Struct, frozen=True, kw_only=True):
    """How long answers are kept, and how many.

    Args:
        fresh: for how many seconds an answer is taken as the source's own.
        while_revalidate: for how many seconds after that it is still given, while a new one is
            fetched behind the caller's back.
        on_error: for how many seconds after `fresh` it is given where the source fails.
        absent: for how many seconds "there is none" (None) is taken as the source's own. It is
            never given stale.
        entries: how many answers are kept at most; the least recently used go first.
        most_bytes: how much all of them may take; None: not measured.
        size: how much one takes, in bytes; by default as MessagePack, which every Struct can be.

    Raises:
        ValueError: one of them cannot be.
    """

    fresh: float
    while_revalidate: float = 0.0
    on_error: float = 0.0
    absent: float = 1.0
    entries: int = 10_000
    most_bytes: int | None = None
    size: Callable[[Any], int] = as_messagepack

    def __post_init__(self) -> None:
        if min(self.fresh, self.while_revalidate, self.on_error, self.absent) < 0:
            raise ValueError(
                "Cache(fresh=, while_revalidate=, on_error=, absent=): 0 or more, please."
            )
        if self.entries < 1 or (self.most_bytes is not None and self.most_bytes < 1):
            raise ValueError("Cache(entries=, most_bytes=): at least 1, please.")


class Aged(Struct, Generic[T], frozen=True, gc=False):
    """An answer, and how old it is.

    `age` is in seconds since the source gave it; `fresh` is for how many seconds from then on it is
    as good as a new one. Where nothing is kept, both are 0.
    """

    value: T
    age: float = 0.0
    fresh: float = 0.0

    @property
    def stale(self) -> bool:
        """Whether it is older than it should be."""
        return self.age > self.fresh


class Entry(Struct, Generic[T], frozen=True, gc=False):
    """An answer that is kept."""

    value: T
    since: float
    size: int = 0

    def aged(self, rules: Cache, now: float) -> Aged[T]:
        """It, as it is now."""
        return Aged(self.value, max(0.0, now - self.since), fresh_for(rules, self.value))


def fresh_for(rules: Cache, value: object) -> float:
    """For how many seconds the answer is taken as the source's own."""
    return rules.absent if value is None else rules.fresh


def lifetime(rules: Cache, value: object) -> float:
    """For how many seconds the answer is good for anything."""
    stale = 0.0 if value is None else max(rules.while_revalidate, rules.on_error)
    return fresh_for(rules, value) + stale


def use(rules: Cache, value: object, age: float) -> Use:
    """What an answer of that age is still good for."""
    over = age - fresh_for(rules, value)
    if over <= 0:
        return "fresh"
    if value is None:
        return "forgotten"
    if over <= rules.while_revalidate:
        return "while_revalidate"
    return "on_error" if over <= rules.on_error else "forgotten"


class Store(Generic[T]):
    """The answers kept, the least recently used first. It changes with every call."""

    def __init__(self, rules: Cache, clock: Callable[[], float]) -> None:
        self.rules: Final = rules
        self._clock = clock
        self._entries: OrderedDict[Hashable, Entry[T]] = OrderedDict()
        self._keeps_absence = lifetime(rules, None) > 0
        self._keeps = lifetime(rules, ...) > 0
        self.bytes = 0
        self.evicted = 0
        """How many had to go before their time."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> tuple[Aged[T], Use] | None:
        """The answer kept, and what it is still good for; None where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        aged = entry.aged(self.rules, self._clock())
        good_for = use(self.rules, entry.value, aged.age)
        if good_for == "forgotten":
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        return aged, good_for

    def put(self, key: Hashable, value: T) -> bool:
        """Keep an answer; whether it is. One that is larger than all may be is not kept."""
        rules, entries = self.rules, self._entries
        if key in entries:
            self.drop(key)
        if not (self._keeps_absence if value is None else self._keeps):
            return False
        if (most := rules.most_bytes) is None:
            size, over = 0, False
        else:
            size = rules.size(value)
            if size > most:
                return False
            over = self.bytes + size > most
        entries[key] = Entry(value, self._clock(), size)
        self.bytes += size
        while over or len(entries) > rules.entries:
            self.drop(next(iter(entries)))
            self.evicted += 1
            over = most is not None and self.bytes > most
        return True

    def drop(self, key: Hashable) -> None:
        """Forget the answer, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
