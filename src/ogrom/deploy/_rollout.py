"""The rollout as a table: which step follows which when it works, and when it fails.

Rule 1. Nothing that serves is touched before the new environment is healthy and warm.
Rule 2. Every step either works or fails, and both lead on: no step is the end of the way.
Rule 3. Until all traffic has been moved and watched, failing leads back to what was before; from
        then on it leads forward, for there is nothing left to be afraid of.
Rule 4. A step may be done twice. So whoever finds a rollout half done goes on from where it stopped.
Rule 5. What was planned is what is done: a plan is this table, unrolled for one release.

This file knows neither a target nor a clock. `_steps.py` says what each step does, `_walk.py` obeys.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, cast

from msgspec import Struct
from msgspec.structs import replace

from ogrom.deploy._target import Environment, Name, Observation, Release, other

StepName = Literal[
    "start", "check", "warm", "shift", "watch", "drain", "retire", "shift_back", "discard"
]
End = Literal["live", "unchanged", "stuck"]
"""How a rollout ends: the new release serves; the old one does; a human has to look."""

ENDS: Final[tuple[End, ...]] = ("live", "unchanged", "stuck")


class Row(Struct, frozen=True):
    """One step of the table."""

    works: StepName | End
    fails: StepName | End
    again: StepName | None = None
    """What follows success as long as there are weights left to shift to."""


ROLLOUT: Final[Mapping[StepName, Row]] = {
    # step               if it works   if it fails    while weights are left
    "start":      Row("check",     "discard"),
    "check":      Row("warm",      "discard"),
    "warm":       Row("shift",     "discard"),
    "shift":      Row("watch",     "shift_back"),
    "watch":      Row("drain",     "shift_back",  "shift"),
    "drain":      Row("retire",    "retire"),
    "retire":     Row("live",      "live"),
    "shift_back": Row("discard",   "stuck"),
    "discard":    Row("unchanged", "stuck"),
}  # fmt: skip

MEANING: Final[Mapping[StepName, str]] = {
    "start": "verify the artifact, start as many instances as the live environment has",
    "check": "wait until all of them are healthy",
    "warm": "put the declared requests to each of them, past the proxy, until the tail settles",
    "shift": "give the new environment its share of the traffic",
    "watch": "compare errors and latency of new and old; go back if the new is worse",
    "drain": "wait until the old environment has answered its last request",
    "retire": "keep the old environment ready for `ogrom rollback`, without traffic",
    "shift_back": "give all traffic back to the old environment",
    "discard": "end the new environment",
}

GOES_BACK: Final[frozenset[StepName]] = frozenset({"shift_back", "discard"})
"""The steps of Rule 3's way back. They are done even where they cannot be written down."""

GOES_ON: Final[frozenset[StepName]] = frozenset({"drain", "retire"})
"""The steps after which there is no way back."""


class Request(Struct, frozen=True, omit_defaults=True):
    """A request to warm an instance with."""

    path: str
    method: str = "GET"
    fields: Mapping[str, str] = {}


class Settings(Struct, frozen=True):
    """How long a rollout takes its time. All times are in seconds."""

    weights: tuple[int, ...] = (5, 25, 100)
    """The shares of the traffic, in percent, that the new release gets one after the other."""
    start_seconds: float = 30
    """Within which all instances have to be healthy."""
    health: str = "/-/ready"
    warm_seconds: float = 5
    """How long the instances are warmed at most."""
    warm_requests: int = 2000
    """How many requests one instance is warmed with at most."""
    watch_seconds: float = 1
    """How long each share is watched at least."""
    watch_most: float = 10
    """How long each share is watched at most while it is not sure whether the release is worse."""
    drain_seconds: float = 30
    """How long the old environment may take to answer what it has."""
    back_seconds: float = 15
    """How long going back is tried again while the target does not answer."""


class Step(Struct, frozen=True, omit_defaults=True):
    """One step of a plan, with its arguments, and where it leads."""

    id: str
    """`check`, `watch 25`: unique in its plan."""
    name: StepName
    environment: Name
    works: str
    """The id of the step that follows success, or how the rollout ends."""
    fails: str
    share: int | None = None
    """Of shift and watch: the percent of the traffic that the environment has."""
    least: float = 0
    """How many seconds it takes at least, at most."""
    most: float = 0
    last: bool = False
    """Of watch: that no larger share follows, so that it has to be sure now."""


