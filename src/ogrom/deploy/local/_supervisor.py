"""`ogrom up`: keeps a target as it is wanted, and is the only one that changes what is wanted.

HAProxy and the instances outlive it. What it knows is in `state.json`; what runs is found again by
process number, start time and boot, or by the mark that each was started with.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ogrom.deploy._target import (
    NAMES,
    Answer,
    DeployError,
    Environment,
    Fenced,
    Name,
    Observation,
    Release,
    TargetError,
    other,
)
from ogrom.deploy.local import _haproxy as haproxy
from ogrom.deploy.local import _lease, _logs
from ogrom.deploy.local._counts import BOUNDS, Sample
from ogrom.deploy.local._fleet import Fleet, Launcher
from ogrom.deploy.local._meter import Meter
from ogrom.deploy.local._process import identity, is_alive, marked, run_command
from ogrom.deploy.local._proxy import Proxy
from ogrom.deploy.local._state import SLOTS, run_directory


class Settings(Struct, frozen=True):
    """What a local target is made with."""

    name: str
    folder: Path
    """`$OGROM_HOME/targets/<name>`."""
    listen: str = "127.0.0.1:8080"
    page: str | None = None
    minimum: int = 1
    maximum: int = 1
    drain_seconds: float = 30.0
    """How long requests in flight may take before an instance is told to end."""
    stop_seconds: float = 35.0
    """How long an instance may take to end after that."""
    resume: tuple[str, ...] = ()
    """The command that ends or undoes a rollout whose deployer has died."""
    unfinished: Callable[[], bool] = lambda: False
    """Whether there is such a rollout."""
    rollback: tuple[str, ...] = ()
    """The command that the page's button runs."""


