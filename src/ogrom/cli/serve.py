"""`ogrom serve`: an application in production, told by its environment where it listens."""

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import click
from msgspec import structs

from ogrom.cli._app import AppError, Make, load, told
from ogrom.serve import App, AsgiApp, JsonLog, Limits, ListenError, LogHandler, RequestLog, worker
from ogrom.serve import serve as serving

_INSTEAD: Final = "Instead of both: unix:/run/books.sock, fd:3 or host:port."


@click.command()
@click.argument("app")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", envvar="PORT", default=8080, show_default=True, show_envvar=True,
              help="The port; 0 takes a free one.")  # fmt: skip
@click.option("--listen", "where", envvar="OGROM_LISTEN", show_envvar=True, help=_INSTEAD)
@click.option("--workers", envvar="OGROM_WORKERS", type=click.IntRange(min=1), default=1,
              show_default=True, show_envvar=True,
              help="How many processes serve. `ogrom up` starts instances: leave it at 1 there.")  # fmt: skip
def serve(app: str, host: str, port: int, where: str | None, workers: int) -> None:
    """Serve an application, until it is told to stop.

    APP is module:name or file.py:name, as of `ogrom dev`; what is installed comes before what is in
    the working directory. Each request, and what `logging` is told, is a JSON line on standard output.
    The answers name the release of $OGROM_RELEASE.
    """
    place = where or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    try:
        make, limits, log = logged(app, os.environ.get("OGROM_RELEASE", ""))
        if workers == 1 or worker() == 1:
            shown = place if place.startswith(("unix:", "fd:")) else f"http://{place}"
            make = _greeting(f"{app}: {shown}", make)
        serving(make, place, limits=limits, log=log, workers=workers)
    except ListenError as error:
        raise click.ClickException(error.strerror or str(error)) from None
    except AppError as error:
        raise click.ClickException(str(error)) from None
    except Exception as error:  # noqa: BLE001 - whatever the application raises is told
        raise click.ClickException(f"It cannot be served.\n{told(error)}") from None


def logged(spec: str, release: str) -> tuple[Make, Limits, RequestLog | None]:
    """What is to be opened and within which limits, and the log; an ASGI application has its own.

    Args:
        spec: the application, as `load` takes it.
        release: the commit that runs, told by answers and by the log.
    """
    found = load(spec, Path.cwd(), installed=True)
    if isinstance(found, AsgiApp):
        return found.make, found.limits, found.log
    log = JsonLog(Path(spec.partition(":")[0]).stem.partition(".")[0], release)

    @asynccontextmanager
    async def opened() -> AsyncGenerator[App]:
        logging.getLogger("stamina").setLevel(logging.ERROR)  # metrics count tries, and say of what
        handler = LogHandler(log)
        logging.getLogger().addHandler(handler)
        try:
            async with found() as app:
                yield structs.replace(app, release=app.release or release)
        finally:
            logging.getLogger().removeHandler(handler)
            log.close()

    return opened, Limits(), log


def _greeting(line: str, make: Make) -> Make:
    """Says where it is, once it is there."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[App]:
        async with make() as app:
            click.echo(line, err=True)
            yield app

    return opened
