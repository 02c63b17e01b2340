"""What each step of a rollout does. Each may be done twice, and says what came of it in a few words.

A step that fails raises, with a message that says why; where that leads to is the table's business.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from msgspec import Struct

from ogrom.deploy._journal import Marks
from ogrom.deploy._judge import Verdict, delta, judge, percentile, settled, tell
from ogrom.deploy._rollout import Plan, Request, Step, StepName, same
from ogrom.deploy._target import (
    Answer,
    ArtifactError,
    Counts,
    DeployError,
    Environment,
    Fenced,
    Lease,
    Name,
    Observation,
    Target,
    TargetError,
)

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing (RFC 9110 section 9.2.1): only these are sent to warm."""
WINDOW: Final = 40
"""How many warm-up requests of one instance are looked at together."""
FAILED: Final = 500
TAIL: Final = 10
"""How many lines of the log a failure shows."""


class StepFailed(DeployError):
    """A step did not work; the message says why."""


class Clock(Struct, frozen=True):
    """What time it is, and waiting. Tests have a clock of their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Run:
    """What a step has to do with. Changes: `marks`, as the new release gets its first share."""

    def __init__(
        self,
        target: Target,
        plan: Plan,
        lease: Lease,
        before: Marks,
        *,
        clock: Clock,
        say: Callable[[str], None],
        marks: Marks | None = None,
    ) -> None:
        self.target = target
        self.plan = plan
        self.lease = lease
        self.before = before
        self.marks = marks
        self.clock = clock
        self.say = say


Act = Callable[[Run, Step], Awaitable[str]]


def marks(observation: Observation) -> Marks:
    """All counts of an observation."""
    return Marks(
        observation.total,
        {name: each.counts for name, each in observation.environments.items()},
    )


async def start(run: Run, step: Step) -> str:
    """Verify the artifact and start its instances. What is broken of it already is ended first."""
    plan, token = run.plan, run.lease.token
    there = (await run.target.observe()).environments[step.environment]
    broken = any(each.state not in {"starting", "healthy"} for each in there.instances)
    if same(there.release, plan.release) and (broken or there.wanted != plan.instances):
        await run.target.stop(step.environment, token=token)
    await run.target.start(step.environment, plan.release, plan.instances, token=token)
    return f"{plan.instances} of {plan.instances} started"


async def check(run: Run, step: Step) -> str:
    """Wait until all instances are healthy."""
    began = run.clock.now()
    while True:
        there = (await run.target.observe()).environments[step.environment]
        wanted, took = run.plan.instances, run.clock.now() - began
        if same(there.release, run.plan.release) and there.healthy >= wanted:
            return f"{there.healthy} of {wanted} healthy after {took:.1f} s"
        ended = [each for each in there.instances if each.state == "stopped"]
        if ended and same(there.release, run.plan.release):
            said = ended[0].detail or "it ended"
            raise StepFailed(await _with_tail(run, step, f"instance {ended[0].number}: {said}"))
        if took >= step.most:
            raise StepFailed(await _with_tail(run, step, await _unhealthy(run, there, took)))
        run.say(f"{there.healthy} of {wanted} healthy, {took:.0f} s")
        await run.clock.sleep(0.1)


async def _unhealthy(run: Run, there: Environment, took: float) -> str:
    """What the instances answer instead of being healthy, asked once more."""
    path, lines = run.plan.health, list[str]()
    try:
        async with asyncio.timeout(5):
            answers = await run.target.ask(there.name, "GET", path, {})
    except (TargetError, TimeoutError):
        answers = []
    for answer in answers:
        if answer.status == 0:
            lines.append(
                f"GET {path} got no answer for {took:.0f} s: {answer.detail or 'it hangs'}"
            )
        elif answer.status >= 400:
            lines.append(
                f'GET {path} answered {answer.status} for {took:.0f} s: "{answer.detail.strip()}"'
            )
    if not lines:
        lines = [
            f"instance {each.number} was {each.state} for {took:.0f} s"
            + (f": {each.detail}" if each.detail else "")
            for each in there.instances
            if each.state != "healthy"
        ] or [f"none of {run.plan.instances} instances was there after {took:.0f} s"]
    return "; ".join(dict.fromkeys(lines))


async def _with_tail(run: Run, step: Step, message: str) -> str:
    try:
        tail = (await run.target.tail(step.environment, TAIL)).rstrip()
    except TargetError:
        tail = ""
    if not tail:
        return message
    indented = "\n".join(f"    {line}" for line in tail.splitlines()[-TAIL:])
    return f"{message}\nThe end of {step.environment}'s log:\n{indented}"


async def warm(run: Run, step: Step) -> str:
    """Put the declared requests to every instance, round after round, until the tail settles."""
    plan = run.plan
    requests = [each for each in plan.requests if each.method.upper() in SAFE]
    left_out = len(plan.requests) - len(requests)
    note = f"; {left_out} left out: they would change something" if left_out else ""
    if not requests:
        return f'nothing to warm with: write warm = ["GET /…"] in [tool.ogrom]{note}'
    times: dict[int, list[float]] = {}
    refused = 0
    began = run.clock.now()
    while True:
        for request in requests:
            for answer in await run.target.ask(
                step.environment, request.method.upper(), request.path, request.fields
            ):
                _refuse_failure(request, answer)
                refused += answer.status >= 400
                times.setdefault(answer.instance, []).append(answer.seconds)
        took, asked = run.clock.now() - began, sum(map(len, times.values()))
        window = max(WINDOW, len(requests))
        done = all(settled(each, window=window) for each in times.values())
        if done or took >= step.most or asked >= plan.most_requests * max(1, len(times)):
            break
        run.say(f"{asked} requests")
    first = max((each[0] for each in times.values()), default=0)
    tail = percentile([seconds for each in times.values() for seconds in each[-window:]], 0.99)
    if refused:
        note += f"; {refused} answered 4xx: see `warm` in pyproject.toml"
    return f"{asked} requests, p99 {tail * 1000:.0f} ms (first: {first * 1000:.0f} ms){note}"


def _refuse_failure(request: Request, answer: Answer) -> None:
    what = f"{request.method.upper()} {request.path}"
    if answer.status >= FAILED:
        raise StepFailed(
            f"{what} was answered {answer.status} by instance {answer.instance}: "
            f'"{answer.detail.strip()}"'
        )
    if answer.status == 0:
        raise StepFailed(f"{what} got no answer from instance {answer.instance}: {answer.detail}")


async def shift(run: Run, step: Step) -> str:
    """Give the new environment its share."""
    share = step.share or 0
    shares: Mapping[Name, int] = {
        step.environment: share,
        run.plan.old_environment: 100 - share,
    }
    await run.target.shift(shares, token=run.lease.token)
    if share == 100:
        return f"{run.plan.old_environment} -> {step.environment}" if run.plan.old else "100 %"
    return f"{share} %"


async def watch(run: Run, step: Step) -> str:
    """Compare new and old since the first share, until the time is up and the verdict is clear.

    A verdict of bad has to last for the least time, so that a burst as traffic moves condemns nobody.
    """
    began = run.clock.now()
    name = step.environment
    restarts = -1
    bad_since: float | None = None
    while True:
        observation = await run.target.observe()
        run.lease.check()
        took = run.clock.now() - began
        there = observation.environments[name]
        if restarts < 0:
            restarts = _restarts(there)
        await _refuse_dead(run, step, there, restarts)
        old, new = _since(run, observation)
        verdict = judge(old, new, observation.bounds)
        if verdict.says != "bad":
            bad_since = None
        elif bad_since is None:
            bad_since = took
        lasts = bad_since is not None and took - bad_since >= step.least
        if lasts or (took >= step.most and verdict.leans == "bad"):
            raise StepFailed(f"with {step.share} % of the traffic, {verdict.why}")
        told = f"{tell(new, observation.bounds)} ({run.plan.old_environment}: {tell(old, observation.bounds)})"
        if took >= step.least and _enough(step, verdict, new, took):
            return told if new.requests else f"no traffic in {took:.0f} s, so nothing to compare"
        run.say(told)
        await run.clock.sleep(0.1)


def _enough(step: Step, verdict: Verdict, new: Counts, took: float) -> bool:
    """Whether the least time was long enough. To be sure, a small share needs no more time but a larger share."""
    if verdict.says == "good" or not new.requests or took >= step.most:
        return True
    return not step.last and verdict.leans == "good" and not new.errors


async def _refuse_dead(run: Run, step: Step, there: Environment, restarts: int) -> None:
    gone = [each for each in there.instances if each.state not in {"healthy", "starting"}]
    if gone:
        said = f"instance {gone[0].number} became {gone[0].state}: {gone[0].detail}".rstrip(": ")
    elif there.healthy < 1 or _restarts(there) > restarts:
        said = "an instance died"
    else:
        return
    raise StepFailed(await _with_tail(run, step, f"with {step.share} % of the traffic, {said}"))


def _restarts(there: Environment) -> int:
    return sum(each.restarts for each in there.instances)


def _since(run: Run, observation: Observation) -> tuple[Counts, Counts]:
    """What old and new answered since the new one's first share.

    Where the old one has answered little since then, as when all traffic moves at once, what it
    answered during the whole rollout is the reference.
    """
    name, old_name = run.plan.environment, run.plan.old_environment
    base = run.marks or run.before
    now = {each: observation.environments[each].counts for each in (name, old_name)}
    new = delta(now[name], base.environments.get(name, Counts()))
    old = delta(now[old_name], base.environments.get(old_name, Counts()))
    if old.requests < max(100, new.requests // 4):
        old = delta(now[old_name], run.before.environments.get(old_name, Counts()))
    return old, new


async def drain(run: Run, step: Step) -> str:
    """Wait until the old environment has nothing in flight."""
    began = run.clock.now()
    most_seen = 0
    while True:
        left = (await run.target.observe()).environments[step.environment].in_flight
        most_seen, took = max(most_seen, left), run.clock.now() - began
        if not left:
            return f"{most_seen} in flight, all answered, {took:.1f} s"
        if took >= step.most:
            raise StepFailed(
                f"{left} of {most_seen} requests were not answered within {took:.0f} s; "
                f"{step.environment} goes on with them"
            )
        run.say(f"{left} in flight")
        await run.clock.sleep(0.05)


async def retire(run: Run, step: Step) -> str:
    """Keep the old environment, or end it where it is of no use."""
    there = (await run.target.observe()).environments[step.environment]
    if there.healthy:
        return f"{there.healthy} of {there.wanted} kept for ogrom rollback"
    await run.target.stop(step.environment, token=run.lease.token)
    return "ended"


async def shift_back(run: Run, step: Step) -> str:
    """Give all traffic back; tried again while the target or the old environment does not answer."""
    shares: Mapping[Name, int] = {step.environment: 100, run.plan.environment: 0}

    async def back() -> None:
        await run.target.shift(shares, token=run.lease.token)

    await _patiently(run, step, back)
    return f"{run.plan.environment} -> {step.environment}"


async def discard(run: Run, step: Step) -> str:
    """End the new environment; tried again while the target does not answer."""

    async def end() -> None:
        await run.target.stop(step.environment, token=run.lease.token)

    await _patiently(run, step, end)
    return "ended"


async def _patiently(run: Run, step: Step, act: Callable[[], Awaitable[None]]) -> None:
    began = run.clock.now()
    while True:
        try:
            return await act()
        except (Fenced, ArtifactError):
            raise
        except TargetError as problem:
            if run.clock.now() - began >= step.most:
                raise
            run.say(f"again: {problem}")
            await run.clock.sleep(0.5)


ACTS: Final[Mapping[StepName, Act]] = {
    "start": start,
    "check": check,
    "warm": warm,
    "shift": shift,
    "watch": watch,
    "drain": drain,
    "retire": retire,
    "shift_back": shift_back,
    "discard": discard,
}
