"""Is the new release worse than the old one, and are its instances warm? Pure functions of figures.

A canary gets few requests, and is looked at again and again. So it is judged by Wald's sequential
probability ratio test (Sequential Tests of Statistical Hypotheses, 1945), which may be asked after
every request without condemning more often for it. Each request speaks for or against "the new
release is worse", by how likely it would be if it were so, and if it were not:

    evidence = sum of log(P(request | worse) / P(request | as good))

    above  +CONDEMNS   bad: a release that is as good gets here once in 200 rollouts
    below  -ACQUITS    good: a release that is worse gets here once in 100
    between            unsure: watch longer; at the end, lean to the likelier

It is asked twice: how many requests failed, and how many took longer than the old release's slow ones
do. "Worse" are 2.5 points more of errors (from 0.2 % to 2.7 %), and twice the time.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from ogrom.deploy._target import Counts

CONDEMNS: Final = math.log(0.99 / 0.005)
ACQUITS: Final = math.log(0.995 / 0.01)
LEANS: Final = math.log(10)
"""When time is up: one release in ten is worse, before anything is known of it."""

TOLERATED: Final = 0.005
"""The share of errors that an old release without one is held to have."""
WORSE_BY: Final = 0.025
"""So many more errors, as a share of all requests, are worse."""
SLOWER: Final = 2.0
"""So many times the old release's time is worse."""
NOTICED: Final = 0.002
"""Seconds. Nobody notices a request that takes less, however much longer it takes than before."""
TOGETHER: Final = 4
"""Slow requests come in bursts, which share one cause: so many speak as one."""
REFERENCE: Final = 30
"""Fewer requests than this of the old release say nothing of how long its requests take."""


class Verdict(Struct, frozen=True):
    """What is to be thought of the new release."""

    says: Literal["good", "bad", "unsure"]
    leans: Literal["good", "bad"]
    """What is likelier, where there is no more time to become sure."""
    why: str = ""
    """What is wrong with it, of a bad one or one that leans to bad."""


def delta(now: Counts, before: Counts) -> Counts:
    """What came on top since `before`. Counts that began anew are taken as they are."""
    if now.requests < before.requests or now.errors < before.errors:
        return now
    had = before.buckets or (0,) * len(now.buckets)
    return Counts(
        now.requests - before.requests,
        now.errors - before.errors,
        tuple(max(0, new - old) for new, old in zip(now.buckets, had, strict=True)),
    )


def judge(old: Counts, new: Counts, bounds: Sequence[float]) -> Verdict:
    """Compare what both have answered since the new release had its first share.

    Args:
        old: what the old release answered meanwhile; without requests, there is no reference.
        new: what the new one did.
        bounds: upper bounds of the buckets of both, in seconds, rising.
    """
    errors = _errors(old, new)
    slow = _slow(old, new, bounds)
    if errors > CONDEMNS or slow > CONDEMNS:
        says: Literal["good", "bad", "unsure"] = "bad"
    elif errors < -ACQUITS and slow < -ACQUITS:
        says = "good"
    else:
        says = "unsure"
    leans: Literal["good", "bad"] = "bad" if max(errors, slow) > LEANS else "good"
    if leans == "good" and says != "bad":
        return Verdict(says, leans)
    return Verdict(says, "bad", _why(old, new, bounds, slower=slow > errors))


def _errors(old: Counts, new: Counts) -> float:
    """The evidence that the new release fails more often."""
    as_good = _upper(old.errors, old.requests) if old.errors else TOLERATED
    as_good = min(0.9, max(TOLERATED, as_good))
    worse = min(0.99, as_good + max(WORSE_BY, as_good / 2))
    return _evidence(new.errors, new.requests, as_good, worse)


