"""Which routes a path was held against, and where each of them parts from it. For those who look."""

from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from ogrom.http._pattern import Slot, parse_pattern
from ogrom.http._routing import Router


class Tried(Struct, frozen=True):
    """A route, and how far a path went with it."""

    pattern: str
    name: str
    fits: bool
    says: str


def tried(router: Router[Any], path: str, most: int = 5) -> tuple[Tried, ...]:
    """The routes that go farthest with a path, the one that fits first.

    Args:
        router: of the routes.
        path: as it was sent.
        most: how many are told at the most.
    """
    segments = [unquote(each) for each in path.split("/")[1:]]
    found: list[tuple[int, int, Tried]] = []
    for turn, route in enumerate(router.leaves()):
        far, says = _along(parse_pattern(route.pattern), segments)
        fits = not says
        shown = Tried(route.pattern, route.name or "", fits, says or "it fits")
        found.append((-1000 if fits else -far, turn, shown))
    return tuple(each for _, _, each in sorted(found, key=lambda each: each[:2])[:most])


def _along(pattern: tuple[str | Slot, ...], segments: list[str]) -> tuple[int, str]:
    """How many segments go together, and where they part; "" where they do not."""
    for at, item in enumerate(pattern):
        if isinstance(item, Slot) and item.parameters[-1].kind == "path":
            return (at, "") if len(segments) > at else (at, "the path ends before it")
        if at >= len(segments):
            return at, f"the path ends before {_shown(item)}"
        if isinstance(item, str) and item != segments[at]:
            return at, f"{segments[at]!r} is not {item!r}"
        if isinstance(item, Slot) and item.read(segments[at]) is None:
            return at, f"{segments[at]!r} is no {_shown(item)}"
    if len(segments) > len(pattern):
        return len(pattern), f"it ends before {segments[len(pattern)]!r}"
    return len(pattern), ""


def _shown(item: str | Slot) -> str:
    if isinstance(item, str):
        return repr(item)
    return "".join(part if isinstance(part, str) else f"{{{part.name}}}" for part in item.parts)
