"""The process that serves, of `ogrom dev`: loads the application, says that it is ready, and waits for its turn.

Its parent has the listening socket, so that no request is refused while one of these follows another.
They speak in lines of JSON. To the parent: `{"ready": true}` or `{"failed": "why"}`. From it: `{"go": true}`
and `{"broken": "why"}`. Where the parent is gone, this one goes too.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from ogrom.cli._app import Make, load, told
from ogrom.http import Request, Response, Service, problem_response
from ogrom.serve import App, AsgiApp, Limits, RequestLog, serve
from ogrom.trace import Ring, Summary, Tracer

DRAIN: Final = 5.0
"""For how many seconds requests may go on after their code has changed."""


class Orders(Struct, frozen=True):
    """What a child is started with."""

    app: str
    url: str
    listen: int
    control: int
    ring: int
    log: str
    """"line", "json" (the application's own) or "none"."""
    exposed: bool
    secrets: tuple[str, ...] = ()
    broken: str = ""
    """Not "": serve nothing but that it is broken, and why."""


class Broken:
    """Answers every request by what is wrong."""

    def __init__(self, why: str) -> None:
        self._why: Final = why

    async def respond(self, request: Request) -> Response:
        """503, with the reason: nobody but a developer sees it."""
        return problem_response(
            503, self._why, accept=request.headers.get("accept"), request_id=request.id,
            method=request.method,
        )  # fmt: skip


class Control:
    """The line to the parent."""

    def __init__(self, number: int) -> None:
        self._socket: Final = socket.socket(fileno=number)
        self._told: Final = self._socket.makefile("rb")

    def say(self, **said: Any) -> None:
        """Tell the parent something."""
        with suppress(OSError):
            self._socket.sendall(msgspec.json.encode(said) + b"\n")

    def wait(self) -> dict[str, Any]:
        """What the parent says next; empty when it is gone."""
        line = self._told.readline()
        return msgspec.json.decode(line, type=dict[str, Any]) if line else {}


class Failures:
    """Shows exceptions that nobody expected, as the trace does, where the developer looks first."""

    def request(self, request: Request, response: Response, *, seconds: float, client: str) -> None:  # noqa: ARG002
        """Show the exception, where there was one."""
        if response.error is not None:
            print(told(response.error), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is left to be written."""


def main() -> None:
    """Serve what the orders name."""
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    control = Control(orders.control)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent says when
    limits = Limits(drain_seconds=DRAIN)
    log: RequestLog | None = None
    logging.getLogger("stamina").setLevel(
        logging.ERROR
    )  # it says that there are tries, not of what
    if orders.log == "line":
        log = Failures()
    try:
        if orders.broken:
            make = _broken(orders.broken)
        else:
            found = load(orders.app, Path.cwd())
            if isinstance(found, AsgiApp):
                make, limits = found.make, replace(found.limits, drain_seconds=DRAIN)
                log = found.log if orders.log == "json" else log
            else:
                make = found
    except BaseException as error:  # noqa: BLE001 - whatever an import raises is told
        control.say(failed=told(error))
        sys.exit(3)
    _serve(orders, control, make, limits, log)


def _serve(
    orders: Orders, control: Control, make: Make, limits: Limits, log: RequestLog | None
) -> None:
    ready = False

    @asynccontextmanager
    async def traced() -> AsyncGenerator[App]:
        nonlocal ready
        async with make() as app:
            control.say(ready=True)
            if not control.wait().get("go"):
                sys.exit(0)
            ready = True
            if orders.broken:
                threading.Thread(target=_listen, args=(control, None), daemon=True).start()
                yield app
                return
            tracer = _tracer(orders, app)
            threading.Thread(target=_listen, args=(control, tracer), daemon=True).start()
            try:
                yield structs.replace(app, service=tracer)
            finally:
                _leave(orders.ring, tracer.ring)

    try:
        serve(traced, f"fd:{orders.listen}", limits=limits, log=log)
    except Exception as error:
        if ready:
            raise
        control.say(failed=told(error))
        sys.exit(3)


def _tracer(orders: Orders, app: App) -> Tracer:
    service: Any = app.service
    if not isinstance(service, Service):  # what stands before it is for production
        service = service.service
    ring = Ring()
    with suppress(msgspec.MsgspecError, OSError), os.fdopen(os.dup(orders.ring), "rb") as file:
        file.seek(0)
        if left := file.read():
            ring.load(left)
    told = _lines(orders.url) if orders.log == "line" else None
    return Tracer(
        service, names=orders.secrets, told=told, exposed=orders.exposed, ring=ring,
        own=orders.url.removeprefix("http://"),
    )  # fmt: skip


def _leave(number: int, ring: Ring) -> None:
    """The traces are left to the successor, in a file that has no name."""
    with os.fdopen(os.dup(number), "r+b") as file:
        file.seek(0)
        file.truncate()
        file.write(ring.dump())


def _listen(control: Control, tracer: Tracer | None) -> None:
    while said := control.wait():
        if tracer is not None:
            tracer.feed.broken = str(said.get("broken", ""))
    os.kill(os.getpid(), signal.SIGTERM)


def _lines(url: str) -> Callable[[Summary], None]:
    colours = {2: "32", 3: "34", 4: "33", 5: "31"}
    colourful = sys.stdout.isatty()

    def tell(summary: Summary) -> None:
        code = str(summary.status or "–")
        if colourful:
            code = f"\x1b[{colours.get(summary.status // 100, '31')}m{code}\x1b[0m"
        end = summary.end.removeprefix("handle_") or "no end"
        line = (
            f"{summary.method:<7} {summary.target}  {code}  {summary.milliseconds:.1f} ms  {end}"
            f"  {url}/-/trace/{summary.id}"
        )
        print(line, flush=True)

    return tell


def _broken(why: str) -> Make:
    @asynccontextmanager
    async def opening() -> AsyncGenerator[App]:
        yield App(service=Broken(why))

    return opening
