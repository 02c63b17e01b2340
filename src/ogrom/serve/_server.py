"""Serving over HTTP/1.1 with nothing in between, on uvloop: listens, sweeps, drains."""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

import uvloop

from ogrom.serve._app import App
from ogrom.serve._connection import Connection
from ogrom.serve._limits import Limits
from ogrom.serve._listen import listen
from ogrom.serve._log import RequestLog
from ogrom.serve._shared import Shared

_NOTICE: Final = 1.0
"""Seconds in which whoever sends us requests notices that we leave: an idle client sends none, and a
balancer or a parent has somewhere else to send them."""

_QUIET: Final = 0.1
"""The same, where nobody stands in front who has to notice."""


def serve(
    make: Callable[[], AbstractAsyncContextManager[App]],
    where: str = "127.0.0.1:8080",
    *,
    limits: Limits | None = None,
    log: RequestLog | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and return.

        serve(lambda: shop(Settings.from_env()), "127.0.0.1:8080")

    A second signal ends it at once.

    Args:
        make: opens what is to be served, and closes it at the end.
        where: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/shop.sock` or `fd:3`; see `listen`.
        limits: what is taken at most.
        log: is told of every request.

    Raises:
        ListenError: the place cannot be listened on; the message says what to do.
    """
    with (
        listen(where) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        suppress(asyncio.CancelledError),
    ):
        runner.run(
            _serve(make, limits or Limits(), log, listener, inherited=where.startswith("fd:"))
        )


async def _serve(
    make: Callable[[], AbstractAsyncContextManager[App]],
    limits: Limits,
    log: RequestLog | None,
    listener: socket.socket,
    *,
    inherited: bool,
) -> None:
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:  # until there is something to drain
        loop.add_signal_handler(number, main.cancel)
    async with make() as app:
        shared = Shared(app, limits, log, loop)
        server = Server(shared)
        for number in signals:
            loop.add_signal_handler(number, server.drain)
        is_unix = listener.family == socket.AF_UNIX
        start = loop.create_unix_server if is_unix else loop.create_server
        listening = await start(lambda: Connection(shared), sock=listener, backlog=2048)
        try:
            await server.run(
                listening, _NOTICE if inherited or is_unix else _QUIET, inherited=inherited
            )
        finally:
            listening.close()


class Server:
    """Watches over all connections, and drains them. It changes when it is told to.

    Args:
        shared: what the connections share.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared: Final = shared
        self._told = asyncio.Event()
        self._now = False

    def drain(self) -> None:
        """Stop when all is answered; told twice, now."""
        shared = self._shared
        self._now = shared.draining
        shared.draining = True
        shared.last_asked = shared.loop.time()
        self._told.set()

    async def run(self, listening: asyncio.Server, notice: float, *, inherited: bool) -> None:
        """Serve until the drain is over.

        Args:
            listening: where connections come from.
            notice: how many seconds without a request end the listening, once it drains.
            inherited: whether others have the same socket, and take what still comes.
        """
        shared = self._shared
        limits, time = shared.limits, shared.loop.time
        shortest = min(
            limits.head_seconds, limits.content_seconds, limits.answer_seconds, limits.idle_seconds
        )
        pause = min(1.0, shortest / 4)
        while not self._told.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), pause)
            self._sweep()
        begun = time()
        end = begun + limits.drain_seconds
        open_ = True
        while not self._now and (now := time()) < end:
            self._sweep()
            quiet = now - shared.last_asked >= notice and not shared.in_flight
            if open_ and (quiet or (inherited and now - begun >= notice)):
                open_ = False
                listening.close()
            for each in tuple(shared.connections):
                if each.is_idle() and now - max(each.idle_since, begun) >= _NOTICE:
                    each.close()
            if not open_ and not shared.connections:
                return
            await asyncio.sleep(0.02)
        for each in tuple(shared.connections):
            each.abort()
        await asyncio.sleep(0)

    def _sweep(self) -> None:
        now = self._shared.loop.time()
        for each in tuple(self._shared.connections):
            each.sweep(now)
