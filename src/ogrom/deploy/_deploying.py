"""A deploy from beginning to end: the lease, what another left undone, the plan, the walk, the proof.

$OGROM_HOME/targets/production/
├── rollouts/     a journal for each
└── history.jsonl
"""

import asyncio
import contextlib
import getpass
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ogrom.deploy import _history as history
from ogrom.deploy import _journal as journal
from ogrom.deploy._journal import First, Journal, Line, Record
from ogrom.deploy._judge import delta
from ogrom.deploy._recovery import Decision, decide
from ogrom.deploy._rollout import End, Plan, Request, Settings, plan, same
from ogrom.deploy._source import short
from ogrom.deploy._steps import Clock, Run, marks
from ogrom.deploy._target import (
    Counts,
    DeployError,
    Lease,
    Observation,
    Release,
    Target,
    other,
)
from ogrom.deploy._walk import Event, Report, Walked, Walker

Kind = Literal["deploy", "rollback"]


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What came of it."""

    result: Literal["live", "already", "unchanged", "stuck", "nothing"]
    """`already`: it served before; `nothing`: there was nothing to do."""
    message: str
    """What people are told at the end, with what to do next."""
    entry: history.Entry | None = None

    @property
    def status(self) -> int:
        """The exit status: 0 it is as was asked, 1 nothing has changed, 3 a human has to look."""
        return {"stuck": 3, "unchanged": 1}.get(self.result, 0)


class Place(Struct, frozen=True):
    """Where journals and history of one target are."""

    folder: Path

    @property
    def rollouts(self) -> Path:
        """The journals."""
        return self.folder / "rollouts"

    @property
    def history(self) -> Path:
        """All that has ended."""
        return self.folder / "history.jsonl"


def place(home: Path, target: str) -> Place:
    """Where the journals and the history of a target are."""
    return Place(home / "targets" / target)


def who() -> tuple[str, str]:
    """Who deploys, and on which machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    return user, socket.gethostname()


def _unheard(_: object) -> None:
    """Tell nobody."""