class Plan(Struct, frozen=True, omit_defaults=True):
    """A whole rollout: what is printed, what is done, and what the journal begins with."""

    kind: Literal["deploy", "rollback"]
    release: Release
    environment: Name
    """Where the release is to run."""
    instances: int
    steps: tuple[Step, ...]
    """In the order of success, then those of the way back."""
    old: Release | None = None
    """What serves now, in the other environment."""
    requests: tuple[Request, ...] = ()
    most_requests: int = 2000
    health: str = "/-/ready"

    @property
    def old_environment(self) -> Name:
        """The environment that the traffic leaves."""
        return other(self.environment)

    def step(self, id: str) -> Step:
        """The step of that id. KeyError if there is none."""
        for step in self.steps:
            if step.id == id:
                return step
        raise KeyError(id)


def plan(
    observation: Observation,
    release: Release,
    settings: Settings,
    *,
    kind: Literal["deploy", "rollback"] = "deploy",
    requests: tuple[Request, ...] = (),
) -> Plan | None:
    """What has to be done so that a release serves; None where it does already.

    A rollback gives all traffic at once to what served before, and warms it for a second only.
    Where nothing serves yet, or what serves has no healthy instance, there is nothing to compare
    with and nothing to go back to: the plan is shorter.
    """
    live = observation.live
    if live is not None and live.share == 100 and same(live.release, release) and live.healthy:
        return None
    if kind == "rollback":
        settings = replace(settings, weights=(100,), warm_seconds=min(1, settings.warm_seconds))
    if live is None or not live.healthy:
        settings = replace(settings, weights=(100,))
    into = _into(observation, live, release)
    prepared = observation.environments[into]
    return Plan(
        kind=kind,
        release=release,
        environment=into,
        instances=live.wanted if live is not None and live.wanted else observation.minimum,
        steps=_unroll(into, settings, lambda name: _applies(name, live, prepared, release)),
        old=live.release if live is not None else None,
        requests=requests,
        most_requests=settings.warm_requests,
        health=settings.health,
    )


def _into(observation: Observation, live: Environment | None, release: Release) -> Name:
    """The environment without traffic; of two, the one that has the release already."""
    if live is not None:
        return other(live.name)
    green = observation.environments["green"]
    return "green" if same(green.release, release) else "blue"


def _applies(
    name: StepName, live: Environment | None, prepared: Environment, release: Release
) -> bool:
    match name:
        case "start":
            return not ready(prepared, release)
        case "watch" | "shift_back":
            return live is not None and live.healthy > 0
        case "drain" | "retire":
            return live is not None
        case _:
            return True


def ready(environment: Environment, release: Release) -> bool:
    """Whether all instances of an environment are healthy, and of that release."""
    wanted = environment.wanted
    return same(environment.release, release) and 0 < wanted <= environment.healthy


def same(one: Release | None, another: Release | None) -> bool:
    """Whether both are the same artifact, wherever it lies."""
    return one is not None and another is not None and one.sha256 == another.sha256


def _unroll(
    into: Name, settings: Settings, applies: Callable[[StepName], bool]
) -> tuple[Step, ...]:
    """The way through the table: that of success first, then that back."""
    weights = list(settings.weights)
    path: list[tuple[StepName, int | None]] = []
    follow: StepName | End = "start"
    while follow not in ENDS:
        name = cast("StepName", follow)
        if name == "shift":
            share: int | None = weights.pop(0)
        elif name != "watch":
            share = None
        else:
            share = path[-1][1]
        if applies(name):
            path.append((name, share))
        row = ROLLOUT[name]
        follow = row.again if row.again is not None and weights else row.works
    forward = len(path)
    path.extend((back, None) for back in ROLLOUT if back in GOES_BACK and applies(back))
    steps: list[Step] = []
    for place, (name, share) in enumerate(path):
        if place + 1 < len(path) and place + 1 != forward:
            works = _id(*path[place + 1])
        else:
            works = ROLLOUT[name].works if name in GOES_BACK else "live"
        steps.append(
            Step(
                id=_id(name, share),
                name=name,
                environment=other(into) if name in {"drain", "retire", "shift_back"} else into,
                works=works,
                fails=_applying(ROLLOUT[name].fails, applies),
                share=share,
                last=name == "watch" and share == settings.weights[-1],
                **_times(name, settings),
            )
        )
    return tuple(steps)


def _applying(name: str, applies: Callable[[StepName], bool]) -> str:
    """A step that does not apply is as one that worked."""
    while name not in ENDS and not applies(cast("StepName", name)):
        name = ROLLOUT[cast("StepName", name)].works
    return name


def _id(name: StepName, share: int | None) -> str:
    return name if share is None else f"{name} {share}"


def _times(name: StepName, settings: Settings) -> Mapping[str, Any]:
    match name:
        case "check":
            return {"most": settings.start_seconds}
        case "warm":
            return {"most": settings.warm_seconds}
        case "watch":
            return {"least": settings.watch_seconds, "most": settings.watch_most}
        case "drain":
            return {"most": settings.drain_seconds}
        case "shift_back" | "discard":
            return {"most": settings.back_seconds}
        case _:
            return {}
