"""How many instances are wanted, from how busy they are: a pure function of the last minutes."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct


class Policy(Struct, frozen=True):
    """When instances are added and taken away."""

    most: float = 6.0
    """Requests in flight for each instance above which more are wanted."""
    least: float = 2.5
    """Requests in flight for each of those that would be left, below which one is too many."""
    up_seconds: float = 3.0
    """How long it must have been too busy: more come fast."""
    down_seconds: float = 60.0
    """How long it must have been idle: less come slowly, one at a time."""


class Busy(Struct, frozen=True):
    """One second of the live environment."""

    at: float
    in_flight: float
    instances: int
    """How many there were wanted to be."""


POLICY: Final = Policy()


def wanted(
    history: Sequence[Busy], now: float, bounds: tuple[int, int], policy: Policy = POLICY
) -> int:
    """How many instances there should be.

    Args:
        history: oldest first, about one a second; the last tells how many there are.
        now: the time, on the history's clock.
        bounds: the least and the most that there may be.
        policy: when they are added and taken away.

    Returns: as many as bear the load of the last seconds, if that is more; one less if so many would
        have borne that of the last minute, throughout which their number was the same.
    """
    least, most = bounds
    if not history:
        return least
    current = history[-1].instances
    clamped = min(max(current, least), most)
    if clamped != current:
        return clamped
    recent = _since(history, now - policy.up_seconds)
    if _covers(recent, now, policy.up_seconds):
        load = _mean(recent)
        if load > policy.most * current:
            return min(most, max(current + 1, -int(-load // policy.most)))
    calm = _since(history, now - policy.down_seconds)
    if (
        current > least
        and _covers(calm, now, policy.down_seconds)
        and all(each.instances == current for each in calm)
        and _mean(calm) < policy.least * (current - 1)
        and _mean(recent) < policy.least * (current - 1)
    ):
        return current - 1
    return current


def _since(history: Sequence[Busy], start: float) -> Sequence[Busy]:
    return [each for each in history if each.at >= start]


def _covers(some: Sequence[Busy], now: float, seconds: float) -> bool:
    """Whether it tells of nearly all of that time; not where we have just begun to look."""
    return len(some) > 1 and now - some[0].at >= seconds - 1.5


def _mean(some: Sequence[Busy]) -> float:
    return sum(each.in_flight for each in some) / len(some) if some else 0.0
