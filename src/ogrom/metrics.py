"""What is counted and measured, and how Prometheus reads it. Imports nothing of ours.

A piece that has something to tell offers a function that returns its metrics as they are now. Who
wires a service gathers these functions; `/-/metrics` calls them when it is asked:

    def metrics() -> Iterable[Metric]:
        yield Metric("ogrom_cache_hits_total", "counter", "Answers from the cache.", (sample(hits),))

Names and units follow https://prometheus.io/docs/practices/naming/: base units, `_total` for counters.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

Labels = tuple[tuple[str, str], ...]


class Sample(Struct, frozen=True):
    """One value. `suffix` is the part of its name that the metric's lacks: a histogram's."""

    value: float
    labels: Labels = ()
    suffix: str = ""


class Metric(Struct, frozen=True):
    """All values of one name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: tuple[Sample, ...]


Metrics = Callable[[], Iterable[Metric]]
"""Tells what is so at this moment. It is called rarely and must not wait."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""The upper bounds of a histogram of durations, in seconds."""


def sample(value: float, **labels: str) -> Sample:
    """One value with its labels."""
    return Sample(value, tuple(labels.items()))


class Histogram:
    """How often a value fell below each bound. Changes with every `observe`.

    Args:
        bounds: the upper bounds of the buckets, rising; one without a bound follows them.
    """

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds: Final = tuple(bounds)
        self.buckets: Final = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.buckets)

    def samples(self, **labels: str) -> Iterable[Sample]:
        """What a metric of kind "histogram" consists of: cumulated buckets, sum and count."""
        given, seen = tuple(labels.items()), 0
        for bound, count in zip((*self.bounds, float("inf")), self.buckets, strict=True):
            seen += count
            yield Sample(seen, (*given, ("le", _number(bound))), "_bucket")
        yield Sample(self.total, given, "_sum")
        yield Sample(seen, given, "_count")


def text(metrics: Iterable[Metric]) -> str:
    """Metrics in Prometheus' text format, version 0.0.4.

    Several pieces may tell of the same metric, each with labels of its own: those are put together.
    """
    by_name: dict[str, list[Metric]] = {}
    for metric in metrics:
        by_name.setdefault(metric.name, []).append(metric)
    lines: list[str] = []
    for name, parts in by_name.items():
        help_text = parts[0].help.replace("\\", r"\\").replace("\n", r"\n")
        lines += (f"# HELP {name} {help_text}", f"# TYPE {name} {parts[0].kind}")
        lines += [
            f"{name}{each.suffix}{_labels(each.labels)} {_number(each.value)}"
            for part in parts
            for each in part.samples
        ]
    return "\n".join([*lines, ""])


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)
