"""Serving over HTTP/1.1 with nothing in between, on uvloop: listens, sweeps, drains."""

import asyncio
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Final

import uvloop
from msgspec import structs

from ogrom.http import Request, Response
from ogrom.metrics import Histogram, Metric, sample
from ogrom.serve._answer import Writer
from ogrom.serve._app import App
from ogrom.serve._connection import Connection
from ogrom.serve._limits import Limits
from ogrom.serve._listen import listen
from ogrom.serve._log import RequestLog
from ogrom.serve.asgi import AsgiApp

_NOTICE: Final = 1.0
"""Seconds in which whoever sends us requests notices that we leave: an idle client sends none, and a
balancer or a parent has somewhere else to send them."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that metrics tell apart; a client may invent any number of others."""

_QUIET: Final = 0.1
"""The same, where nobody stands in front who has to notice."""


def serve(app: AsgiApp, where: str = "127.0.0.1:8080") -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and return.

    A second signal ends it at once.

    Args:
        app: what `asgi` made: what opens the service, its limits, its log. ASGI takes no part.
        where: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/shop.sock` or `fd:3`; see `listen`.

    Raises:
        ListenError: the place cannot be listened on; the message says what to do.
    """
    with (
        listen(where) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        suppress(asyncio.CancelledError),
    ):
        runner.run(_serve(app, listener, inherited=where.startswith("fd:")))


async def _serve(made: AsgiApp, listener: socket.socket, *, inherited: bool) -> None:
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:  # until there is something to drain
        loop.add_signal_handler(number, main.cancel)
    async with made.make() as app:
        server = Server(app, made.limits, made.log, loop)
        for number in signals:
            loop.add_signal_handler(number, server.drain)
        is_unix = listener.family == socket.AF_UNIX
        start = loop.create_unix_server if is_unix else loop.create_server
        listening = await start(lambda: Connection(server), sock=listener, backlog=2048)
        try:
            await server.run(
                listening, _NOTICE if inherited or is_unix else _QUIET, inherited=inherited
            )
        finally:
            listening.close()


class Server:
    """What all connections share. It changes with every request."""

    def __init__(
        self, app: App, limits: Limits, log: RequestLog | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.app: Final = structs.replace(app, metrics=(*app.metrics, self.metrics))
        self.limits: Final = limits
        self.writer: Final = Writer(app.release)
        self.loop: Final = loop
        self.context: Final = copy_context()
        self.connections: Final[set[Connection]] = set()
        self.in_flight = 0
        self.draining = False
        self._log: Final = log
        self._told = asyncio.Event()
        self._now = False
        self._last = 0.0
        self._counts: Final[dict[tuple[str, str, int], int]] = {}
        self._seconds: Final = Histogram()

    def drain(self) -> None:
        """Stop when all is answered; told twice, now."""
        self._now = self.draining
        self.draining = True
        self._last = self.loop.time()
        self._told.set()

    def active(self) -> None:
        """A client has asked for something."""
        if self.draining:
            self._last = self.loop.time()

    async def run(self, listening: asyncio.Server, notice: float, *, inherited: bool) -> None:
        """Serve until the drain is over.

        Args:
            listening: where connections come from.
            notice: how many seconds without a request end the listening, once it drains.
            inherited: whether others have the same socket, and take what still comes.
        """
        limits = self.limits
        shortest = min(
            limits.head_seconds, limits.content_seconds, limits.answer_seconds, limits.idle_seconds
        )
        pause = min(1.0, shortest / 4)
        while not self._told.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), pause)
            self._sweep()
        begun = self.loop.time()
        end = begun + limits.drain_seconds
        open_ = True
        while not self._now and (now := self.loop.time()) < end:
            self._sweep()
            quiet = now - self._last >= notice and not self.in_flight
            if open_ and (quiet or (inherited and now - begun >= notice)):
                open_ = False
                listening.close()
            for each in tuple(self.connections):
                if each.is_idle() and now - max(each.idle_since, begun) >= _NOTICE:
                    each.close()
            if not open_ and not self.connections:
                return
            await asyncio.sleep(0.02)
        for each in tuple(self.connections):
            each.abort()
        await asyncio.sleep(0)

    def _sweep(self) -> None:
        now = self.loop.time()
        for each in tuple(self.connections):
            each.sweep(now)

    def answered(
        self, context: Context, request: Request, response: Response, seconds: float, client: str
    ) -> None:
        """Count and log an answer."""
        if request.path.startswith("/-/"):
            return
        method = request.method if request.method in _METHODS else "other"
        key = (response.route, method, response.status)
        self._counts[key] = self._counts.get(key, 0) + 1
        self._seconds.observe(seconds)
        if self._log is not None:
            # a copy, because this may be called inside of it already, and is not where it never waited
            context.copy().run(self._log.request, request, response, seconds=seconds, client=client)

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