def _slow(old: Counts, new: Counts, bounds: Sequence[float]) -> float:
    """The evidence that the new release takes twice as long; sure that it does not, if it can't tell.

    The old release's times say which share of requests takes longer than a bound, and so which share
    would if all took twice as long. The bound is taken where the two differ most.
    """
    if sum(old.buckets) < REFERENCE:
        return -math.inf
    best, chosen = 0.0, (1.0, 1.0, 0)
    for place, bound in enumerate(bounds):
        if bound < NOTICED:
            continue
        as_good = _above(old.buckets, bounds, bound)
        worse = _above(old.buckets, bounds, bound / SLOWER)
        as_good = max(as_good, 1 / (sum(old.buckets) + 2), 0.01)
        worse = min(0.99, worse)
        gain = _gain(as_good, worse) if worse > as_good else 0
        if gain > best:
            best, chosen = gain, (as_good, worse, place)
    as_good, worse, place = chosen
    if best < 0.02:  # all that the old one answers is too quick to be told apart
        return -math.inf
    total, above = sum(new.buckets), sum(new.buckets[place + 1 :])
    return _evidence(above, total, as_good, worse) / TOGETHER


def _evidence(hits: int, total: int, as_good: float, worse: float) -> float:
    return hits * math.log(worse / as_good) + (total - hits) * math.log((1 - worse) / (1 - as_good))


def _gain(as_good: float, worse: float) -> float:
    """What one request tells on average (Kullback-Leibler), if the new release is worse."""
    return worse * math.log(worse / as_good) + (1 - worse) * math.log((1 - worse) / (1 - as_good))


def _upper(hits: int, total: int) -> float:
    """The upper end of Wilson's interval of one standard deviation."""
    share = hits / total
    width = math.sqrt(share * (1 - share) / total + 1 / (4 * total * total))
    return (share + 1 / (2 * total) + width) / (1 + 1 / total)


def _above(buckets: Sequence[int], bounds: Sequence[float], value: float) -> float:
    """Which share took longer than `value`, evenly spread within a bucket."""
    total, above = sum(buckets), float(buckets[-1])
    lower = 0.0
    for bound, count in zip(bounds, buckets, strict=False):
        if value <= lower:
            above += count
        elif value < bound:
            above += count * (bound - value) / (bound - lower)
        lower = bound
    return above / total


def quantile(counts: Counts, bounds: Sequence[float], share: float) -> float:
    """The time within which that share of the requests was answered, in seconds; 0 without any."""
    total = sum(counts.buckets)
    seen, lower = 0.0, 0.0
    for bound, count in zip((*bounds, bounds[-1] if bounds else 0.0), counts.buckets, strict=True):
        if count and seen + count >= share * total:
            return lower + (bound - lower) * (share * total - seen) / count
        seen, lower = seen + count, bound
    return 0.0


def tell(counts: Counts, bounds: Sequence[float]) -> str:
    """Counts in a few words: `225 requests, 0 failed, p95 9 ms`."""
    if not counts.requests:
        return "no requests"
    times = f", p95 {quantile(counts, bounds, 0.95) * 1000:.3g} ms" if sum(counts.buckets) else ""
    return f"{counts.requests:,} requests, {counts.errors:,} failed{times}"


def _why(old: Counts, new: Counts, bounds: Sequence[float], *, slower: bool) -> str:
    if slower:
        was, became = (quantile(each, bounds, 0.5) * 1000 for each in (old, new))
        return f"it is slower: half of {new.requests:,} requests took over {became:.3g} ms, not {was:.3g} ms"
    rate = (
        f", where the old release failed {old.errors:,} of {old.requests:,}" if old.requests else ""
    )
    return f"it failed {new.errors:,} of {new.requests:,} requests{rate}"


def settled(
    times: Sequence[float], *, window: int, improves: float = 0.1, windows: int = 3
) -> bool:
    """Whether instances are warm: their tail does not improve any more.

    Args:
        times: how long the requests took, in seconds, oldest first.
        window: how many of them are looked at together.
        improves: by which share the p95 of a window has to fall below that of the one before, to say
            that they still get quicker.
        windows: how many windows there have to be.
    """
    if len(times) < window * max(2, windows):
        return False
    last, before = times[-window:], times[-2 * window : -window]
    return percentile(last, 0.95) >= percentile(before, 0.95) * (1 - improves)


def percentile(times: Sequence[float], share: float) -> float:
    """The time within which that share was answered; 0 of none."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
