"""What a database counts of itself: how long statements take, and what goes wrong."""

from collections import Counter
from collections.abc import Iterable

from ogrom.metrics import Histogram, Metric, sample
from ogrom.sources._db import SourceError


class Meter:
    """Counts for one database. Changes with every statement."""

    def __init__(self, system: str) -> None:
        self.seconds = Histogram()
        self._system = system
        self._errors: Counter[str] = Counter()

    def failed(self, error: SourceError) -> SourceError:
        """Count the error, and give it back to be raised."""
        self._errors[type(error).__name__] += 1
        return error

    def metrics(self) -> Iterable[Metric]:
        """How it is now."""
        yield Metric(
            "ogrom_sql_seconds",
            "histogram",
            "How long statements took, from being sent to their last row.",
            tuple(self.seconds.samples(system=self._system)),
        )
        yield Metric(
            "ogrom_sql_errors_total",
            "counter",
            "Statements that failed, by who must act.",
            tuple(
                sample(count, system=self._system, error=name)
                for name, count in sorted(self._errors.items())
            ),
        )
