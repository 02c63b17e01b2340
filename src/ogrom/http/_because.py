"""What an explanation is made of."""

from collections.abc import Callable

from msgspec import Struct

from ogrom.http._walk import Walk


class Row(Struct, frozen=True):
    """One thing held against another."""

    what: str
    against: str
    verdict: str
    holds: bool | None = None
    """Whether it is what was looked for; None where that is not the question."""


class Why(Struct, frozen=True):
    """Why a question was answered as it was."""

    answer: bool | None
    """What follows from what is shown; None where the resource alone can say."""
    text: str
    rows: tuple[Row, ...] = ()


def field(name: str) -> Callable[[Walk], Why]:
    """Explains whether a field of the request is there."""

    def explainer(walk: Walk) -> Why:
        value = walk.header(name.lower())
        return Why(
            value is not None, f"{name}: {value}" if value is not None else f"there is no {name}"
        )

    return explainer
