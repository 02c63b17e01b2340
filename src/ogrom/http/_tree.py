"""The tree of all routes' segments, and how a path finds its way through it."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, TypeVar
from urllib.parse import unquote

from ogrom.http._pattern import (
    NO_REST,
    NO_VALUE,
    RANKS,
    Read,
    Segments,
    Slot,
    encode,
    read_text,
)

R = TypeVar("R")
Params = Mapping[str, object]
NO_PARAMS: Params = MappingProxyType({})
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00|\0|[^\0-\x7f]")


class MalformedPath(ValueError):
    """The path is none by RFC 3986: answer 400 (Bad Request)."""


class _Node(Generic[R]):
    """A place in the tree of segments. Mutable while the tree is built, and never after."""

    __slots__ = ("literals", "rest", "route", "slots")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[R]] = {}
        # The least specific first. The reader is None for {name}: the most frequent is inlined.
        self.slots: list[tuple[Slot, Read | None, _Node[R]]] = []
        self.rest: _Node[R] | None = None
        self.route: tuple[tuple[str, ...], R] | None = None


class Tree(Generic[R]):
    """Finds the route of a path.

    Args:
        routes: each with the segments of its pattern; none is matched by all that another is.
    """

    def __init__(self, routes: list[tuple[R, Segments]]) -> None:
        self._root: _Node[R] = _Node()
        self._static: dict[str, tuple[R, Params]] = {}
        # One more than the deepest route: what follows in a longer path is never split at all.
        self._depth = 1 + max(len(segments) for _, segments in routes)
        # Literal text, one {name}, and at most one segment of literal text: by what stands before
        # the value, and after it. Filled from the tree; see `_shorten`.
        self._last: dict[str, tuple[str, R]] = {}
        self._tails: dict[tuple[str, str], tuple[str, R]] = {}
        self.ending: dict[str, tuple[str, R]] = {}
        for route, segments in routes:
            self._plant(route, segments)
        self._shorten(self._root, "")

    def find(self, path: str) -> tuple[R, Params] | None:
        """The most specific route with its parameters; MalformedPath where it is no path."""
        static = self._static.get(path)
        if static is not None:
            return static
        before, slash, value = path.rpartition("/")
        short = self._last.get(before)
        if short is None and slash:
            before, slash, inner = before.rpartition("/")
            if (short := self._tails.get((before, value))) is not None:
                value = inner
        # What stands around the value is known text, so that only the value need be looked at.
        if (
            short is not None
            and slash
            and value.isascii()
            and (value.isalnum() or not (value in NO_VALUE or "%" in value or "\0" in value))
        ):
            name, route = short
            return route, {name: value}
        return self._search(path)

    def _search(self, path: str) -> tuple[R, Params] | None:
        if "%" in path or "\0" in path or not path.isascii():
            segments = _decode(path, self._depth)
        else:
            segments = path.split("/", self._depth)
        if segments[0]:
            return None  # no "/" in front: "*", or an authority
        node, at, end = self._root, 1, len(segments)
        values: tuple[object, ...] = ()
        # Ways not taken, the best on top. The tree has no cycle and each step takes one segment,
        # so no node is ever visited twice.
        later: list[tuple[_Node[R], int, tuple[object, ...]]] = []
        while True:
            best: _Node[R] | None = None
            if at < end:
                segment = segments[at]
                at += 1
                before = values
                if node.rest is not None and not NO_REST.search(
                    rest := "/".join(segments[at - 1 :])
                ):
                    later.append((node.rest, end, (*before, rest)))
                for _, read, child in node.slots:
                    if read is not None:
                        found = read(segment)
                    else:
                        found = None if segment in NO_VALUE else (segment,)
                    if found is not None:
                        if best is not None:
                            later.append((best, at, values))
                        best = child
                        values = before + found
                literal = node.literals.get(segment)
                if literal is not None:
                    if best is not None:
                        later.append((best, at, values))
                    best = literal
                    values = before
            elif node.route is not None:
                names, route = node.route
                return route, dict(zip(names, values))  # noqa: B905 - the check costs a tenth of it
            if best is not None:
                node = best
            elif later:
                node, at, values = later.pop()
            else:
                return None

    def _plant(self, route: R, segments: Segments) -> None:
        node = self._root
        names: list[str] = []
        for item in segments:
            node = _child(node, item)
            if isinstance(item, Slot):
                names += [parameter.name for parameter in item.parameters]
        node.route = (tuple(names), route)
        if not names:
            path = "".join(f"/{encode(item)}" for item in segments if isinstance(item, str))
            self._static[path] = route, NO_PARAMS

    def _shorten(self, node: _Node[R], prefix: str) -> None:
        """Notes the routes that can be found without walking: literals lead to the only slot, and
        none of its siblings could be meant.
        """
        if len(node.slots) == 1 and node.slots[0][1] is None:
            child = node.slots[0][2]
            if child.route is not None:
                self._last[prefix] = _short(child.route)
                if prefix and not node.literals:
                    self.ending[prefix] = _short(child.route)
            if all(_is_static(each) for each in node.literals.values()):
                for text, after in child.literals.items():
                    if after.route is not None:
                        self._tails[prefix, text] = _short(after.route)
        for text, each in node.literals.items():
            if text and encode(text) == text:
                self._shorten(each, f"{prefix}/{text}")


def _short(route: tuple[tuple[str, ...], R]) -> tuple[str, R]:
    names, found = route
    return names[0], found


def _is_static(node: _Node[R]) -> bool:
    return not node.slots and node.rest is None and all(map(_is_static, node.literals.values()))


def _child(node: _Node[R], item: str | Slot) -> _Node[R]:
    """Finds or makes the node that a segment leads to."""
    fresh: _Node[R] = _Node()
    if isinstance(item, str):
        return node.literals.setdefault(item, fresh)
    if item.rank[0] == RANKS["path"]:
        node.rest = fresh
        return fresh
    for other, _, child in node.slots:
        if other.shape == item.shape:
            return child
    # In front of its equals: of these the first declared, and so the last here, is the best.
    place = sum(other.rank > item.rank for other, _, _ in node.slots)
    read = None if item.read is read_text else item.read
    node.slots.insert(place, (item, read, fresh))
    return fresh


def _decode(path: str, most: int) -> list[str]:
    wrong = _BAD_ESCAPE.search(path)
    if wrong:
        start = wrong.start()
        raise MalformedPath(f"{path[start : start + 3]!r} at {start} may not stand in a path")
    try:
        return [
            unquote(segment, errors="strict") if "%" in segment else segment
            for segment in path.split("/", most)
        ]
    except UnicodeDecodeError as error:
        raise MalformedPath(f"the path is not UTF-8: {error.reason}") from error
