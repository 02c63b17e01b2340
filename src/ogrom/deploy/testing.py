"""A target in memory that keeps the Protocol, with traffic and a clock of its own, for tests.

target = FakeTarget({"bad": Behaviour(errors=0.05)})
Deployer(target, home, Settings(), clock=target.clock)
"""

import random
from bisect import bisect_left
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from ogrom.deploy._rollout import same
from ogrom.deploy._steps import Clock
from ogrom.deploy._target import (
    NAMES,
    Answer,
    ArtifactError,
    Counts,
    Environment,
    Fenced,
    Instance,
    LeaseHeld,
    Name,
    Observation,
    Release,
    TargetError,
)

__all__ = ["Behaviour", "FakeLease", "FakeTarget", "release"]

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Behaviour(Struct, frozen=True):
    """How the instances of a release are."""

    ready_after: float | None = 0.5
    """Seconds until they are healthy; None: never."""
    starts: bool = True
    intact: bool = True
    errors: float = 0.0
    """Which share of the requests fails."""
    seconds: float = 0.02
    """How long a request takes in the middle."""


class FakeLease:
    """A lease that is lost as soon as another has a newer one."""

    def __init__(self, target: "FakeTarget", token: int, holder: str) -> None:
        self._target, self._token, self.holder = target, token, holder

    @property
    def token(self) -> int:
        """The fencing token."""
        return self._token

    def check(self) -> None:
        """Raise Fenced if it was lost."""
        self._target.fence(self._token)


class FakeTarget:
    """Two environments in memory. All of it changes; `clock` moves when somebody sleeps on it."""

    def __init__(
        self,
        behaviours: Mapping[str, Behaviour] | None = None,
        *,
        name: str = "production",
        rate: float = 300,
        seed: int = 1,
    ) -> None:
        self.name = name
        self.behaviours = dict(behaviours or {})
        self.rate = rate
        self.seconds = 0.0
        self.lost = False
        self.acts: list[str] = []
        self.clock = Clock(lambda: self.seconds, self.sleep)
        self.environments: dict[Name, Environment] = {each: Environment(each) for each in NAMES}
        self.total = Counts(buckets=(0,) * (len(BOUNDS) + 1))
        self._since: dict[Name, float] = {}
        self._random = random.Random(seed)  # noqa: S311 - traffic, no secret
        self._token = 0
        self._held: FakeLease | None = None

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and traffic with it."""
        self.seconds += seconds
        for name, environment in self.environments.items():
            wanted = self.rate * seconds * environment.share / 100
            whole = int(wanted) + (self._random.random() < wanted % 1)
            self.environments[name] = self._answered(self._aged(environment), whole)

    def _behaviour(self, found: Release | None) -> Behaviour:
        return self.behaviours.get(found.commit if found else "", Behaviour())

    def _aged(self, environment: Environment) -> Environment:
        after = self._behaviour(environment.release).ready_after
        ready = after is not None and self.seconds - self._since.get(environment.name, 0) >= after
        return replace(
            environment,
            instances=tuple(
                replace(each, state="healthy") if each.state == "starting" and ready else each
                for each in environment.instances
            ),
        )

    def _answered(self, environment: Environment, requests: int) -> Environment:
        behaviour, counts = self._behaviour(environment.release), environment.counts
        buckets = list(counts.buckets or (0,) * (len(BOUNDS) + 1))
        total, errors = list(self.total.buckets), 0
        for _ in range(requests):
            place = bisect_left(BOUNDS, behaviour.seconds * self._random.lognormvariate(0, 0.4))
            buckets[place] += 1
            total[place] += 1
            errors += self._random.random() < behaviour.errors
        self.total = Counts(
            self.total.requests + requests, self.total.errors + errors, tuple(total)
        )
        counts = Counts(counts.requests + requests, counts.errors + errors, tuple(buckets))
        return replace(environment, counts=counts)

    @asynccontextmanager
    async def lease(self, holder: str, *, wait: float = 0) -> AsyncGenerator[FakeLease, None]:
        """Be the only deployer."""
        until = self.seconds + wait
        while self._held is not None and self.seconds < until:
            await self.sleep(0.5)
        if self._held is not None:
            raise LeaseHeld(f"{self._held.holder} deploys to {self.name}; wait with --wait 60")
        self._token += 1
        mine = self._held = FakeLease(self, self._token, holder)
        try:
            yield mine
        finally:
            if self._held is mine:
                self._held = None

    def expire(self) -> None:
        """The lease runs out, as if its holder had been stopped; whoever takes the next fences it."""
        self._held = None

    def fence(self, token: int) -> None:
        """Refuse a token that is older than the newest."""
        if token < self._token:
            raise Fenced("another deployer has taken over")

    def _act(self, what: str, token: int) -> None:
        if self.lost:
            raise TargetError("the target does not answer; start it: ogrom up")
        self.fence(token)
        self.acts.append(what)

    async def observe(self) -> Observation:
        """What is so now."""
        if self.lost:
            raise TargetError("the target does not answer; start it: ogrom up")
        at = BEGINNING + timedelta(seconds=self.seconds)
        return Observation(at, dict(self.environments), self.total, BOUNDS, 2, 2)

    async def start(self, name: Name, release: Release, instances: int, *, token: int) -> None:
        """Have instances of a release."""
        self._act(f"start {name} {release.commit}", token)
        environment, behaviour = self.environments[name], self._behaviour(release)
        if environment.share:
            raise TargetError(f"{name} has traffic")
        if not behaviour.intact:
            raise ArtifactError(f"the artifact of {release.commit} is corrupt; build it again")
        if same(environment.release, release):
            return
        state: Literal["starting", "stopped"] = "starting" if behaviour.starts else "stopped"
        self._since[name] = self.seconds
        started = tuple(Instance(each, state, detail="" if behaviour.starts else "exit status 1")
                        for each in range(1, instances + 1))  # fmt: skip
        self.environments[name] = replace(
            environment, release=release, wanted=instances, instances=started
        )

    async def ask(
        self, name: Name, method: str, path: str, fields: Mapping[str, str]
    ) -> list[Answer]:
        """One request to each instance."""
        del method, fields
        environment = self.environments[name]
        behaviour = self._behaviour(environment.release)
        self.seconds += 0.005
        if path == "/-/ready" and not environment.healthy:
            return [
                Answer(each.number, 500, 0.01, "no such column") for each in environment.instances
            ]
        status = 500 if behaviour.errors == 1 else 200
        return [Answer(each.number, status, behaviour.seconds) for each in environment.instances]

    async def shift(self, shares: Mapping[Name, int], *, token: int) -> None:
        """Share the traffic out."""
        self._act(f"shift {' '.join(f'{name}={share}' for name, share in shares.items())}", token)
        for name, share in shares.items():
            if share and not self.environments[name].healthy:
                raise TargetError(f"{name} has no healthy instance")
        for name, share in shares.items():
            self.environments[name] = replace(self.environments[name], share=share)

    async def stop(self, name: Name, *, token: int) -> None:
        """End an environment."""
        self._act(f"stop {name}", token)
        if self.environments[name].share:
            raise TargetError(f"{name} has traffic")
        self.environments[name] = Environment(name, counts=self.environments[name].counts)

    async def scale(self, minimum: int, maximum: int) -> None:
        """Not limited here."""
        del minimum, maximum

    async def tail(self, name: Name, lines: int) -> str:
        """The end of a log."""
        del lines
        return f"log of {name}\n"


def release(commit: str) -> Release:
    """A release of which only the name matters."""
    return Release(commit, f"sha-{commit}", f"/store/{commit}")
