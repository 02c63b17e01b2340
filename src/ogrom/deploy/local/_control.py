"""What may be asked of `ogrom up`, as values; and how it answers, over a Unix socket of its owner."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from msgspec import MsgspecError, Struct, json

from ogrom.deploy._target import ArtifactError, DeployError, Fenced, Name, Release, TargetError
from ogrom.deploy.local._supervisor import Supervisor

ERRORS: Final[Mapping[str, type[DeployError]]] = {
    each.__name__: each for each in (Fenced, ArtifactError, TargetError)
}
"""What an error's name in an answer means."""


class Observe(Struct, frozen=True):
    """What is so now."""


class Start(Struct, frozen=True):
    """See `Target.start`."""

    name: Name
    release: Release
    instances: int
    token: int


class Ask(Struct, frozen=True):
    """See `Target.ask`."""

    name: Name
    method: str
    path: str
    fields: dict[str, str]


class Shift(Struct, frozen=True):
    """See `Target.shift`."""

    shares: dict[Name, int]
    token: int


class Stop(Struct, frozen=True):
    """See `Target.stop`."""

    name: Name
    token: int


class Scale(Struct, frozen=True):
    """See `Target.scale`."""

    minimum: int
    maximum: int


class Tail(Struct, frozen=True):
    """See `Target.tail`."""

    name: Name
    lines: int


class Down(Struct, frozen=True):
    """End all, in order."""


class Failure(Struct, frozen=True):
    """Why it was not done."""

    kind: str
    message: str


Call = Observe | Start | Ask | Shift | Stop | Scale | Tail | Down


async def _down(up: Supervisor, _: Any) -> None:
    up.stopping.set()


CALLS: Final[Mapping[type[Any], Callable[[Supervisor, Any], Awaitable[object]]]] = {
    Observe: lambda up, _: up.observe(),
    Start: lambda up, it: up.start(it.name, it.release, it.instances, it.token),
    Ask: lambda up, it: up.ask(it.name, it.method, it.path, it.fields),
    Shift: lambda up, it: up.shift(it.shares, it.token),
    Stop: lambda up, it: up.stop(it.name, it.token),
    Scale: lambda up, it: up.scale(it.minimum, it.maximum),
    Tail: lambda up, it: up.tail(it.name, it.lines),
    Down: _down,
}
"""Who answers what."""


def path_of(call: type[Any]) -> str:
    """Where a call is put."""
    return f"/{call.__name__.lower()}"


def application(up: Supervisor) -> web.Application:
    """What answers."""
    app = web.Application(client_max_size=1 << 20)
    for kind, answer in CALLS.items():
        app.router.add_post(path_of(kind), _handler(up, kind, answer))
    return app


def _handler(
    up: Supervisor, kind: type[Any], answer: Callable[[Supervisor, Any], Awaitable[object]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            said = await answer(up, json.decode(await request.read(), type=kind))
        except DeployError as error:
            status = 409 if isinstance(error, Fenced) else 422
            name = next(name for name, each in ERRORS.items() if isinstance(error, each))
            return _json(Failure(name, str(error)), status)
        except MsgspecError as error:
            return _json(Failure("TargetError", f"{kind.__name__}: {error}"), 400)
        return _json(said)

    return handle


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=json.encode(value), status=status, content_type="application/json")


@asynccontextmanager
async def answering(up: Supervisor, socket: Path) -> AsyncGenerator[None]:
    """Answer on a socket while the block runs."""
    runner = web.AppRunner(application(up), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        _remove(socket)
        before = os.umask(0o177)
        try:
            await web.UnixSite(runner, str(socket)).start()
        finally:
            os.umask(before)
        yield
    finally:
        await runner.cleanup()
        _remove(socket)


def _remove(socket: Path) -> None:
    socket.unlink(missing_ok=True)