class Supervisor:
    """What `ogrom up` does. Mutable: it holds all that changes about the target.

    Args:
        settings: what it is made with.
        launcher: says how a release is started.
        say: told what users should know, a line at a time.
    """

    def __init__(
        self, settings: Settings, launcher: Launcher, say: Callable[[str], None] = print
    ) -> None:
        self.settings: Final = settings
        self.folder: Final = settings.folder
        self.say: Final = say
        self.stopping: Final = asyncio.Event()
        self._launcher = launcher
        self._dirty = asyncio.Event()
        self._changing = asyncio.Lock()
        self._told: dict[str, str] = {}

    # Its life

    async def run(
        self, serve: "Callable[[Supervisor], contextlib.AbstractAsyncContextManager[None]]"
    ) -> None:
        """Keep the target until `stopping` is set; then end all in order.

        Args:
            serve: what others speak to it through, while the block runs.

        Raises:
            TargetError: it cannot start: it runs already, the port is taken, …
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            await self._begin()
            tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._every_second())]
            if self.settings.resume:
                tasks.append(asyncio.create_task(self._resume()))
            try:
                async with serve(self):
                    stopped = asyncio.create_task(self.stopping.wait())
                    done, _ = await asyncio.wait(
                        {*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done - {stopped}:
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._end()

    @contextlib.contextmanager
    def _alone(self) -> Generator[None]:
        with (self.folder / "up.lock").open("a+b") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise TargetError(
                    f"`ogrom up {self.settings.name}` runs already (pid {lock.read().decode()}). Its"
                    f" state: ogrom status --to {self.settings.name}"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
            lock.flush()
            yield

    async def _begin(self) -> None:
        program = haproxy.find()
        settings = self.settings
        fleet = self._fleet = Fleet(
            self.folder,
            self._launcher,
            in_flight=self._in_flight,
            drain_seconds=settings.drain_seconds,
            stop_seconds=settings.stop_seconds,
            changed=self._changed,
            say=self.say,
        )
        declared = settings.minimum, settings.maximum
        if declared != fleet.state.declared:
            self._note(minimum=settings.minimum, maximum=settings.maximum, declared=declared)
        self._proxy = Proxy(
            program,
            settings.listen,
            self.folder,
            self.sockets,
            wanted=fleet.servers,
            changed=self._changed,
            say=self.say,
        )
        self.meter = Meter(self.folder, self._proxy)
        await self._put_away_strays()
        for name in NAMES:
            await fleet.find(name)
        try:
            await self._proxy.begin(fleet.state.proxy)
        except TargetError:
            await fleet.end()  # nobody reaches them
            raise
        for name in NAMES:  # some may have been about to end when we were killed
            if fleet.state[name].release is not None:
                await fleet.resize(name, self._within(name))
        self._changed()
        self._save()

    def _within(self, name: Name) -> int:
        """How many instances an environment keeps: the live one, as many as the bounds allow."""
        state = self._fleet.state
        count = state[name].instances
        return min(max(count, state.minimum), state.maximum) if name == state.live else count

    async def _put_away_strays(self) -> None:
        """End what was started and could not be noted before we were killed."""
        known = self._fleet.known()
        for mark, pids in marked(f"{self.folder}/").items():
            for pid in pids:
                found = identity(pid)
                if found is None or found in known:
                    continue
                proxy = self._fleet.state.proxy
                if mark == self._proxy.mark and not (proxy and is_alive(proxy)):
                    self._note(proxy=found)
                    continue
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    async def _end(self) -> None:
        name = self.settings.name
        await self._proxy.end(self.settings.drain_seconds)
        self._note(proxy=self._proxy.known)
        await self._fleet.end()
        self.say(f"{name} is down. `ogrom up {name}` starts it again as it was.")

    def _changed(self) -> None:
        self._dirty.set()

    def _note(self, **changes: object) -> None:
        self._fleet.state = msgspec.structs.replace(self._fleet.state, **changes)

    def _save(self) -> None:
        self._note(proxy=self._proxy.known)
        self._fleet.save()

    async def _in_flight(self, server: str) -> int | None:
        await self._proxy.tell()
        stat = (await self._proxy.stats()).get(server)
        return None if stat is None else stat.in_flight

    async def _follow(self) -> None:
        """Note what has changed, and make HAProxy follow it."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            self._news()
            try:
                self._save()
                await self._proxy.tell()
            except TargetError:  # it is being started again, or the disk is full: once more
                asyncio.get_running_loop().call_later(0.1, self._changed)
            await asyncio.sleep(0.01)

    def _news(self) -> None:
        told, self._told = self._told, {}
        for runner in self._fleet:
            server, instance = runner.place.server, runner.instance
            line = self._told[server] = f"{server} {instance.state}"
            if told.get(server) != line:
                bad = instance.state in {"unhealthy", "restarting", "stopped"}
                self.say(f"{line}: {instance.detail}" if bad and instance.detail else line)

    async def _every_second(self) -> None:
        while True:
            await asyncio.sleep(1 - time.time() % 1)
            sample = await self.meter.second(
                {name: self._fleet.state[name].share for name in NAMES}
            )
            for runner in self._fleet:
                _logs.rotate(runner.place.log)
            await self._autoscale(sample)

    async def _autoscale(self, sample: Sample) -> None:
        state = self._fleet.state
        live = state.live
        if live is None or state[live].share < 100 or self._changing.locked():
            self.meter.forget()
            return
        count, bounds = state[live].instances, (state.minimum, state.maximum)
        number = self.meter.wanted(sample, live, count, bounds)
        if number != count:
            async with self._changing:
                load = self.meter.load(sample, live)
                self.say(f"{live}: {count} to {number} instances, {load:.0f} requests in flight")
                with contextlib.suppress(DeployError):
                    await self._fleet.resize(live, number)

    async def _resume(self) -> None:
        """End or undo a rollout that nobody works at any more."""
        failures = 0
        while True:
            await asyncio.sleep(min(60.0, 2.0 * 2**failures))
            if not self.settings.unfinished() or _lease.held(self.folder).is_held(time.time()):
                failures = 0
                continue
            self.say("A rollout was left half done: " + " ".join(self.settings.resume))
            await run_command(self.settings.resume, self.folder)
            failures = failures + 1 if self.settings.unfinished() else 0

    # What is asked of it: the target's Protocol

    def _fence(self, token: int) -> None:
        newest = max(self._fleet.state.token, _lease.held(self.folder).token)
        if token < newest:
            raise Fenced(
                f"Token {token} is older than {newest}: another deployer has taken over since."
                " Nothing was changed."
            )
        self._note(token=token)

    async def observe(self) -> Observation:
        """What is so now."""
        await self.meter.look()
        state = self._fleet.state
        return Observation(
            at=datetime.now(UTC),
            environments={
                name: Environment(
                    name=name,
                    release=state[name].release,
                    wanted=state[name].instances,
                    instances=tuple(each.instance for each in self._fleet.of(name)),
                    share=state[name].share,
                    in_flight=self.meter.flying[name],
                    counts=self.meter.counts(name),
                )
                for name in NAMES
            },
            total=self.meter.counts("total"),
            bounds=BOUNDS,
            minimum=state.minimum,
            maximum=state.maximum,
            address=self.settings.listen,
            page=self.settings.page or "",
        )

    @property
    def sockets(self) -> Path:
        """The directory of the sockets."""
        return run_directory(self.folder)

    async def start(self, name: Name, release: Release, instances: int, token: int) -> None:
        """See `Target.start`."""
        async with self._changing:
            self._fence(token)
            if not 1 <= instances <= SLOTS:
                raise TargetError(f"{instances} instances: an environment has 1 to {SLOTS}.")
            self._without_traffic(name)
            await self._fleet.start(name, release, instances)

    async def stop(self, name: Name, token: int) -> None:
        """See `Target.stop`."""
        async with self._changing:
            self._fence(token)
            self._without_traffic(name)
            await self._fleet.empty(name)

    def _without_traffic(self, name: Name) -> None:
        if share := self._fleet.state[name].share:
            raise TargetError(
                f"{name} has {share} % of the traffic: shift it to {other(name)} first."
            )

    async def shift(self, shares: Mapping[Name, int], token: int) -> None:
        """See `Target.shift`."""
        async with self._changing:
            self._fence(token)
            full: dict[Name, int] = {name: shares.get(name, 0) for name in NAMES}
            if sum(full.values()) != 100 or min(full.values()) < 0:
                raise TargetError(f"The shares {dict(shares)} are not percent that add up to 100.")
            for name, share in full.items():
                if share and not any(
                    each.healthy and not each.draining for each in self._fleet.of(name)
                ):
                    raise TargetError(
                        f"{name} has no healthy instance to give {share} % of the traffic to."
                        f" Its log: ogrom logs {name}"
                    )
            for name, share in full.items():
                self._fleet.want(name, share=share)
            self._save()
            await self._tell()

    async def _tell(self) -> None:
        """Until HAProxy has heard it: one that is being started again reads it at its start."""
        until = time.monotonic() + 5
        while True:
            try:
                return await self._proxy.tell()
            except TargetError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.05)

    async def scale(self, minimum: int, maximum: int) -> None:
        """See `Target.scale`."""
        if not 1 <= minimum <= maximum <= SLOTS:
            raise TargetError(f"{minimum}..{maximum} instances: write 1 to {SLOTS}, rising.")
        async with self._changing:
            self._note(minimum=minimum, maximum=maximum)
            live = self._fleet.state.live
            if live is not None:
                await self._fleet.resize(live, self._within(live))
            self._save()

    async def ask(
        self, name: Name, method: str, path: str, fields: Mapping[str, str]
    ) -> list[Answer]:
        """See `Target.ask`."""
        runners = [each for each in self._fleet.of(name) if not each.draining]
        return list(await asyncio.gather(*(each.ask(method, path, fields) for each in runners)))

    async def tail(self, name: Name, lines: int) -> str:
        """See `Target.tail`. Each line begins with the instance that wrote it."""
        files = sorted(
            (self.folder / "logs").glob(f"{name}-*.log"),
            key=lambda file: (len(file.name), file.name),
        )
        some = [(file.stem, _logs.tail(file, lines)) for file in files]
        each = max(1, lines // max(1, sum(bool(said) for _, said in some)))
        return "".join(f"{name} | {line}\n" for name, said in some for line in said[-each:])
