"""What is measured of a target, second by second: counts, what is in flight, how many instances that asks for."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ogrom.deploy._target import NAMES, Counts, Name, TargetError
from ogrom.deploy.local import _haproxy as haproxy
from ogrom.deploy.local import _scale
from ogrom.deploy.local._counts import Ledger, Part, Sample, Tally
from ogrom.deploy.local._proxy import Proxy
from ogrom.deploy.local._state import read, write


class Meter:
    """It changes with every look at HAProxy. What it has counted outlives it in `counts.json`.

    Args:
        folder: the target's.
        proxy: what is looked at.
    """

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        self.flying: dict[Name, int] = dict.fromkeys(NAMES, 0)
        """How many requests are under way, as it was at the last look."""
        self.samples: Final[set[asyncio.Queue[Sample]]] = set()
        """Who wants each second's sample puts a queue in here."""
        self._file = folder / "counts.json"
        self._proxy = proxy
        self._tally = Tally(read(self._file, Ledger, Ledger()))
        self._busy: deque[_scale.Busy] = deque(maxlen=120)

    async def look(self) -> None:
        """Take in what HAProxy knows. While it is being started again, that is nothing new."""
        self._tally.read(self._proxy.log)
        try:
            found, known = await self._proxy.stats(), self._proxy.known
        except TargetError:
            return
        self._tally.took(found, known)
        self.flying = {name: each.in_flight for name, each in haproxy.sums(found).items()}

    async def second(self, shares: Mapping[Name, int]) -> Sample:
        """Look, end one second of the series, and tell all who want to know."""
        await self.look()
        sample = self._tally.sample(time.time(), shares, self.flying)
        for queue in self.samples:
            queue.put_nowait(sample)
        with contextlib.suppress(TargetError):
            write(self._file, self._tally.ledger, durable=False)
        return sample

    def counts(self, part: Part) -> Counts:
        """So far."""
        return self._tally.counts(part)

    @property
    def series(self) -> Sequence[Sample]:
        """The last ten minutes, a second each."""
        return tuple(self._tally.series)

    def load(self, sample: Sample, live: Name) -> float:
        """How many requests the live environment had under way in that second."""
        return max(sample.busy[live], float(self.flying[live]))

    def wanted(self, sample: Sample, live: Name, count: int, bounds: tuple[int, int]) -> int:
        """How many instances the live environment should have, which has `count`."""
        self._busy.append(_scale.Busy(sample.at, self.load(sample, live), count))
        return _scale.wanted(self._busy, sample.at, bounds)

    def forget(self) -> None:
        """While traffic is shared out nothing is compared."""
        self._busy.clear()
