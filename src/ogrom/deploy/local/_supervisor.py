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
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ogrom.deploy._launch import Launch
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
from ogrom.deploy.local import _lease, _logs, _scale
from ogrom.deploy.local._counts import BOUNDS, Ledger, Sample, Tally
from ogrom.deploy.local._instance import Place, Runner
from ogrom.deploy.local._process import identity, is_alive, marked
from ogrom.deploy.local._proxy import Proxy
from ogrom.deploy.local._state import (
    SLOTS,
    Slot,
    State,
    read,
    run_directory,
    with_environment,
    write,
)

Launcher = Callable[[Release], Launch]
"""Verifies a release and says how it is started; may take its time. Raises ArtifactError."""


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
        self.samples: Final[set[asyncio.Queue[Sample]]] = set()
        self._launcher = launcher
        self._state = State(minimum=settings.minimum, maximum=settings.maximum)
        self._saved: State | None = None
        self._runners: dict[Name, dict[int, Runner]] = {name: {} for name in NAMES}
        self._launches: dict[Name, Launch | None] = dict.fromkeys(NAMES)
        self._dirty = asyncio.Event()
        self._changing = asyncio.Lock()
        self._busy: deque[_scale.Busy] = deque(maxlen=120)
        self._flying: dict[Name, int] = dict.fromkeys(NAMES, 0)
        self._retiring: set[asyncio.Task[None]] = set()
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
        run = run_directory(self.folder)
        self._state = read(self.folder / "state.json", State, self._state)
        self._tally = Tally(read(self.folder / "counts.json", Ledger, Ledger()))
        self._proxy = Proxy(
            program,
            self.settings.listen,
            self.folder,
            run,
            wanted=self.servers,
            changed=self._changed,
            say=self.say,
        )
        self._run = run
        await self._put_away_strays()
        for name in NAMES:
            await self._find(name)
        await self._proxy.begin(self._state.proxy)
        for name in NAMES:  # some may have been about to end when we were killed
            if self._state[name].release is not None:
                await self._resize(name, self._state[name].instances)
        self._changed()
        self._save()

    async def _put_away_strays(self) -> None:
        """End what was started and could not be noted before we were killed."""
        known = {slot.process for name in NAMES for slot in self._state[name].slots.values()}
        known.add(self._state.proxy)
        for mark, pids in marked(f"{self.folder}/").items():
            for pid in pids:
                found = identity(pid)
                if found is None or found in known:
                    continue
                if mark == f"{self.folder}/haproxy" and not (
                    self._state.proxy and is_alive(self._state.proxy)
                ):
                    self._state = msgspec.structs.replace(self._state, proxy=found)
                    continue
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    async def _find(self, name: Name) -> None:
        """Find or start what an environment has to have."""
        wanted = self._state[name]
        if wanted.release is None:
            return
        try:
            self._launches[name] = await asyncio.to_thread(self._launcher, wanted.release)
        except DeployError as error:
            self.say(f"{name}: {error}")
        slots = dict(wanted.slots)
        for number in range(1, SLOTS + 1):
            if len(slots) >= wanted.instances:
                break
            slots.setdefault(number, Slot())
        for number, slot in slots.items():
            try:
                self._runner(name, number, wanted.release, slot).begin()
            except DeployError as error:
                self.say(str(error))

    async def _end(self) -> None:
        settings = self.settings
        await self._proxy.end(settings.drain_seconds)
        await asyncio.gather(
            *(each.end(settings.stop_seconds) for each in self._all()), return_exceptions=True
        )
        for task in self._retiring:
            task.cancel()
        self._save()
        self.say(f"{settings.name} is down. `ogrom up {settings.name}` starts it again as it was.")

    def _all(self) -> list[Runner]:
        return [each for name in NAMES for each in self._runners[name].values()]

    def _runner(self, name: Name, number: int, release: Release, slot: Slot | None) -> Runner:
        made = self._runners[name][number] = Runner(
            Place(self.folder, self._run, name, number),
            release,
            self._launches[name],
            self._changed,
            slot=slot,
        )
        return made

    def _changed(self) -> None:
        self._dirty.set()

    def _save(self) -> None:
        state = msgspec.structs.replace(self._state, proxy=self._proxy.known)
        for name in NAMES:
            slots = {number: each.slot for number, each in self._runners[name].items()}
            state = with_environment(state, name, msgspec.structs.replace(state[name], slots=slots))
        if state != self._saved:
            write(self.folder / "state.json", state)
            self._state = self._saved = state

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
        for runner in self._all():
            server, instance = runner.place.server, runner.instance
            line = f"{server} {instance.state}"
            if self._told.get(server) != line:
                self._told[server] = line
                bad = instance.state in {"unhealthy", "restarting", "stopped"}
                self.say(f"{line}: {instance.detail}" if bad and instance.detail else line)

    async def _every_second(self) -> None:
        while True:
            await asyncio.sleep(1 - time.time() % 1)
            await self._measure()
            shares: dict[Name, int] = {name: self._state[name].share for name in NAMES}
            sample = self._tally.sample(time.time(), shares, self._flying)
            for queue in self.samples:
                queue.put_nowait(sample)
            with contextlib.suppress(TargetError):
                write(self.folder / "counts.json", self._tally.ledger, durable=False)
            for runner in self._all():
                _logs.rotate(runner.place.log)
            await self._autoscale(sample)

    async def _measure(self) -> None:
        """Take in what HAProxy knows. While it is being started again, that is nothing new."""
        self._tally.read(self._proxy.log)
        try:
            found, known = await self._proxy.stats(), self._proxy.known
        except TargetError:
            return
        self._tally.took(found, known)
        self._flying = {name: each.in_flight for name, each in haproxy.sums(found).items()}

    async def _autoscale(self, sample: Sample) -> None:
        live = self._state.live
        bounds = (self._state.minimum, self._state.maximum)
        if live is None or self._state[live].share < 100 or self._changing.locked():
            self._busy.clear()  # while traffic is shared out nothing is compared
            return
        count = self._state[live].instances
        load = max(sample.busy[live], float(self._flying[live]))
        self._busy.append(_scale.Busy(sample.at, load, count))
        number = _scale.wanted(self._busy, sample.at, bounds)
        if number != count:
            async with self._changing:
                self.say(f"{live}: {count} to {number} instances, {load:.0f} requests in flight")
                with contextlib.suppress(DeployError):
                    await self._resize(live, number)

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

    # What HAProxy is to do

    def servers(self) -> haproxy.Servers:
        """How each server is wanted now.

        An instance takes part when it is healthy. Where none of its environment is, those that were
        once take part still: HAProxy's own checks find the first that is well again.
        """
        taking = {name: self._taking(self._runners[name].values()) for name in NAMES}
        shares: dict[Name, int] = {name: self._state[name].share for name in NAMES}
        weights = haproxy.weights(shares, {name: len(taking[name]) for name in NAMES})
        return {
            each.place.server: (
                haproxy.Server("ready", weights[each.place.name])
                if each in taking[each.place.name] and shares[each.place.name]
                else haproxy.Server("drain")
            )
            for each in self._all()
        }

    @staticmethod
    def _taking(runners: Iterable[Runner]) -> list[Runner]:
        there = [each for each in runners if not each.draining]
        healthy = [each for each in there if each.healthy]
        return healthy or [each for each in there if each.slot.proven and not each.stopped]

    # What is asked of it: the target's Protocol

    def _fence(self, token: int) -> None:
        newest = max(self._state.token, _lease.held(self.folder).token)
        if token < newest:
            raise Fenced(
                f"Token {token} is older than {newest}: another deployer has taken over since."
                " Nothing was changed."
            )
        self._state = msgspec.structs.replace(self._state, token=token)

    def _want(self, name: Name, **changes: object) -> None:
        wanted = msgspec.structs.replace(self._state[name], **changes)
        self._state = with_environment(self._state, name, wanted)

    async def observe(self) -> Observation:
        """What is so now."""
        await self._measure()
        state = self._state
        return Observation(
            at=datetime.now(UTC),
            environments={
                name: Environment(
                    name=name,
                    release=state[name].release,
                    wanted=state[name].instances,
                    instances=tuple(
                        each.instance for _, each in sorted(self._runners[name].items())
                    ),
                    share=state[name].share,
                    in_flight=self._flying[name],
                    counts=self._tally.counts(name),
                )
                for name in NAMES
            },
            total=self._tally.counts("total"),
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

    @property
    def series(self) -> Sequence[Sample]:
        """The last ten minutes, a second each."""
        return tuple(self._tally.series)

    async def start(self, name: Name, release: Release, instances: int, token: int) -> None:
        """See `Target.start`."""
        async with self._changing:
            self._fence(token)
            if not 1 <= instances <= SLOTS:
                raise TargetError(f"{instances} instances: an environment has 1 to {SLOTS}.")
            self._without_traffic(name)
            launch = await asyncio.to_thread(self._launcher, release)
            if self._state[name].release != release:
                await self._empty(name)
            for each in [each for each in self._runners[name].values() if each.stopped]:
                await self._remove(each)
            self._launches[name] = launch
            if not self._runners[name]:
                for number in range(1, SLOTS + 1):
                    _logs.begin(Place(self.folder, self._run, name, number).log)
            self._want(name, release=release)
            try:
                await self._resize(name, instances)
            except TargetError:
                await self._empty(name)
                raise

    async def stop(self, name: Name, token: int) -> None:
        """See `Target.stop`."""
        async with self._changing:
            self._fence(token)
            self._without_traffic(name)
            await self._empty(name)

    def _without_traffic(self, name: Name) -> None:
        if share := self._state[name].share:
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
                    each.healthy and not each.draining for each in self._runners[name].values()
                ):
                    raise TargetError(
                        f"{name} has no healthy instance to give {share} % of the traffic to."
                        f" Its log: ogrom logs {name}"
                    )
            for name, share in full.items():
                self._want(name, share=share)
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
            self._state = msgspec.structs.replace(self._state, minimum=minimum, maximum=maximum)
            live = self._state.live
            if live is not None:
                count = self._state[live].instances
                await self._resize(live, min(max(count, minimum), maximum))
            self._save()

    async def ask(
        self, name: Name, method: str, path: str, fields: Mapping[str, str]
    ) -> list[Answer]:
        """See `Target.ask`."""
        runners = [each for _, each in sorted(self._runners[name].items()) if not each.draining]
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

    # How it is done

    async def _resize(self, name: Name, count: int) -> None:
        """Have so many instances: start what lacks, drain and end what is too much."""
        release = self._state[name].release
        assert release is not None
        self._want(name, instances=count)
        there = sorted(
            (each for each in self._runners[name].values() if not each.draining),
            key=lambda each: each.place.number,
        )
        for each in there[count:]:
            each.draining = True
            task = asyncio.create_task(self._retire(each))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        free = (number for number in range(1, SLOTS + 1) if number not in self._runners[name])
        for _ in range(count - len(there)):
            number = next(free, None)
            if number is None:
                raise TargetError(
                    f"{name}: instances that are ending still take the places. Again."
                )
            runner = self._runner(name, number, release, None)
            try:
                runner.begin()
            except TargetError:
                del self._runners[name][number]
                raise
        self._save()
        self._changed()

    async def _empty(self, name: Name) -> None:
        """End all of an environment."""
        for each in self._runners[name].values():
            each.draining = True
        await asyncio.gather(*(self._retire(each) for each in list(self._runners[name].values())))
        self._want(name, release=None, instances=0)
        self._save()
        self._changed()

    async def _retire(self, runner: Runner) -> None:
        """Drain, wait for its last request, end it: nothing that it has is lost."""
        until = time.monotonic() + self.settings.drain_seconds
        while time.monotonic() < until and not runner.stopped:
            with contextlib.suppress(TargetError):
                await self._proxy.tell()
                stat = (await self._proxy.stats()).get(runner.place.server)
                if stat is not None and not stat.in_flight:
                    break
            await asyncio.sleep(0.05)
        await self._remove(runner)

    async def _remove(self, runner: Runner) -> None:
        await runner.end(self.settings.stop_seconds)
        if self._runners[runner.place.name].get(runner.place.number) is runner:
            del self._runners[runner.place.name][runner.place.number]
            self._told.pop(runner.place.server, None)
        self._changed()


async def run_command(command: Sequence[str], folder: Path) -> int:
    """Run one of our commands in a process of its own; its exit status. Its words: a log of its own."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    with (folder / "logs" / "commands.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return await process.wait()
