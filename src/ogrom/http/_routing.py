"""Routes as nested data: one value to match a path, to write a path, and to list them all.

    routes = {"/v1": {"/products/{product_id:int}": {"": product, "/comments": comments}}}

A key is a piece of a path. Nesting concatenates the keys, and "" is the mount itself, so
these routes are `/v1/products/{product_id:int}` and `/v1/products/{product_id:int}/comments`.
A key begins with "/", unless the mount that it continues ends with one. What is no mapping is
a leaf; this module never looks into it.

    pattern              matches, within one segment             its value
    /products            that text, and nothing else
    {name}               any text                                str
    {name:int}           a whole number, up to 18 digits         int, 7 for 007 too
    {name:uuid}          a UUID of 32 hexadecimal digits         UUID
    {name:de-DE|fr-FR}   one of these texts                      str
    {name:/[a-z]+/}      what this regular expression does       str
    {name:path}          all that is left, at the end only       str, with its slashes

A segment may mix parameters and text, as in `page-{number:int}.html` or `{name}.{extension}`;
the first takes as much as it can. Such a segment, and that of a regular expression, is at most
255 characters long and has at most two parameters of open length, so that no path is costly to
refuse. How fast a regular expression of your own fails is yours to see to.

The most specific route wins, from the left, segment by segment and whatever the order:
text, then int, uuid, alternatives (the fewest first), mixed segments and regular expressions
(the fewest `{name}`, then the most text, then the first declared), `{name}`, and path. Where
that way ends, the next is tried.

A path is split at "/" and only then percent-decoded (RFC 3986 section 2.4), so `%2F` is text.
Patterns are written decoded. "." and ".." match nothing, however they are encoded: clients
remove them before they send (RFC 3986 section 5.2.4), so whoever sends one is probing.
An empty segment matches an empty segment of the pattern and never a parameter.

Who must act on which error:

    ValueError
    ├── RoutesError    the developer: these routes cannot be served; raised when they are built
    ├── LinkError      the developer: no path can be written for this name and these parameters
    └── MalformedPath  the client: 400 (Bad Request)
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast
from urllib.parse import unquote
from uuid import UUID

from ogrom.http._pattern import (
    NO_REST,
    NO_VALUE,
    PARAMETER,
    RANKS,
    LinkError,
    Parameter,
    Read,
    RoutesError,
    Segments,
    Shape,
    Slot,
    encode,
    hint,
    parse_pattern,
    read_text,
    write_slot,
)

__all__ = [
    "LinkError",
    "MalformedPath",
    "Match",
    "Parameter",
    "Route",
    "Router",
    "Routes",
    "RoutesError",
]

T = TypeVar("T")
Routes: TypeAlias = Mapping[str, T | "Routes[T]"]  # noqa: TC010 - a type variable takes it
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00|\0|[^\0-\x7f]")
_new_tuple: Any = cast("Any", tuple).__new__
_NO_PARAMS: Mapping[str, object] = MappingProxyType({})


class MalformedPath(ValueError):
    """The path is none by RFC 3986: answer 400 (Bad Request)."""


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """One leaf and the paths that lead to it."""

    pattern: str
    """All keys on the way to it, concatenated: "/v1/products/{product_id:int}"."""
    leaf: T
    name: str | None
    parameters: tuple[Parameter, ...]
    """From the left."""
    mounts: tuple[str, ...]
    """The patterns of the mappings that it lies in, the outermost ("") first."""
    pieces: tuple[str | Slot, ...] = field(repr=False, compare=False)
    """What `path_for` writes: encoded text, and what holds parameters, in turn."""
    links: dict[str, "Link | None"] = field(
        default_factory=dict[str, "Link | None"], repr=False, compare=False
    )
    """How paths are written from here, by the name of where they lead; filled when first asked."""
    kept: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)
    """What those who serve this route keep with it; nobody looks at it here."""

    @property
    def template(self) -> str:
        """The pattern without types, as OpenAPI writes it: "/v1/products/{product_id}"."""
        return PARAMETER.sub(r"{\1}", self.pattern)


class Match(NamedTuple, Generic[T]):
    """What a path leads to."""

    leaf: T
    params: Mapping[str, object]
    """The decoded and converted values by name, from the left."""
    route: Route[T]


class _Node(Generic[T]):
    """A place in the tree of segments. Mutable while the router is built, and never after."""

    __slots__ = ("literals", "rest", "route", "slots")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        # The least specific first. The reader is None for {name}: the most frequent is inlined.
        self.slots: list[tuple[Slot, Read | None, _Node[T]]] = []
        self.rest: _Node[T] | None = None
        self.route: tuple[T, tuple[str, ...], Route[T]] | None = None


class Router(Generic[T]):
    """Matches paths, writes paths and lists routes; a value that never changes.

    Args:
        routes: nested mappings from pieces of paths to mappings or leaves.
        name_of: the name by which `path_for` finds a leaf; None for one never linked to.

    Raises:
        RoutesError: a key is no pattern, a mapping is empty, or a route can never be reached.
    """

    def __init__(self, routes: Routes[T], name_of: Callable[[T], str | None]) -> None:
        found = list(_flatten(routes, name_of, ("",)))
        _refuse_unreachable(found)
        self._routes = tuple(route for route, _ in found)
        self._static: dict[str, Match[T]] = {}
        self._root: _Node[T] = _Node()
        self._named: dict[tuple[str, str | None], list[Route[T]]] = {}
        # One more than the deepest route: what follows in a longer path is never split at all.
        self._depth = 1 + max(len(segments) for _, segments in found)
        # Literal text, one {name}, and at most one segment of literal text: by what stands before
        # the value, and after it. Filled from the tree; see `_shorten`.
        self._last: dict[str, tuple[T, str, Route[T]]] = {}
        self._tails: dict[tuple[str, str], tuple[T, str, Route[T]]] = {}
        for route, segments in found:
            self._plant(route, segments)
            for mount in route.mounts:
                self._named.setdefault((mount, route.name), []).append(route)
        self._shorten(self._root, "")

    def leaves(self) -> tuple[Route[T], ...]:
        """Every route, in the order of declaration."""
        return self._routes

    def match(self, path: str) -> Match[T] | None:
        """Finds the route of a path.

        Args:
            path: as it came in the request target: percent-encoded, without the query.

        Returns:
            The most specific route with its parameters, or None: 404 (Not Found).

        Raises:
            MalformedPath: an escape that is none, one that is no UTF-8, a NUL, or a character
                outside ASCII: 400 (Bad Request).
        """
        static = self._static.get(path)
        if static is not None:
            return static
        before_, slash, value = path.rpartition("/")
        short = self._last.get(before_)
        if short is None and slash:
            before_, slash, value_ = before_.rpartition("/")
            if (short := self._tails.get((before_, value))) is not None:
                value = value_
        # What stands around the value is known text, so that only the value need be looked at.
        if (
            short is not None
            and slash
            and value.isascii()
            and (value.isalnum() or not (value in NO_VALUE or "%" in value or "\0" in value))
        ):
            short_match: Match[T] = _new_tuple(Match, (short[0], {short[1]: value}, short[2]))
            return short_match
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
        later: list[tuple[_Node[T], int, tuple[object, ...]]] = []
        while True:
            best: _Node[T] | None = None
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
                leaf, names, route = node.route
                params = dict(zip(names, values))  # noqa: B905 - the check costs a tenth of a match
                # Twice as fast as Match(…).
                match: Match[T] = _new_tuple(Match, (leaf, params, route))
                return match
            if best is not None:
                node = best
            elif later:
                node, at, values = later.pop()
            else:
                return None

    def path_for(
        self,
        name: str,
        params: Mapping[str, object] = _NO_PARAMS,
        near: Match[T] | Route[T] | None = None,
    ) -> str:
        """Writes the path of a named route, percent-encoded.

        Reading it gives the same values, unless a more specific route has that very path.

        Args:
            name: looked up in the innermost mount of `near` first, and so on outwards.
            params: a value for each parameter, of its type.
            near: where the link will stand, of this router; None is outside of all mounts. What a match has
                bound in the mount that it shares with the target need not be given again.

        Raises:
            LinkError: no route, or more than one, has this name; a parameter is missing,
                unknown, of the wrong type, or would not be read back as it was given.
        """
        if isinstance(near, Match):
            here: Route[T] | None = near.route
            links = near.route.links
            if name not in links and len(links) < MOST_LINKS:
                links[name] = self._link(near.route, name)
            link = links.get(name)
            if link is not None and (path := link(params, near.params)) is not None:
                return path
        else:
            here = near
        route = self._find(name, here)
        names = [parameter.name for parameter in route.parameters]
        if isinstance(near, Match) and not params.keys() >= set(names):
            params = {**_inherited(near, route), **params}
        if params.keys() != set(names):
            wrong = [
                f"{parameter.name} is missing: {parameter.expected}"
                for parameter in route.parameters
                if parameter.name not in params
            ]
            wrong += [
                f"{key} is no parameter of it{hint(key, names)}"
                for key in params
                if key not in names
            ]
            raise LinkError(f"{name!r} ({route.pattern}): {'; '.join(wrong)}")
        return "".join(
            [
                piece
                if isinstance(piece, str)
                else write_slot(piece, params, f"{name!r} ({route.pattern})")
                for piece in route.pieces
            ]
        )

    def _find(self, name: str, here: Route[T] | None) -> Route[T]:
        for mount in reversed(here.mounts if here else ("",)):
            found = self._named.get((mount, name))
            if found is not None:
                if len(found) == 1:
                    return found[0]
                where = ", ".join(route.pattern for route in found)
                raise LinkError(
                    f"{name!r} is ambiguous from {mount or 'the root'}: {where};"
                    " say which by `near`, or name them differently"
                )
        names = [route.name for route in self._routes if route.name is not None]
        raise LinkError(f"no route is named {name!r}{hint(name, names)}")

    def _link(self, here: Route[T], name: str) -> "Link | None":
        """The short way to write a path from a place; None where there is none."""
        try:
            route = self._find(name, here)
        except LinkError:
            return None
        texts = [""]
        for piece in route.pieces:
            if isinstance(piece, str):
                texts[-1] += piece
            elif len(piece.parts) == 1 and piece.parameters[0].kind in _WRITERS:
                texts[-1] += "/"
                texts.append("")
            else:
                return None
        shared = next(mount for mount in reversed(here.mounts) if mount in route.mounts)
        bound = frozenset(name for name, _, _ in PARAMETER.findall(shared))
        return _link_of(texts, route.parameters, bound)

    def _shorten(self, node: _Node[T], prefix: str) -> None:
        """Notes the routes that can be found without walking: literals lead to the only slot, and
        none of its siblings could be meant.
        """
        if len(node.slots) == 1 and node.slots[0][1] is None:
            child = node.slots[0][2]
            if child.route is not None:
                self._last[prefix] = _short(child.route)
            if all(_is_static(each) for each in node.literals.values()):
                for text, after in child.literals.items():
                    if after.route is not None:
                        self._tails[prefix, text] = _short(after.route)
        for text, each in node.literals.items():
            if text and encode(text) == text:
                self._shorten(each, f"{prefix}/{text}")

    def _plant(self, route: Route[T], segments: Segments) -> None:
        node = self._root
        for item in segments:
            node = _child(node, item)
        names = tuple(parameter.name for parameter in route.parameters)
        node.route = (route.leaf, names, route)
        if not names:
            path = "".join(cast("tuple[str, ...]", route.pieces))
            self._static[path] = Match(route.leaf, _NO_PARAMS, route)


Link: TypeAlias = Callable[[Mapping[str, object], Mapping[str, object]], str | None]
"""Writes a path from the parameters given and those of the present path. None where a value must be
looked at more closely, or is missing."""

MOST_LINKS = 64
"""A route remembers the way to as many names, should somebody make them up."""

# Written as they are, and no dots alone (RFC 3986, section 2.3).
_is_plain: Callable[[str], object] = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*").fullmatch


def _plain_text(value: Any) -> str | None:
    if value.__class__ is str and ((value.isalnum() and value.isascii()) or _is_plain(value)):
        return value
    return None


def _plain_int(value: Any) -> str | None:
    return str(value) if value.__class__ is int and -(10**18) < value < 10**18 else None


def _plain_uuid(value: Any) -> str | None:
    return str(value) if value.__class__ is UUID else None


_WRITERS: Mapping[str, Callable[[Any], str | None]] = {
    "text": _plain_text, "int": _plain_int, "uuid": _plain_uuid,
}  # fmt: skip


def _link_of(texts: list[str], parameters: tuple[Parameter, ...], bound: frozenset[str]) -> Link:
    """A closure that writes a path: text, and the values of parameters, in turn."""
    if [each.kind for each in parameters] == ["text"]:
        (only,), (before, after) = parameters, texts
        name, known = only.name, only.name in bound

        def write_one(params: Mapping[str, Any], present: Mapping[str, Any]) -> str | None:
            if name in params and len(params) == 1:
                value = params[name]
            elif known and not params:
                value = present[name]
            else:
                return None
            if value.__class__ is str and value.isalnum() and value.isascii():
                return f"{before}{value}{after}"
            return None if _plain_text(value) is None else f"{before}{value}{after}"

        return write_one
    form = "%s".join(text.replace("%", "%%") for text in texts)
    writers = [(each.name, each.name in bound, _WRITERS[each.kind]) for each in parameters]

    def write(params: Mapping[str, object], present: Mapping[str, object]) -> str | None:
        values: list[str] = []
        given = 0
        for name, known, writer in writers:
            if name in params:
                given += 1
                value = writer(params[name])
            elif known:
                value = writer(present[name])
            else:
                return None
            if value is None:
                return None
            values.append(value)
        return form % tuple(values) if given == len(params) else None

    return write


def _short(route: tuple[T, tuple[str, ...], Route[T]]) -> tuple[T, str, Route[T]]:
    leaf, names, found = route
    return leaf, names[0], found


def _is_static(node: _Node[T]) -> bool:
    return not node.slots and node.rest is None and all(map(_is_static, node.literals.values()))


def _inherited(near: Match[T], route: Route[T]) -> dict[str, object]:
    """What is bound in the innermost mount that both lie in."""
    shared = next(mount for mount in reversed(near.route.mounts) if mount in route.mounts)
    names = {name for name, _, _ in PARAMETER.findall(shared)}
    return {name: value for name, value in near.params.items() if name in names}


def _child(node: _Node[T], item: str | Slot) -> _Node[T]:
    """Finds or makes the node that a segment leads to."""
    fresh: _Node[T] = _Node()
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


def _flatten(
    routes: Routes[T], name_of: Callable[[T], str | None], mounts: tuple[str, ...]
) -> Iterator[tuple[Route[T], Segments]]:
    prefix = mounts[-1]
    if not routes:
        raise RoutesError(f"{prefix or 'the root'}: nothing is mounted here; add a route to it")
    for key, value in routes.items():
        pattern = prefix + key
        slashes = prefix.endswith("/") + key.startswith("/")
        if slashes == 2:
            raise RoutesError(f"{pattern}: {prefix!r} ends with the '/' that {key!r} begins with")
        if slashes == 0 and (key or not prefix):
            raise RoutesError(f"{pattern}: put '/' in front of {key!r}")
        segments = parse_pattern(pattern)
        if isinstance(value, Mapping):
            yield from _flatten(cast("Routes[T]", value), name_of, (*mounts, pattern))
        else:
            slots = [item for item in segments if isinstance(item, Slot)]
            parameters = tuple(parameter for slot in slots for parameter in slot.parameters)
            pieces = tuple("/" + encode(i) if isinstance(i, str) else i for i in segments)
            yield Route(pattern, value, name_of(value), parameters, mounts, pieces), segments


def _refuse_unreachable(routes: list[tuple[Route[T], Segments]]) -> None:
    """Refuses what can never be matched because another route always is.

    Whether one regular expression covers another is not looked into.
    """
    known: dict[tuple[Shape, ...], Route[T]] = {}
    # Routes that differ in one segment only, by the place of that segment and all the others.
    alike: dict[tuple[int, tuple[Shape, ...]], list[tuple[str | Slot, Route[T]]]] = {}
    for route, segments in routes:
        shape = tuple(item if isinstance(item, str) else item.shape for item in segments)
        other = known.setdefault(shape, route)
        if other is not route:
            raise RoutesError(
                f"{route.pattern} matches the same paths as {other.pattern}; remove one of them,"
                " or tell them apart by text or types"
            )
        for at, item in enumerate(segments):
            alike.setdefault((at, shape[:at] + shape[at + 1 :]), []).append((item, route))
    for siblings in alike.values():
        for item, route in siblings:
            if isinstance(item, Slot) and item.rank[0] == RANKS["choice"]:
                before = [(i, r) for i, r in siblings if isinstance(i, str) or i.rank < item.rank]
                covering = {
                    text: next((r.pattern for i, r in before if _covers(i, text)), None)
                    for text in item.parameters[0].choices
                }
                if all(covering.values()):
                    raise RoutesError(
                        f"{route.pattern} is never reached, for its alternatives are taken by"
                        f" {', '.join(map(str, covering.values()))}; remove it"
                    )


def _covers(item: str | Slot, text: str) -> bool:
    return item == text if isinstance(item, str) else item.read(text) is not None


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
