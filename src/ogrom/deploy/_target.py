"""What a target is: a place where one release is live, with a proxy that shares traffic out.

    production            a target
    ├── blue   9f3c2e1    an environment: N instances of one release
    └── green  (idle)     the other one; a rollout fills it, then moves the traffic

A rollout speaks to this Protocol alone, so that one machine and a cloud are deployed to in the same
way. All that changes something is idempotent, and carries the fencing token of the lease that its
caller holds: a target refuses a token that is older than the newest it has seen, so that a deployer
that was thought dead can no longer change anything.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

Name = Literal["blue", "green"]
"""Which of a target's two environments."""

NAMES: tuple[Name, Name] = ("blue", "green")


def other(name: Name) -> Name:
    """The environment that is not this one."""
    return "green" if name == "blue" else "blue"


class DeployError(Exception):
    """It cannot be done; the message says why and what to do.

    DeployError
    ├── ArtifactError   whoever builds: a commit, an artifact or the store is not right
    ├── TargetError     whoever runs the target: it does not answer, or cannot do what it is asked
    │   └── Fenced      nobody: another deployer has taken over since
    └── LeaseHeld       nobody: another deployer is at work; wait for it
    """


class ArtifactError(DeployError):
    """A commit, an artifact or the store is not right."""


class TargetError(DeployError):
    """The target does not answer, or cannot do what it is asked."""


class Fenced(TargetError):
    """The caller's fencing token is older than the newest that the target has seen."""


class LeaseHeld(DeployError):
    """Another deployer is at work."""


class Release(Struct, frozen=True):
    """One artifact, by what it was made of and what it is."""

    commit: str
    """The full commit id; of a tree without git, `tree-` and a hash of its content."""
    sha256: str
    """Of the artifact's bytes."""
    path: str
    """Where the artifact lies, as the target can read it."""


class Instance(Struct, frozen=True):
    """One process (or machine) of an environment."""

    number: int
    state: Literal["starting", "healthy", "unhealthy", "draining", "restarting", "stopped"]
    pid: int | None = None
    started: datetime | None = None
    restarts: int = 0
    detail: str = ""
    """The last thing that its health check or its end said; short."""


class Counts(Struct, frozen=True):
    """What an environment has answered since some beginning. It only ever grows."""

    requests: int = 0
    errors: int = 0
    """Answers of 500 and above, and requests that got none at all."""
    buckets: tuple[int, ...] = ()
    """Requests by time taken: how many fell up to each of the observation's `bounds`; one more is above all."""


class Environment(Struct, frozen=True):
    """One of the two environments, as it is now."""

    name: Name
    release: Release | None = None
    wanted: int = 0
    """How many instances there are to be."""
    instances: tuple[Instance, ...] = ()
    share: int = 0
    """Percent of the traffic that it is given."""
    in_flight: int = 0
    counts: Counts = Counts()

    @property
    def healthy(self) -> int:
        """How many instances are."""
        return sum(instance.state == "healthy" for instance in self.instances)


class Observation(Struct, frozen=True):
    """All that is known of a target at one moment."""

    at: datetime
    environments: Mapping[Name, Environment]
    total: Counts
    """What clients got from the proxy, whoever answered: the proof is counted by it."""
    bounds: tuple[float, ...]
    """Upper bounds of the buckets, in seconds, rising."""
    minimum: int = 1
    maximum: int = 1
    """How many instances the live environment may be scaled to."""
    address: str = ""
    """Where clients connect: `127.0.0.1:8080`."""
    page: str = ""
    """Where the target can be looked at; "" where it cannot."""

    @property
    def live(self) -> Environment | None:
        """The environment with the larger share of the traffic; None where none has any."""
        best = max(self.environments.values(), key=lambda each: each.share)
        return best if best.share else None


class Answer(Struct, frozen=True):
    """How one instance answered one request that was put to it past the proxy."""

    instance: int
    status: int
    """0 where there was no answer."""
    seconds: float
    detail: str = ""
    """The beginning of the content of an error, or why there was no answer."""


class Target(Protocol):
    """Where a release is live. Everything raises TargetError where the target does not answer.

    `token` is the fencing token of the caller's lease; a stale one raises Fenced.
    """

    @property
    def name(self) -> str:
        """Such as `production`."""
        ...

    def lease(self, holder: str, *, wait: float = 0) -> "AbstractAsyncContextManager[Lease]":
        """Be the only deployer. Renewed in the background while the block runs.

        Args:
            holder: who and what, for others to read: `anna@host, pid 12, deploy 9f3c2e1`.
            wait: for how many seconds another's lease is waited for.

        Raises:
            LeaseHeld: another has it; the message names the holder, and what to do.
        """
        ...

    async def observe(self) -> Observation:
        """What is so now."""
        ...

    async def start(self, name: Name, release: Release, instances: int, *, token: int) -> None:
        """Have so many instances of the release in an environment that has no traffic.

        Verifies the artifact's sha256 before anything of it runs. Returns when the processes have
        been started, not when they are healthy. What ran there before is ended first, unless it is
        this very release. They are not restarted when they die before they were healthy once.

        Raises:
            ArtifactError: the artifact is missing or is not what the release says.
            TargetError: the environment has traffic, the disk is full, …
        """
        ...

    async def ask(
        self, name: Name, method: str, path: str, fields: Mapping[str, str]
    ) -> list[Answer]:
        """Put one request to every instance of the environment, past the proxy; one answer each."""
        ...

    async def shift(self, shares: Mapping[Name, int], *, token: int) -> None:
        """Share the traffic out, in percent that add up to 100. An environment with 0 drains.

        Raises:
            TargetError: an environment that is to have traffic has no healthy instance.
        """
        ...

    async def stop(self, name: Name, *, token: int) -> None:
        """End an environment that has no traffic: its processes get SIGTERM, then time to answer."""
        ...

    async def scale(self, minimum: int, maximum: int) -> None:
        """How many instances the live environment may have; it has as many at once."""
        ...

    async def tail(self, name: Name, lines: int) -> str:
        """The end of the environment's log."""
        ...


class Lease(Protocol):
    """The right to deploy to one target, for a while."""

    @property
    def token(self) -> int:
        """The fencing token: larger than that of every lease before."""
        ...

    def check(self) -> None:
        """Raise Fenced if the lease was lost. Asked before each step."""
        ...
