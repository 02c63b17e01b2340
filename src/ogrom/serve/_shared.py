"""What all connections of a server share: what is served, its limits, and the count of what was answered."""

import asyncio
from collections.abc import Iterable
from contextvars import Context, copy_context
from typing import Final, Protocol

from msgspec import structs

from ogrom.http import Request, Response
from ogrom.metrics import Histogram, Metric, sample
from ogrom.serve._answer import Writer
from ogrom.serve._app import App, Hearing
from ogrom.serve._limits import Limits
from ogrom.serve._log import RequestLog, metrics_of
from ogrom.serve._siblings import Siblings
from ogrom.serve._telemetry import served
from ogrom.serve._workers import Place

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that metrics tell apart; a client may invent any number of others."""


class Held(Protocol):
    """A connection, as the server knows it."""

    idle_since: float

    def is_idle(self) -> bool:
        """Whether nothing of it is under way."""
        ...

    def sweep(self, now: float) -> None:
        """Look whether its time is up."""
        ...

    def close(self) -> None:
        """Close it when all that was written is sent."""
        ...

    def abort(self) -> None:
        """Cut it."""
        ...


class Shared:
    """What all connections share. It changes with every request."""

    def __init__(
        self,
        app: App,
        limits: Limits,
        log: RequestLog | None,
        loop: asyncio.AbstractEventLoop,
        place: Place | None = None,
    ) -> None:
        self.app: Final = structs.replace(
            app, metrics=(*app.metrics, self.metrics, *metrics_of(log))
        )
        self.siblings: Final = None if place is None else Siblings(place, self.app.metrics)
        """The other workers, where there are any."""
        self.respond: Final = served(app.service)
        self.hearing: Final = app.service if isinstance(app.service, Hearing) else None
        """The service, where it wants to hear of more than requests."""
        self.limits: Final = limits
        self.writer: Final = Writer(app.release)
        self.loop: Final = loop
        self.context: Final = copy_context()
        """What every request's context begins as."""
        self.connections: Final[set[Held]] = set()
        """Those that are open."""
        self.in_flight = 0
        self.cut = 0
        """How many responses were cut off, because making them failed after they had begun."""
        self.draining = False
        self.last_asked = 0.0
        """While it drains: when a client asked for something last, by `time.monotonic()`."""
        self._log: Final = log
        self._counts: Final[dict[tuple[str, str, int], int]] = {}
        self._seconds: Final = Histogram()
        self._observe: Final = self._seconds.observe

    def answered(
        self, context: Context, request: Request, response: Response, seconds: float, client: str
    ) -> None:
        """Count and log an answer. `context` must not be the present one."""
        counts = self._counts
        key = response.route, request.method, response.status
        if key not in counts and request.method not in _METHODS:
            key = response.route, "other", response.status
        counts[key] = counts.get(key, 0) + 1
        self._observe(seconds)
        if self._log is not None:
            context.run(self._log.request, request, response, seconds=seconds, client=client)

    def metrics(self) -> Iterable[Metric]:
        """Requests by route, method and status; how long they took; how many are under way."""
        yield Metric(
            "ogrom_requests_total",
            "counter",
            "Answers by route, method and status.",
            tuple(
                sample(count, route=route, method=method, status=str(status))
                for (route, method, status), count in self._counts.items()
            ),
        )
        yield Metric(
            "ogrom_request_duration_seconds",
            "histogram",
            "How long answers took.",
            tuple(self._seconds.samples()),
        )
        yield Metric(
            "ogrom_requests_in_flight",
            "gauge",
            "Requests that are being answered.",
            (sample(self.in_flight),),
        )
        yield Metric(
            "ogrom_responses_cut_total",
            "counter",
            "Streamed responses that failed after their first byte.",
            (sample(self.cut),),
        )
