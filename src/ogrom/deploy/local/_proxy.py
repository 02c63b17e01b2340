"""Keeps HAProxy running as it is wanted, whatever happens to it."""

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ogrom.deploy._target import TargetError
from ogrom.deploy.local import _haproxy as haproxy
from ogrom.deploy.local._instance import Backoff
from ogrom.deploy.local._process import Process, is_alive, spawn
from ogrom.deploy.local._state import Identity

_BACKOFF: Final = Backoff(first=0.05, most=5.0, forget=10.0)
_PIPE_BYTES: Final = 1 << 20


class Proxy:
    """HAProxy. Mutable.

    Its log comes through a named pipe whose both ends it holds itself: so it can always write, what
    it wrote while nobody read waits there, and what does not fit is dropped by HAProxy, which never
    waits. (A Unix datagram socket holds 10 lines by the kernel's default.)

    Args:
        program: the binary.
        listen: where clients connect.
        folder: the target's.
        run: the directory of sockets.
        wanted: tells how each server is to be.
        changed: called when HAProxy was started or has ended.
        say: told what users should know.
    """

    def __init__(
        self,
        program: str,
        listen: str,
        folder: Path,
        run: Path,
        *,
        wanted: Callable[[], haproxy.Servers],
        changed: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self.socket: Final = run / "haproxy.sock"
        self.log: Final = self._pipe(run / "haproxy.log")
        self._program, self._listen, self._folder, self._run = program, listen, folder, run
        self._wanted, self._changed, self._say = wanted, changed, say
        self._process: Process | None = None
        self._told: dict[str, haproxy.Server] = {}
        self._telling = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def known(self) -> Identity | None:
        """Its process."""
        return self._process.known if self._process and not self._process.ended.is_set() else None

    @property
    def mark(self) -> str:
        """By which its process is found again."""
        return f"{self._folder}/haproxy"

    @staticmethod
    def _pipe(path: Path) -> int:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        with contextlib.suppress(OSError):  # more than a user may have: the kernel's 64 KiB do
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return file

    async def begin(self, known: Identity | None) -> None:
        """Find it, or start it.

        Raises:
            TargetError: it cannot start; the message has its own words.
        """
        if known is not None and is_alive(known):
            self._process = Process(known)
        else:
            await self._start()
        self._task = asyncio.create_task(self._keep(), name="haproxy")

    async def _start(self) -> None:
        file = self._folder / "haproxy.cfg"
        text = haproxy.config(
            self._listen, self._run, self._wanted(), maxconn=haproxy.most_connections()
        )
        aside = file.with_suffix(".new")
        aside.write_text(text, encoding="utf-8")
        aside.replace(file)
        log = self._folder / "logs" / "haproxy.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        before = log.stat().st_size if log.exists() else 0
        self.socket.unlink(missing_ok=True)
        self._told = {}
        process = self._process = spawn(
            [self._program, "-db", "-f", str(file)],
            mark=self.mark,
            env=os.environ,
            cwd=None,
            log=log,
            stdout=self.log,
        )
        until = time.monotonic() + 10
        while time.monotonic() < until and not process.ended.is_set():
            with contextlib.suppress(TargetError):
                await haproxy.command(self.socket, "show version")
                self._changed()
                return
            await asyncio.sleep(0.01)
        if not process.ended.is_set():
            await process.end(0)
        with log.open("rb") as said:
            said.seek(before)
            words = said.read(8000).decode(errors="replace").strip()
        raise TargetError(
            f"HAProxy does not start for {self._listen}. If something else listens there, stop it, or"
            f" choose another: ogrom up --listen 127.0.0.1:9000. Its own words:\n{words or process.how()}"
        )

    async def _keep(self) -> None:
        failures = 0
        while True:
            assert self._process is not None
            begun = time.monotonic()
            await self._process.ended.wait()
            failures = 1 if time.monotonic() - begun > _BACKOFF.forget else failures + 1
            self._say(f"HAProxy {self._process.how()}; started again")
            while True:
                await asyncio.sleep(_BACKOFF.wait(failures) if failures > 1 else 0)
                try:
                    await self._start()
                except TargetError as error:
                    failures += 1
                    self._say(str(error))
                else:
                    break

    async def tell(self) -> None:
        """Make it share the traffic out as is wanted now.

        Raises:
            TargetError: it does not answer; it will be told again when it has been started.
        """
        async with self._telling:
            wanted = dict(self._wanted())
            for name in haproxy.SERVERS:
                wanted.setdefault(name, haproxy.Server())
            commands = haproxy.changes(self._told, wanted)
            if not commands:
                return
            process = self._process
            said = (await haproxy.command(self.socket, *commands)).strip()
            if said:
                raise TargetError(f"HAProxy refuses: {said.splitlines()[0]}")
            if process is self._process:  # not one that was started meanwhile
                self._told = wanted

    async def stats(self) -> dict[str, haproxy.Stat]:
        """What it has counted.

        Raises:
            TargetError: it does not answer.
        """
        return haproxy.stats(await haproxy.command(self.socket, "show stat"))

    async def end(self, grace: float) -> None:
        """Take no new connections, answer what is in flight, end."""
        await self.leave()
        if self._process is not None:
            await self._process.end(grace, signal.SIGUSR1)
        self.socket.unlink(missing_ok=True)

    async def leave(self) -> None:
        """Watch it no more; it goes on running."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
