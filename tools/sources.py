"""The shop's sources as real servers on this machine: MariaDB or MySQL, OpenSearch, an identity API, rsyslog.

    .venv/bin/python tools/sources.py run COMMAND…    runs a command on them; the last user ends them
    .venv/bin/python tools/sources.py start [NAME…]   starts them until `stop`; prints what to export
    .venv/bin/python tools/sources.py status | env | stop
    .venv/bin/python tools/sources.py watch           ends them when nobody uses them any more

Rule 1. All of them is in DIR (.cache/sources): started again, they have their data and ports again.
Rule 2. Who uses them holds a shared lock on DIR/users, which the kernel takes back when he dies. Who
        leaves as the last one ends them, unless DIR/kept says that they were started by hand.
Rule 3. Only what was started here is ever ended: by its process id, if that is still the same command.

Exit status: that of the command; 1 one of them failed, 3 one is missing and cannot be installed.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import databases
import local
import opensearch
import rsyslog

from shop.run.identity import SECRET

DIRECTORY = Path(__file__).resolve().parent.parent / ".cache" / "sources"
PRODUCTS = "2000"
"""How many the shop invents, where OGROM_PRODUCTS does not say, for a catalogue that is empty."""

PATIENCE = 60.0
MISSING = 3
FAILED = (databases.Failed, opensearch.CannotStart, rsyslog.Failed)
MISSES = (databases.Missing, opensearch.Missing, rsyslog.Missing)


class Identity:
    """The stand-in for the identity API, which the shop brings along."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "identity.json"
        self._log = folder / "identity.log"
        self._child: subprocess.Popen[bytes] | None = None

    def _told(self) -> tuple[int, int]:
        with suppress(OSError, ValueError):
            told = json.loads(self._file.read_text())
            return int(told["pid"]), int(told["port"])
        return 0, 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._told()[1]}"

    def pid(self) -> int | None:
        """Its process, if that runs."""
        pid, port = self._told()
        return pid if local.command(pid)[1:] == _identity(port)[1:] else None

    def start(self) -> None:
        """Start it, unless it runs; raises databases.Failed where it does not."""
        if self.pid() is not None:
            return
        port = local.free_port(self._told()[1])
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                _identity(port), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._file.write_text(json.dumps({"pid": self._child.pid, "port": port}))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._child.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.05)
        raise databases.Failed(f"the identity API did not start: see {self._log}")

    def stop(self) -> None:
        """End it, if it runs."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + PATIENCE
            while self.pid() is not None and time.monotonic() < end:
                time.sleep(0.02)
        if self._child is not None:
            self._child.wait()


def _identity(port: int) -> list[str]:
    return [sys.executable, "-m", "shop.run", "identity", "--port", str(port)]


class Source(NamedTuple):
    """One of them."""

    title: str
    find: Callable[[], object]
    """See that its programs are there; one after another, for apt works for one at a time."""
    start: Callable[[], object]
    stop: Callable[[], object]
    tells: Callable[[], Mapping[str, str] | None]
    """What the shop's environment says of it; None where it does not run."""


def sources(folder: Path) -> dict[str, Source]:
    """All of them, by name, in one folder."""
    product = databases.product()
    database = databases.Server(folder / product.name)
    node = opensearch.Node(folder / "opensearch")
    identity = Identity(folder)
    receiver = rsyslog.Rsyslog(folder / "rsyslog")

    def searched() -> Mapping[str, str] | None:
        products = os.environ.get("OGROM_PRODUCTS", PRODUCTS)
        if (running := node.state) is None:
            return None
        return {"OGROM_SEARCH": f"{running[1]}/shop", "OGROM_PRODUCTS": products}

    def told(pid: int | None, **variables: str) -> Mapping[str, str] | None:
        return None if pid is None else variables

    return {
        "database": Source(
            product.title,
            databases.install,
            lambda: database.start(tls=False),
            database.stop,
            lambda: told(database.pid(), OGROM_DB=database.url(), OGROM_DEMO="1"),
        ),
        "opensearch": Source("OpenSearch", opensearch.jars, node.start, node.stop, searched),
        "identity": Source(
            "identity API",
            lambda: None,
            identity.start,
            identity.stop,
            lambda: told(identity.pid(), OGROM_USERS=identity.url, OGROM_USERS_TOKEN=SECRET),
        ),
        "rsyslog": Source(
            "rsyslog",
            rsyslog.find,
            receiver.start,
            receiver.stop,
            lambda: told(receiver.pid(), OGROM_LOGSTASH=receiver.url),
        ),
    }