class Deployer:
    """Deploys to one target. Tells what happens by `report` and `note`; stops in order when `stop` is set.

    Args:
        target: where to.
        home: `$OGROM_HOME`.
        settings: how long it takes its time.
        report: is told what happens in the steps.
        note: is told whatever else is worth a line.
        wait: for how many seconds another deployer is waited for.
    """

    def __init__(
        self,
        target: Target,
        home: Path,
        settings: Settings,
        *,
        report: Report = _unheard,
        note: Callable[[str], None] = _unheard,
        wait: float = 0,
        clock: Clock = Clock(),  # noqa: B008 - frozen
    ) -> None:
        self._target = target
        self._place = place(home, target.name)
        self._settings = settings
        self._report = report
        self._note = note
        self._wait = wait
        self._clock = clock
        self.stop = asyncio.Event()

    async def plan(self, release: Release, requests: tuple[Request, ...] = ()) -> Plan | None:
        """What `deploy` would do now; None if nothing. Touches nothing."""
        return plan(await self._target.observe(), release, self._settings, requests=requests)

    async def plan_rollback(self, requests: tuple[Request, ...] = ()) -> Plan | None:
        """What `rollback` would do now; None if nothing. Touches nothing."""
        observation = await self._target.observe()
        back = self._before(observation)
        if back is None:
            return None
        return plan(observation, back, self._settings, kind="rollback", requests=requests)

    async def deploy(self, release: Release, requests: tuple[Request, ...] = ()) -> Outcome:
        """Have a release serve.

        Raises:
            LeaseHeld: another is at work.
            Fenced: another has taken over.
            TargetError: the target does not answer; nothing was begun.
        """
        async with self._target.lease(_holder("deploy", release), wait=self._wait) as lease:
            left = await self._recover(lease, release)
            if left is not None and (left.result == "stuck" or _is_live(left, release)):
                return left
            return await self._roll(lease, release, "deploy", requests)

    async def rollback(self, requests: tuple[Request, ...] = ()) -> Outcome:
        """Have the release serve again that was live and healthy before the present one. Raises as `deploy`."""
        async with self._target.lease(_holder("rollback"), wait=self._wait) as lease:
            left = await self._recover(lease, None)
            if left is not None and left.result == "stuck":
                return left
            back = self._before(await self._target.observe())
            if back is None:
                return Outcome(
                    "nothing",
                    "There is nothing to go back to: no other release was live here. "
                    "See ogrom history, or deploy a commit: ogrom deploy COMMIT",
                )
            return await self._roll(lease, back, "rollback", requests)

    async def resume(self) -> Outcome:
        """End or undo what a deployer that is gone has left. Raises as `deploy`."""
        async with self._target.lease(_holder("resume"), wait=self._wait) as lease:
            left = await self._recover(lease, None)
        if left is None:
            return Outcome("nothing", "Nothing to resume: no rollout was left unfinished.")
        if left.result == "unchanged":  # that is what was asked for
            return Outcome("nothing", left.message, left.entry)
        return left

    def unfinished(self) -> Record | None:
        """The rollout that is under way, or was left by a deployer that is gone."""
        return journal.unfinished(self._place.rollouts)

    def _before(self, observation: Observation) -> Release | None:
        """What a rollback goes to: as the history says; where it says nothing, what is kept."""
        entries = history.read(self._place.history)
        back = history.before(entries)
        live = observation.live
        if live is not None and not any(each.result == "live" for each in entries):
            kept = observation.environments[other(live.name)]
            back = kept.release if kept.healthy and not same(kept.release, live.release) else None
        return back

    async def _roll(
        self, lease: Lease, release: Release, kind: Kind, requests: tuple[Request, ...]
    ) -> Outcome:
        observation = await self._target.observe()
        planned = plan(observation, release, self._settings, kind=kind, requests=requests)
        if planned is None:
            live = observation.live
            assert live is not None
            return Outcome(
                "already",
                f"{short(release.commit)} is live already, in {live.name}. Nothing to do.",
            )
        user, host = who()
        first = First(
            plan=planned,
            holder=_holder(kind, release),
            who=user,
            host=host,
            at=journal.now(),
            before=marks(observation),
        )
        lease.check()
        begun = Journal.begin(self._place.rollouts, first)
        return await self._walk(lease, begun, Record(begun.path, first), planned.steps[0].id)

    async def _recover(self, lease: Lease, asked: Release | None) -> Outcome | None:
        """Take up what another deployer has left; None if there is nothing."""
        record = self.unfinished()
        if record is None:
            return None
        decision = decide(record, await self._target.observe(), asked)
        self._note(_taken_up(record, decision))
        return await self._walk(lease, Journal(record.path), record, decision.at, decision)

    async def _walk(
        self,
        lease: Lease,
        file: Journal,
        record: Record,
        at: str,
        decision: Decision | None = None,
    ) -> Outcome:
        planned = record.first.plan
        run = Run(
            self._target,
            planned,
            lease,
            record.first.before,
            clock=self._clock,
            say=_unheard,
            marks=record.marks,
        )
        began = self._clock.now()
        with contextlib.closing(file):
            walked = await Walker(run, file, self._report, stop=self.stop).walk(at)
            earlier = (
                *record.failures,
                *((decision.why,) if decision is not None and decision.what == "undo" else ()),
            )
            entry = await self._entry(record, walked, earlier, self._clock.now() - began)
            try:
                history.write(self._place.history, entry)
                if entry.result != "stuck":  # whoever comes next tries again
                    file.write(Line(at=journal.now(), end=entry.result))
            except OSError as problem:
                self._note(
                    f"The history cannot be written ({problem}). Make room for "
                    f"{self._place.folder}; the next ogrom command writes it again."
                )
        return Outcome(entry.result, _message(planned, entry, walked), entry)

    async def _entry(
        self, record: Record, walked: Walked, earlier: tuple[str, ...], seconds: float
    ) -> history.Entry:
        planned, first = record.first.plan, record.first
        total, by_new = Counts(), Counts()
        with contextlib.suppress(DeployError):  # a target that is lost tells no figures
            after = marks(await self._target.observe())
            total = delta(after.total, first.before.total)
            by_new = delta(
                after.environments[planned.environment],
                (record.marks or first.before).environments.get(planned.environment, Counts()),
            )
        end: End = "stuck"
        if walked.end in {"live", "unchanged"}:
            end = "live" if walked.end == "live" else "unchanged"
        reasons = (*earlier, *(f"{step.id}: {why}" for step, why in walked.failures))
        return history.Entry(
            id=record.id,
            kind=planned.kind,
            result=end,
            who=first.who,
            host=first.host,
            at=first.at,
            seconds=round(seconds, 3),
            release=planned.release,
            environment=planned.environment,
            old=planned.old,
            steps={name: round(took, 3) for name, took in walked.seconds.items()},
            requests=total.requests,
            failed=total.errors,
            failed_by_new=by_new.errors,
            reason="; ".join(reasons),
        )


def _holder(what: str, release: Release | None = None) -> str:
    user, host = who()
    return f"{user}@{host}, pid {os.getpid()}, {what} {short(release.commit) if release else ''}".rstrip()


def _is_live(outcome: Outcome, release: Release) -> bool:
    entry = outcome.entry
    return outcome.result == "live" and entry is not None and same(entry.release, release)


def _taken_up(record: Record, decision: Decision) -> str:
    begins = {
        "finish": "Finishing",
        "resume": "Going on with",
        "undo": "Undoing",
    }[decision.what]
    return f"{begins} the {record.first.plan.kind} that was left by {record.first.holder}: {decision.why}."


def _message(planned: Plan, entry: history.Entry, walked: Walked) -> str:
    new, into, old_name = (
        short(planned.release.commit),
        planned.environment,
        planned.old_environment,
    )
    proof = f"{entry.failed:,} of {entry.requests:,} requests failed"
    if entry.failed_by_new:
        proof += f", {entry.failed_by_new:,} of them answered by {new}"
    if entry.result == "live":
        back = " To go back: ogrom rollback" if planned.old and planned.kind == "deploy" else ""
        return f"{new} is live; {proof}.{back}"
    serves = (
        f"{old_name} ({short(planned.old.commit)}) still serves"
        if planned.old
        else "nothing serves yet"
    )
    if entry.result == "unchanged":
        return f"Nothing changed: {serves}; {proof}. {into.capitalize()}'s log: ogrom logs {into}"
    why = walked.failures[-1][1] if walked.failures else entry.reason
    return (
        f"Stuck, and you are needed: {why}\n"
        f"Traffic is as the target had it last. See ogrom status and ogrom logs {old_name}; when the "
        "target runs (ogrom up) and the old environment is healthy, go back with: ogrom resume"
    )


__all__ = ["Deployer", "Event", "Outcome", "Place", "place", "who"]
