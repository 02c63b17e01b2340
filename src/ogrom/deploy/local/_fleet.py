"""The instances of both environments, as they are wanted, and what is known of them on the disk.

Whoever wants something of them writes it into the state first: should we be killed in between, the
next `ogrom up` reads it there and goes on.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from ogrom.deploy._launch import Launch
from ogrom.deploy._target import NAMES, DeployError, Name, Release, TargetError
from ogrom.deploy.local import _haproxy as haproxy
from ogrom.deploy.local import _logs
from ogrom.deploy.local._instance import Place, Runner
from ogrom.deploy.local._state import (
    SLOTS,
    Identity,
    Slot,
    State,
    read,
    run_directory,
    with_environment,
    write,
)

Launcher = Callable[[Release], Launch]
"""Verifies a release and says how it is started; may take its time. Raises ArtifactError."""


class Fleet:
    """All instances of a target. Mutable: it follows them as they come and go.

    Args:
        folder: the target's.
        launcher: says how a release is started.
        in_flight: how many requests a server has, once HAProxy has been told that it drains; None
            where that is not known.
        drain_seconds: how long requests in flight may take before an instance is told to end.
        stop_seconds: how long it may take to end after that.
        changed: called when something has happened to an instance.
        say: told what users should know.
    """

    def __init__(
        self,
        folder: Path,
        launcher: Launcher,
        *,
        in_flight: Callable[[str], Awaitable[int | None]],
        drain_seconds: float,
        stop_seconds: float,
        changed: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self.state = read(folder / "state.json", State, State())
        self._folder: Final = folder
        self._run: Final = run_directory(folder)
        self._launcher: Final = launcher
        self._in_flight: Final = in_flight
        self._drain_seconds: Final = drain_seconds
        self._stop_seconds: Final = stop_seconds
        self._changed: Final = changed
        self._say: Final = say
        self._saved: State | None = None
        self._runners: dict[Name, dict[int, Runner]] = {name: {} for name in NAMES}
        self._launches: dict[Name, Launch | None] = dict.fromkeys(NAMES)
        self._retiring: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Runner]:
        """All instances, of both environments."""
        return iter([each for name in NAMES for each in self._runners[name].values()])

    def of(self, name: Name) -> list[Runner]:
        """An environment's instances, by their numbers."""
        return [each for _, each in sorted(self._runners[name].items())]

    # What is wanted

    def want(self, name: Name, **changes: object) -> None:
        """Note what an environment is to be; `save` writes it down."""
        wanted = msgspec.structs.replace(self.state[name], **changes)
        self.state = with_environment(self.state, name, wanted)

    def save(self) -> None:
        """Write down what is wanted and what is known, if that is new.

        Raises:
            TargetError: it cannot be written.
        """
        state = self.state
        for name in NAMES:
            slots = {number: each.slot for number, each in self._runners[name].items()}
            state = with_environment(state, name, msgspec.structs.replace(state[name], slots=slots))
        if state != self._saved:
            write(self._folder / "state.json", state)
            self.state = self._saved = state

    def known(self) -> set[Identity | None]:
        """The processes that the state tells of."""
        slots = (slot for name in NAMES for slot in self.state[name].slots.values())
        return {self.state.proxy, *(slot.process for slot in slots)}

    def servers(self) -> haproxy.Servers:
        """How HAProxy is to treat each server now.

        An instance takes part when it is healthy. Where none of its environment is, those that were
        once take part still: HAProxy's own checks find the first that is well again.
        """
        taking = {name: _taking(self._runners[name].values()) for name in NAMES}
        shares: dict[Name, int] = {name: self.state[name].share for name in NAMES}
        weights = haproxy.weights(shares, {name: len(taking[name]) for name in NAMES})
        return {
            each.place.server: (
                haproxy.Server("ready", weights[each.place.name])
                if each in taking[each.place.name] and shares[each.place.name]
                else haproxy.Server("drain")
            )
            for each in self
        }

    # What is done about it

    async def find(self, name: Name) -> None:
        """Find or start what an environment has to have."""
        wanted = self.state[name]
        if wanted.release is None:
            return
        try:
            self._launches[name] = await asyncio.to_thread(self._launcher, wanted.release)
        except DeployError as error:
            self._say(f"{name}: {error}")
        slots = dict(wanted.slots)
        for number in range(1, SLOTS + 1):
            if len(slots) >= wanted.instances:
                break
            slots.setdefault(number, Slot())
        for number, slot in slots.items():
            try:
                self._runner(name, number, wanted.release, slot).begin()
            except DeployError as error:
                self._say(str(error))

    async def start(self, name: Name, release: Release, count: int) -> None:
        """Have so many instances of a release; those of another one end first.

        Raises:
            ArtifactError: the release cannot be verified.
            TargetError: they cannot be started. The environment is empty then.
        """
        launch = await asyncio.to_thread(self._launcher, release)
        if self.state[name].release != release:
            await self.empty(name)
        for each in [each for each in self.of(name) if each.stopped]:
            await self._remove(each)
        self._launches[name] = launch
        if not self._runners[name]:
            for number in range(1, SLOTS + 1):
                _logs.begin(Place(self._folder, self._run, name, number).log)
        self.want(name, release=release)
        try:
            await self.resize(name, count)
        except TargetError:
            await self.empty(name)
            raise

    async def resize(self, name: Name, count: int) -> None:
        """Have so many instances: start what lacks, drain and end what is too much.

        Raises:
            TargetError: one cannot be started.
        """
        release = self.state[name].release
        assert release is not None
        self.want(name, instances=count)
        there = [each for each in self.of(name) if not each.draining]
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
        self.save()
        self._changed()

    async def empty(self, name: Name) -> None:
        """End all of an environment."""
        for each in self.of(name):
            each.draining = True
        await asyncio.gather(*(self._retire(each) for each in self.of(name)))
        self.want(name, release=None, instances=0)
        self.save()
        self._changed()

    async def end(self) -> None:
        """End all of both; what is wanted stays as it was."""
        await asyncio.gather(
            *(each.end(self._stop_seconds) for each in self), return_exceptions=True
        )
        for task in self._retiring:
            task.cancel()
        self.save()

    def _runner(self, name: Name, number: int, release: Release, slot: Slot | None) -> Runner:
        made = self._runners[name][number] = Runner(
            Place(self._folder, self._run, name, number),
            release,
            self._launches[name],
            self._changed,
            slot=slot,
        )
        return made

    async def _retire(self, runner: Runner) -> None:
        """Drain, wait for its last request, end it: nothing that it has is lost."""
        until = time.monotonic() + self._drain_seconds
        while time.monotonic() < until and not runner.stopped:
            with contextlib.suppress(TargetError):
                if await self._in_flight(runner.place.server) == 0:
                    break
            await asyncio.sleep(0.05)
        await self._remove(runner)

    async def _remove(self, runner: Runner) -> None:
        await runner.end(self._stop_seconds)
        if self._runners[runner.place.name].get(runner.place.number) is runner:
            del self._runners[runner.place.name][runner.place.number]
        self._changed()


def _taking(runners: Iterable[Runner]) -> list[Runner]:
    there = [each for each in runners if not each.draining]
    healthy = [each for each in there if each.healthy]
    return healthy or [each for each in there if each.slot.proven and not each.stopped]
