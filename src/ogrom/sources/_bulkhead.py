"""A bulkhead: so many calls at once and no more, so that one slow source cannot take all there is."""

from typing import Final

from msgspec import Struct

from ogrom import deadline
from ogrom.sources._errors import Busy
from ogrom.sources._places import Places


class Bulkhead(Struct, frozen=True, kw_only=True):
    """How many calls a source gets at once.

    Args:
        calls: how many at once.
        queue: how many more may wait; others are refused at once (`Busy`).
        patience: for how many seconds one waits at most, and never past the request's deadline.

    Raises:
        ValueError: one of them cannot be.
    """

    calls: int = 32
    queue: int = 128
    patience: float = 1.0

    def __post_init__(self) -> None:
        if self.calls < 1 or self.queue < 0 or self.patience < 0:
            raise ValueError(
                "Bulkhead(calls=): at least 1; queue= and patience= at least 0, please."
            )


class Gate:
    """One bulkhead at work. It changes with every call."""

    def __init__(self, name: str, rules: Bulkhead) -> None:
        self._name = name
        self.rules: Final = rules
        self.places: Final = Places(rules.calls)
        self.enter: Final = self.places.take
        """Be one of those that are let through, until `leave`; whether that can be at once."""
        self.leave: Final = self.places.give
        """Make room for the next one."""

    async def wait(self) -> None:
        """Be one of those that are let through as soon as it is one's turn.

        Raises:
            Busy: too many wait already, or it was not one's turn in time.
        """
        if self.places.waiting >= self.rules.queue:
            raise self._busy(f"{self.rules.queue} calls wait for it already")
        try:
            await self.places.wait(deadline.left(self.rules.patience))
        except TimeoutError:
            raise self._busy(f"{self.rules.calls} calls have not ended in time") from None

    def _busy(self, why: str) -> Busy:
        return Busy(f"{self._name} is asked too much: {why}. Try again later.", retry_after=1.0)
