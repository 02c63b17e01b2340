"""A rollout whose deployer is gone: does it go on, or back? A pure function of its journal."""

from typing import Literal

from msgspec import Struct

from ogrom.deploy._journal import Record
from ogrom.deploy._rollout import GOES_BACK, GOES_ON, same
from ogrom.deploy._target import Observation, Release


class Decision(Struct, frozen=True):
    """Where an unfinished rollout is taken up again."""

    what: Literal["finish", "resume", "undo"]
    at: str
    """The id of a step of its plan, or of an end."""
    why: str


def decide(record: Record, observation: Observation, asked: Release | None) -> Decision:
    """What becomes of it.

        all traffic moved and watched        finish: only draining and retiring are left
        going back had begun                 undo
        the same release is asked for again  resume, unless something failed or is not healthy
        otherwise                            undo

    Args:
        record: its journal.
        observation: what is so now.
        asked: the release that is to be deployed next; None if none is.
    """
    plan = record.first.plan
    step, at = record.next()
    follows = next((each for each in plan.steps if each.id == at), None)
    if at == "stuck" and step is not None:
        return Decision("undo", step.id, "it was stuck on its way back")
    if follows is None:
        return Decision("finish" if at == "live" else "undo", at, "it had all been done")
    if follows.name in GOES_ON:
        return Decision("finish", at, "all traffic had been moved and watched")
    if follows.name in GOES_BACK:
        return Decision("undo", at, "it was going back")
    if step is None:
        return Decision("undo", "unchanged", "nothing had been done")
    there = observation.environments[plan.environment]
    well = all(each.state in {"healthy", "starting"} for each in there.instances)
    if same(asked, plan.release) and well and not record.failures:
        if not there.share:
            return Decision("resume", plan.steps[0].id, "it is asked for again")
        if there.healthy and same(there.release, plan.release):
            return Decision("resume", at, "it is asked for again, and is well")
    return Decision("undo", follows.fails, f"it was at {at!r}, with traffic not yet all moved")
