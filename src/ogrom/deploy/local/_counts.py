"""What is counted: requests and errors by HAProxy, and how long each took by its log.

HAProxy's counters begin at 0 whenever it does; ours never go back. They are kept in a file, which may
be some seconds behind after `ogrom up` was killed: then what HAProxy itself still knows is added.
"""

import os
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct, field

from ogrom.deploy._target import NAMES, Counts, Name
from ogrom.deploy.local._haproxy import FRONTEND, Stat, sums
from ogrom.deploy.local._state import Identity

BOUNDS: Final = tuple(round(0.00025 * 2 ** (step / 6), 9) for step in range(109))
"""Upper bounds of the buckets in seconds: six for each doubling, from 0.25 ms to 65 s, so that a
quantile is known to within 6 %."""
_BOUNDS_US: Final = tuple(bound * 1e6 for bound in BOUNDS)
_BUCKETS: Final = len(BOUNDS) + 1
REMEMBERED: Final = 600
"""Seconds that the series goes back."""

Part = Literal["blue", "green", "total"]
PARTS: Final[tuple[Part, ...]] = (*NAMES, "total")


class Sum(Struct, frozen=True):
    """Requests and errors."""

    requests: int = 0
    errors: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.requests + other.requests, self.errors + other.errors)

    def __sub__(self, other: "Sum") -> "Sum":
        return Sum(max(0, self.requests - other.requests), max(0, self.errors - other.errors))


class Ledger(Struct):
    """What is kept in the file. Mutable."""

    proxy: Identity | None = None
    """The HAProxy that `last` is of."""
    before: dict[str, Sum] = field(default_factory=dict[str, Sum])
    """By part, what those before it had counted."""
    last: dict[str, Sum] = field(default_factory=dict[str, Sum])
    """By part, what it had counted when it was last asked."""
    buckets: dict[str, list[int]] = field(default_factory=dict[str, list[int]])


class Point(Struct, frozen=True):
    """One second of one part."""

    requests: int
    errors: int
    p50: float | None
    """Seconds; None where nothing was answered."""
    p99: float | None
    share: int
    in_flight: int


class Sample(Struct, frozen=True):
    """One second."""

    at: float
    """Seconds since the epoch."""
    parts: Mapping[Part, Point]
    busy: Mapping[Name, float]
    """How many requests each environment had in flight on average: the time that all answers of this
    second took, by its length (Little's law)."""


class Tally:
    """All that is counted. Mutable: grows with every line of HAProxy's log, and when it is asked."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        for part in PARTS:
            if len(ledger.buckets.get(part, ())) != _BUCKETS:
                ledger.buckets[part] = [0] * _BUCKETS
        self.series: Final[deque[Sample]] = deque(maxlen=REMEMBERED)
        self._spent = dict.fromkeys(NAMES, 0.0)  # µs, since the last sample
        self._seen = {part: list(ledger.buckets[part]) for part in PARTS}
        self._sums = {part: self._sum(part) for part in PARTS}
        self._at = 0.0
        self._rest = b""

    def read(self, file: int) -> None:
        """Count all lines that wait in HAProxy's log. It is a pipe, and is not waited for."""
        while True:
            try:
                data = os.read(file, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                return
            self.lines(data)

    def lines(self, data: bytes) -> None:
        """Count lines of the log: server, microseconds, status, how the session ended.

        A request that its client gave up is not counted: how long it would have taken is not known.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        buckets, total = self.ledger.buckets, self.ledger.buckets["total"]
        for line in lines:
            words = line.split(b" ")
            if len(words) != 4 or words[3][:1] == b"C":
                continue
            try:
                took = int(words[1])
            except ValueError:  # refused before it began
                continue
            bucket = bisect_left(_BOUNDS_US, took)
            total[bucket] += 1
            name: Name | None = (
                "blue" if words[0][:1] == b"b" else "green" if words[0][:1] == b"g" else None
            )
            if name is not None:
                buckets[name][bucket] += 1
                self._spent[name] += took

    def took(self, found: Mapping[str, Stat], proxy: Identity | None) -> None:
        """Take in what HAProxy has counted."""
        ledger = self.ledger
        if proxy != ledger.proxy:
            ledger.before = {part: self._sum(part) for part in PARTS}
            ledger.last, ledger.proxy = {}, proxy
        if not found:
            return
        ledger.last = {
            **{name: Sum(stat.requests, stat.errors) for name, stat in sums(found).items()},
            "total": _clients(found),
        }

    def counts(self, part: Part) -> Counts:
        """So far."""
        known = self._sum(part)
        return Counts(known.requests, known.errors, tuple(self.ledger.buckets[part]))

    def sample(
        self, at: float, shares: Mapping[Name, int], in_flight: Mapping[Name, int]
    ) -> Sample:
        """End one second of the series, and begin the next."""
        seconds = max(0.001, min(10.0, at - self._at))
        parts: dict[Part, Point] = {}
        for part in PARTS:
            now, buckets = self._sum(part), self.ledger.buckets[part]
            new = [after - before for after, before in zip(buckets, self._seen[part], strict=True)]
            known = now - self._sums[part]
            parts[part] = Point(
                known.requests,
                known.errors,
                quantile(new, 0.5),
                quantile(new, 0.99),
                100 if part == "total" else shares[part],
                sum(in_flight.values()) if part == "total" else in_flight[part],
            )
            self._seen[part], self._sums[part] = list(buckets), now
        made = Sample(
            at, parts, {name: spent / 1e6 / seconds for name, spent in self._spent.items()}
        )
        self._spent, self._at = dict.fromkeys(NAMES, 0.0), at
        self.series.append(made)
        return made

    def _sum(self, part: Part) -> Sum:
        return self.ledger.before.get(part, Sum()) + self.ledger.last.get(part, Sum())


def _clients(found: Mapping[str, Stat]) -> Sum:
    """What clients got: all 5xx of the frontend, and the answers that broke off."""
    front = found.get(FRONTEND, Stat())
    return Sum(front.requests, front.errors + found.get("BACKEND", Stat()).broken)


def quantile(buckets: list[int], share: float) -> float | None:
    """The upper bound, in seconds, of the bucket that holds the quantile; None of nothing."""
    wanted = sum(buckets) * share
    if not wanted:
        return None
    seen = 0
    for bound, count in zip(BOUNDS, buckets, strict=False):
        seen += count
        if seen >= wanted:
            return bound
    return BOUNDS[-1]
