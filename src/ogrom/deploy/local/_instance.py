"""One instance of an environment: started, asked how it is, started again, ended."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import aiohttp
from msgspec import Struct

from ogrom.deploy._launch import Launch
from ogrom.deploy._target import Answer, Instance, Name, Release, TargetError
from ogrom.deploy.local import _logs
from ogrom.deploy.local._haproxy import server_name
from ogrom.deploy.local._process import Process, is_alive, spawn
from ogrom.deploy.local._state import Slot

READY: Final = "/-/ready"
_ASK_SECONDS: Final = 3.0
_EXCERPT: Final = 300


class Backoff(Struct, frozen=True):
    """How long to wait before something that ended is started again, in seconds."""

    first: float = 0.2
    most: float = 30.0
    forget: float = 60.0
    """After so long in good health the first wait is the first again."""

    def wait(self, failures: int) -> float:
        """Before the start after so many ends in a row."""
        return min(self.most, self.first * 2.0 ** min(max(0, failures - 1), 20))


class Place(Struct, frozen=True):
    """Where an instance lives: of which target, and in which slot."""

    folder: Path
    run: Path
    name: Name
    number: int

    @property
    def server(self) -> str:
        """Such as `blue-1`."""
        return server_name(self.name, self.number)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.run / self.server

    @property
    def log(self) -> Path:
        """The file that it writes to."""
        return self.folder / "logs" / f"{self.server}.log"

    @property
    def mark(self) -> str:
        """By which its process is found again."""
        return f"{self.folder}/{self.server}"


class Runner:
    """Keeps one instance. Mutable, and changed by its own task alone, but for `draining`.

    Args:
        place: its slot.
        release: what runs there.
        launch: how; asked before each start.
        changed: called when anything that others look at has changed.
        slot: what it is known to have been, where its process may still run.
        backoff: how long is waited before a restart.
    """

    def __init__(
        self,
        place: Place,
        release: Release,
        launch: Launch | None,
        changed: Callable[[], None],
        *,
        slot: Slot | None = None,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    ) -> None:
        self.place: Final = place
        self.release: Final = release
        self.draining = False
        self.detail = ""
        self.healthy = False
        self._launch = launch
        self._changed = changed
        self._backoff = backoff
        self._slot = slot or Slot()
        self._process: Process | None = None
        self._state: Literal["starting", "restarting", "stopped"] = "starting"
        self._failures = 0
        self._well_since = 0.0
        self._task: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def slot(self) -> Slot:
        """What has to be remembered of it."""
        return self._slot

    @property
    def stopped(self) -> bool:
        """It has ended and is not started again."""
        return self._state == "stopped"

    @property
    def instance(self) -> Instance:
        """As others see it."""
        running = self._process is not None and not self._process.ended.is_set()
        return Instance(
            number=self.place.number,
            state="draining" if self.draining and running else self._shown(),
            pid=self._process.known.pid if self._process and running else None,
            started=datetime.fromtimestamp(self._slot.started, UTC) if self._slot.started else None,
            restarts=self._slot.restarts,
            detail=self.detail,
        )

    def _shown(self) -> Literal["starting", "healthy", "unhealthy", "restarting", "stopped"]:
        if self._process is None or self._process.ended.is_set():
            return self._state
        if self.healthy:
            return "healthy"
        return "unhealthy" if self._slot.proven and self._state != "restarting" else self._state

    # Its life

    def begin(self) -> None:
        """Find its process, or start it.

        Raises:
            TargetError: it cannot be started.
        """
        known = self._slot.process
        if known is not None and is_alive(known):
            self._process = Process(known)
            self.healthy = self._slot.proven  # it was; the first answer will tell
            self.detail = "found running"
        elif known is not None and not self._slot.proven:
            self._state, self.detail = "stopped", "ended before it was healthy"
        else:
            self._start()
        self._task = asyncio.create_task(self._live(), name=self.place.server)

    def _start(self) -> None:
        if self._launch is None:
            raise TargetError(f"{self.place.server}: it is not known how to start it.")
        self.place.log.parent.mkdir(parents=True, exist_ok=True)
        self.place.socket.unlink(missing_ok=True)
        env = {
            **os.environ,
            **self._launch.env,
            "OGROM_LISTEN": f"unix:{self.place.socket}",
            "OGROM_RELEASE": self.release.commit,
        }
        self._process = spawn(
            self._launch.command,
            mark=self.place.mark,
            env=env,
            cwd=Path(self._launch.cwd),
            log=self.place.log,
        )
        self._slot = Slot(self._process.known, time.time(), self._slot.proven, self._slot.restarts)
        self._changed()

    async def _live(self) -> None:
        while not self.stopped:
            if self._process is not None:
                await self._watch(self._process)
                await self._ended(self._process)
            if not self.stopped:
                await self._again()

    async def _watch(self, process: Process) -> None:
        """Ask how it is, until it ends."""
        while not process.ended.is_set():
            answer = await self.ask("GET", READY, {}, seconds=_ASK_SECONDS)
            if process.ended.is_set():
                return
            self._is(answer)
            pause = 1.0 if self.healthy else 0.25 if self._slot.proven else 0.1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await process.ended.wait()

    def _is(self, answer: Answer) -> None:
        was = (self.healthy, self.detail)
        self.healthy = answer.status == 200
        if self.healthy:
            self._state, self.detail = "starting", f"GET {READY} answered 200"
            if not self._slot.proven:
                self._slot = Slot(self._slot.process, self._slot.started, True, self._slot.restarts)
            self._well_since = self._well_since or time.monotonic()
            if time.monotonic() - self._well_since > self._backoff.forget:
                self._failures = 0
        else:
            said = f"answered {answer.status}: {answer.detail}" if answer.status else answer.detail
            self.detail, self._well_since = f"GET {READY}: {said}", 0.0
        if was != (self.healthy, self.detail):
            self._changed()

    async def _ended(self, process: Process) -> None:
        self.healthy, self._well_since = False, 0.0
        said = self._last_words()
        self.detail = process.how() + (f": {said}" if said else "")
        self._state = "restarting" if self._slot.proven else "stopped"
        self._failures += 1
        self._changed()

    def _last_words(self) -> str:
        last = [line for line in _logs.tail(self.place.log, 5) if line.strip()]
        return last[-1].strip()[:_EXCERPT] if last else ""

    async def _again(self) -> None:
        await asyncio.sleep(self._backoff.wait(self._failures))
        slot = self._slot
        self._slot = Slot(slot.process, slot.started, slot.proven, slot.restarts + 1)
        try:
            self._start()
        except TargetError as error:
            self._process, self._failures = None, self._failures + 1
            self.detail = str(error)
            self._changed()

    async def end(self, grace: float) -> None:
        """End it: SIGTERM, and after `grace` seconds SIGKILL. It is not started again."""
        self._state = "stopped"
        await self.leave()
        if self._process is not None:
            await self._process.end(grace)
        self.healthy = False
        self.place.socket.unlink(missing_ok=True)
        self._changed()

    async def leave(self) -> None:
        """Watch it no more; it goes on running."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._session is not None:
            await self._session.close()
            self._session = None

    # Requests past the proxy

    async def ask(
        self, method: str, path: str, fields: Mapping[str, str], *, seconds: float = 30.0
    ) -> Answer:
        """Put one request to it."""
        begun = time.monotonic()
        number = self.place.number
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self.place.socket), limit=4),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.request(
                method,
                f"http://ogrom{path}",
                headers=dict(fields),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as answer:
                content = await answer.read()
        except TimeoutError:
            return Answer(number, 0, seconds, f"no answer in {seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(number, 0, time.monotonic() - begun, _why(error))
        detail = content[:_EXCERPT].decode(errors="replace").strip() if answer.status >= 400 else ""
        return Answer(number, answer.status, time.monotonic() - begun, detail)


def _why(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"it does not listen yet ({error.strerror})"
    return str(error) or type(error).__name__
