"""`ogrom dev`: the application with reload on change and every request traced. For this machine alone.

This process has the listening socket, watches the files and never answers; a child serves. When a file
has changed a new child loads the code. Can it serve, the old one answers what it has and goes, and the
new one takes its turn: what connects in between waits in the socket's queue. Can it not, the old one
stays, and the reason is told here and on the page; where there is no old one, a 503 tells it.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from ogrom.cli._app import AppError, declared
from ogrom.cli._dev_child import DRAIN, Orders
from ogrom.loopback import is_loopback
from ogrom.serve import ListenError, listen

_LOAD: Final = 60.0
"""How many seconds an application may take until it is ready."""


_RUN: Final = "from ogrom.cli._dev_child import main; main()"


class Child:
    """A process that serves, or waits to."""

    def __init__(self, orders: Orders) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(_LOAD)
        orders = msgspec.structs.replace(orders, control=theirs.fileno())
        words = [sys.executable, "-c", _RUN, msgspec.json.encode(orders).decode()]
        numbers = (orders.listen, orders.control, orders.ring)
        self._process = subprocess.Popen(words, pass_fds=numbers)  # noqa: S603 - ourselves
        theirs.close()

    def loaded(self) -> str:
        """Waits until it is ready; else why it cannot be."""
        try:
            line = self._ours.makefile("rb").readline()
        except TimeoutError:
            self.stop()
            return f"It is not ready after {_LOAD:.0f} seconds."
        said: dict[str, Any] = msgspec.json.decode(line) if line else {}
        if said.get("ready"):
            return ""
        status = self._process.wait()
        return str(said.get("failed") or f"It ended with the status {status} while it was loaded.")

    def say(self, **said: Any) -> None:
        """Tell it something."""
        try:
            self._ours.sendall(msgspec.json.encode(said) + b"\n")
        except OSError:
            return

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Let it answer what it has, and end it."""
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(DRAIN + 5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._ours.close()


class Dev:
    """Has one child serve after the other. It changes with every change of the code."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._child: Child | None = None
        self._is_broken = False

    def start(self) -> None:
        """The code as it is now takes its turn, if it can."""
        began = time.monotonic()
        first = self._child is None
        child = Child(self._orders)
        if why := child.loaded():
            _say(f"{'It cannot start' if first else 'Not reloaded'}:\n{why}", bad=True)
            self._broken(why)
            return
        self._takes_turn(child)
        self._is_broken = False
        if not first:
            _say(f"reloaded in {time.monotonic() - began:.1f} s")

    def look(self) -> None:
        """A child that ended by itself is told, and answered for."""
        if self._child is not None and not self._child.alive:
            _say("The process has ended. Change a file to start it again.", bad=True)
            self._child = None
            self._broken("The process has ended. Change a file to start it again.")

    def stop(self) -> None:
        """All ends."""
        if self._child is not None:
            self._child.stop()

    def _broken(self, why: str) -> None:
        if self._child is not None and not self._is_broken:
            self._child.say(
                broken=f"The newest code cannot be run; what answers is the code before.\n{why}"
            )
            return
        child = Child(msgspec.structs.replace(self._orders, broken=why))
        if not child.loaded():
            self._is_broken = True
            self._takes_turn(child)

    def _takes_turn(self, child: Child) -> None:
        if self._child is not None:
            self._child.stop()
        self._child = child
        child.say(go=True)


@click.command()
@click.argument("app", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, help="The port; 0 takes a free one.")
@click.option(
    "--log",
    type=click.Choice(["line", "json", "none"]),
    default="line",
    show_default=True,
    help="A line for each request; json is the application's own log.",
)
@click.option("--watch", "folders", multiple=True, type=click.Path(exists=True, path_type=Path),
              help="What to watch besides the working directory's Python files.")  # fmt: skip
@click.option("--secret", "secrets", multiple=True,
              help="A part of the names of further fields and keys that are not to be shown.")  # fmt: skip
@click.option(
    "--exposed",
    is_flag=True,
    help="Listen on an address that others reach. They see every request, and can send some.",
)
def dev(
    app: str | None,
    host: str,
    port: int,
    log: str,
    folders: tuple[Path, ...],
    secrets: tuple[str, ...],
    exposed: bool,
) -> None:
    """Run an application: reloaded when a file changes, every request traced at /-/trace.

    APP is module:name or file.py:name of a Service, of routes, or of a function that makes or opens
    one. Without it, `app` of [tool.ogrom] in pyproject.toml.
    """
    try:
        spec = app or declared(Path.cwd())
    except AppError as error:
        raise click.ClickException(str(error)) from None
    if not spec:
        raise click.ClickException(
            "Which application? Write `ogrom dev module:name`, or in pyproject.toml [tool.ogrom]"
            ' app = "module:name".'
        )
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if not is_loopback(place) and not exposed:
        raise click.ClickException(
            f"{host} can be reached by others, who would see every request. Leave --host out, or add"
            " --exposed if that is what you want."
        )
    try:
        listener = listen(place)
    except ListenError as error:
        raise click.ClickException(error.strerror or str(error)) from None
    with listener, tempfile.TemporaryFile() as ring:
        url = f"http://{place.rpartition(':')[0]}:{listener.getsockname()[1]}"
        listener.set_inheritable(True)
        orders = Orders(
            app=spec, url=url, listen=listener.fileno(), control=-1, ring=ring.fileno(), log=log,
            exposed=exposed, secrets=secrets,
        )  # fmt: skip
        _say(f"{spec}: {url}\nIts traces: {url}/-/trace")
        _run(Dev(orders), folders)


def _run(running: Dev, folders: tuple[Path, ...]) -> None:
    signal.signal(signal.SIGTERM, _end)
    try:
        begun = False
        for changed in _changes(folders):
            if not begun:  # only now, so that no change is missed between the two
                begun = True
                running.start()
            elif changed:
                _say(f"{', '.join(changed[:3])} changed")
                running.start()
            running.look()
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        running.stop()


def _end(_: int, __: object) -> None:
    sys.exit(0)


def _changes(folders: tuple[Path, ...]) -> Iterator[list[str]]:
    """The files that have changed, each time some have; and an empty list now and then."""
    try:
        from watchfiles import Change, PythonFilter, watch
    except ImportError:
        raise click.ClickException(
            "`ogrom dev` needs watchfiles: pip install 'ogrom[deploy]'"
        ) from None
    here, python = Path.cwd(), PythonFilter()
    extra = tuple(str(folder.resolve()) for folder in folders)

    def wanted(change: Change, path: str) -> bool:
        return path.startswith(extra) or python(change, path)

    for changes in watch(
        here, *folders, watch_filter=wanted, debounce=200, step=50, rust_timeout=100,
        yield_on_timeout=True, raise_interrupt=True,
    ):  # fmt: skip
        yield sorted({os.path.relpath(path, here) for _, path in changes})


def _say(text: str, *, bad: bool = False) -> None:
    click.secho(text, err=True, fg="red" if bad else None)
