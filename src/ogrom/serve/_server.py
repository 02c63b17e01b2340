"""Serving over HTTP/1.1 with nothing in between, on uvloop: listens, sweeps, drains."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from time import monotonic
from typing import Final

import uvloop

from ogrom.serve._app import App
from ogrom.serve._connection import Connection
from ogrom.serve._limits import Limits
from ogrom.serve._listen import listen
from ogrom.serve._log import RequestLog
from ogrom.serve._shared import Shared
from ogrom.serve._workers import Parent, Place, place

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
    workers: int = 1,
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and return.

        serve(lambda: shop(Settings.from_env()), "127.0.0.1:8080")

    A second signal ends it at once.

    Args:
        make: opens what is to be served, and closes it at the end.
        where: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/shop.sock` or `fd:3`; see `listen`.
        limits: what is taken at most.
        log: is told of every request.
        workers: how many processes serve. With more than one, this process binds the place and starts
            its own command as often, which comes here again and serves; it starts those that die
            again, and passes signals on. Whatever the program does before, each of them does.

    Raises:
        SystemExit: of several workers none could serve; with the status of the first that ended.
        ValueError: `workers` is below 1.
        ListenError: the place cannot be listened on; the message says what to do.
    """
    if workers < 1:
        raise ValueError("serve(workers=…) must be 1 or more.")
    mine = place()
    if mine is None and workers > 1:
        if status := Parent(where, workers).run():
            raise SystemExit(status)
        return
    with (
        listen(where) if mine is None else socket.socket(fileno=mine.listener) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        suppress(asyncio.CancelledError),
    ):
        inherited = where.startswith("fd:")
        runner.run(_serve(make, limits or Limits(), log, listener, mine, inherited=inherited))


async def _serve(
    make: Callable[[], AbstractAsyncContextManager[App]],
    limits: Limits,
    log: RequestLog | None,
    listener: socket.socket,
    mine: Place | None,
    *,
    inherited: bool,
) -> None:
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    stop = _Stop(loop, main.cancel)  # until there is something to drain
    async with AsyncExitStack() as stack:
        if mine is not None:
            stop.listen_to(stack.enter_context(socket.socket(fileno=mine.line)))
        app = await stack.enter_async_context(make())
        shared = Shared(app, limits, log, loop, mine)
        server = Server(shared)
        stop.drains(server)
        is_unix = listener.family == socket.AF_UNIX
        start = loop.create_unix_server if is_unix else loop.create_server
        listening = await start(lambda: Connection(shared), sock=listener, backlog=2048)
        stack.callback(listening.close)
        if shared.siblings is not None:
            told = await shared.siblings.listen()
            stack.callback(told.close)
        # What is there by now stays: Python need not look through it for circles again and again.
        gc.collect()
        gc.freeze()
        stop.say(b"r")
        notice = _NOTICE if inherited or is_unix else _QUIET
        await server.run(listening, notice, inherited=inherited)


class _Stop:
    """Whoever may tell the server to end: the user and the system by signals, a parent on its line."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cancel: Callable[[], object]) -> None:
        self._loop: Final = loop
        self._line: socket.socket | None = None
        self._drain = self._now = self._again = cancel
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)

    def listen_to(self, line: socket.socket) -> None:
        """Obey a parent; see `_workers`."""
        self._line = line
        line.setblocking(False)
        self._loop.add_reader(line, self._heard, line)

    def drains(self, server: "Server") -> None:
        """From now on there is something to drain."""
        self._drain, self._now, self._again = server.drain, server.end, server.drain_or_end

    def say(self, what: bytes) -> None:
        """Tell the parent something."""
        if self._line is not None:
            with suppress(OSError):
                self._line.send(what)

    def _signalled(self) -> None:
        self._again()

    def _heard(self, line: socket.socket) -> None:
        said = b""
        with suppress(OSError):
            said = line.recv(16)
        if not said:  # it is gone
            self._loop.remove_reader(line)
        if b"n" in said:
            self._now()
        else:
            self._drain()


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
        """Stop when all is answered."""
        shared = self._shared
        if not shared.draining:
            shared.draining = True
            shared.last_asked = monotonic()
            self._told.set()
            if shared.hearing is not None:
                shared.hearing.drains()

    def end(self) -> None:
        """Stop now."""
        self.drain()
        self._now = True

    def drain_or_end(self) -> None:
        """Stop when all is answered; told twice, now."""
        self._now = self._shared.draining
        self.drain()

    async def run(self, listening: asyncio.Server, notice: float, *, inherited: bool) -> None:
        """Serve until the drain is over.

        Args:
            listening: where connections come from.
            notice: how many seconds without a request end the listening, once it drains.
            inherited: whether others have the same socket, and take what still comes.
        """
        shared = self._shared
        limits = shared.limits
        shortest = min(
            limits.head_seconds, limits.content_seconds, limits.answer_seconds, limits.idle_seconds
        )
        pause = min(1.0, shortest / 4)
        while not self._told.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), pause)
            self._sweep()
        begun = monotonic()
        end = begun + limits.drain_seconds
        open_ = True
        while not self._now and (now := monotonic()) < end:
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
        now = monotonic()
        self._shared.writer.tick()
        for each in tuple(self._shared.connections):
            each.sweep(now)
