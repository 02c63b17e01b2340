"""What several workers tell together: whoever is asked for metrics asks the others for theirs."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import json, structs

from ogrom.metrics import Metric, Metrics, sample
from ogrom.serve._workers import Place

_PATIENCE: Final = 1.0
"""For how many seconds another worker may take to tell."""


class Siblings:
    """The workers, as one of them sees them.

    Args:
        place: which one it is.
        tells: what it has to tell itself.
    """

    def __init__(self, place: Place, tells: Sequence[Metrics]) -> None:
        self._place: Final = place
        self._tells: Final = tells

    @property
    def number(self) -> int:
        """Which one this is."""
        return self._place.number

    async def listen(self) -> asyncio.Server:
        """Tell the others from now on."""
        path = self._place.socket_of(self.number)
        path.unlink(missing_ok=True)  # of one that died
        return await asyncio.start_unix_server(self._tell, path)

    async def metrics(self) -> list[Metric]:
        """What all of them have to tell, each sample with its `worker`; who does not answer is down."""
        numbers = range(1, self._place.count + 1)
        found = await asyncio.gather(*map(self._of, numbers))
        up = Metric(
            "ogrom_worker_up",
            "gauge",
            "Whether a worker answers.",
            tuple(
                sample(float(metrics is not None), worker=str(number))
                for number, metrics in zip(numbers, found, strict=True)
            ),
        )
        return [up, *(each for metrics in found for each in metrics or ())]

    async def _of(self, number: int) -> list[Metric] | None:
        if number == self.number:
            return self._own()
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_unix_connection(self._place.socket_of(number))
                try:
                    return json.decode(await reader.read(), type=list[Metric])
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):
            return None

    def _own(self) -> list[Metric]:
        return labelled((each for tell in self._tells for each in tell()), self.number)

    async def _tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.encode(self._own()))
        writer.close()
        await writer.wait_closed()


def labelled(metrics: Iterable[Metric], worker: int) -> list[Metric]:
    """The same, with the worker's number on each sample."""
    return [
        structs.replace(
            metric,
            samples=tuple(
                structs.replace(each, labels=(("worker", str(worker)), *each.labels))
                for each in metric.samples
            ),
        )
        for metric in metrics
    ]