def _start(source: Source) -> None:
    source.start()


def _stop(source: Source) -> None:
    source.stop()


def start(folder: Path, names: Iterable[str] = ()) -> dict[str, Source]:
    """Start these of them, or all, where they do not run; all of them.

    Raises:
        databases.Failed, opensearch.CannotStart, rsyslog.Failed: one is missing, or does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        every = sources(folder)
        chosen = [every[name] for name in names or every]
        for source in chosen:
            source.find()
        with ThreadPoolExecutor(len(chosen)) as at_once:
            list(at_once.map(_start, chosen))
    return every


def stop(folder: Path) -> None:
    """End those that run."""
    every = sources(folder).values()
    with ThreadPoolExecutor(len(every)) as at_once:
        list(at_once.map(_stop, every))


def environment(folder: Path) -> dict[str, str]:
    """What the shop's environment says of those that run."""
    found: dict[str, str] = {}
    for source in sources(folder).values():
        found |= source.tells() or {}
    return found


@contextmanager
def used(folder: Path) -> Generator[None]:
    """Be one of those who use them; the last one ends them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # others use them
            else:
                if not (folder / "kept").exists():
                    stop(folder)


def _watch(folder: Path) -> None:
    """Have them ended when their last user is gone, even if he was killed."""
    subprocess.Popen(
        [sys.executable, __file__, "--dir", str(folder), "watch"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def watch(folder: Path) -> None:
    """Wait until nobody uses them, and end them; at once where another does that already."""
    with (folder / "watcher").open("a") as watcher, (folder / "users").open("a") as users:
        try:
            fcntl.flock(watcher, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        fcntl.flock(users, fcntl.LOCK_EX)
        stop(folder)


def run(folder: Path, command: list[str]) -> int:
    """Run a command with them, and what it needs to know of them; its exit status."""
    # Told to end while they start, it ends them too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with used(folder):
        begun = time.monotonic()
        found: dict[str, str] = {}
        for name, source in start(folder).items():
            told = source.tells() or {}
            found |= told
            print(
                f"{source.title + ':':14}{_shown(next(iter(told.values()), name))}", file=sys.stderr
            )
        seconds = time.monotonic() - begun
        print(
            f"up in {seconds:.1f} s; all that they keep is in {folder}", file=sys.stderr, flush=True
        )
        process = subprocess.Popen(command, env={**os.environ, **found})
        # Ctrl-C reaches the command by itself, and it may have something to bring to its end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
        status = process.wait()
    return 128 - status if status < 0 else status


def _shown(url: str) -> str:
    """A URL without its password."""
    scheme, _, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    return f"{scheme}://{login.partition(':')[0]}{':***' if at else ''}{at}{place}"


def main(arguments: list[str]) -> int:
    """Do what is asked; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dir", type=Path, default=DIRECTORY)
    parser.add_argument(
        "--unkept",
        action="store_true",
        help="start: they end with the last who uses them, be he killed",
    )
    parser.add_argument("what", choices=("run", "start", "watch", "status", "env", "stop"))
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="NAME… or COMMAND…")
    asked = parser.parse_args(arguments)
    folder = asked.dir.resolve()
    if asked.what == "run" and not shutil.which(asked.rest[0] if asked.rest else ""):
        parser.error(f"run what? {asked.rest[0] if asked.rest else 'Name a command'} is no command")
    try:
        if asked.what == "start" and (unknown := {*asked.rest} - {*sources(folder)}):
            parser.error(f"{', '.join(unknown)}: there are {', '.join(sources(folder))}")
        match asked.what:
            case "run":
                return run(folder, asked.rest)
            case "start":
                with used(folder):
                    start(folder, asked.rest)
                    if asked.unkept:
                        _watch(folder)
                    else:
                        (folder / "kept").touch()
            case "watch":
                watch(folder)
                return 0
            case "stop":
                (folder / "kept").unlink(missing_ok=True)
                stop(folder)
                return 0
            case "status":
                for source in sources(folder).values():
                    told = source.tells()
                    place = _shown(next(iter(told.values()))) if told else "does not run"
                    print(f"{source.title + ':':14}{place}")
                return 0
            case _:  # env
                pass
    except FAILED as error:
        print(f"sources: {error}", file=sys.stderr)
        return MISSING if isinstance(error, MISSES) else 1
    for name, value in environment(folder).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
