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

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar, cast

from ogrom.http._links import Links
from ogrom.http._pattern import (
    RANKS,
    LinkError,
    Parameter,
    RoutesError,
    Segments,
    Shape,
    Slot,
    encode,
    hint,
    parse_pattern,
)
from ogrom.http._route import Match, Route
from ogrom.http._tree import NO_PARAMS, MalformedPath, Params, Tree

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


class Router(Generic[T]):
    """Matches paths, writes paths and lists routes; a value that never changes.

    Args:
        routes: nested mappings from pieces of paths to mappings or leaves.
        name_of: the name by which `path_for` finds a leaf; None for one never linked to.

    Raises:
        RoutesError: a key is no pattern, a mapping is empty, or a route can never be reached.
    """

    def __init__(self, routes: Routes[T], name_of: Callable[[T], str | None]) -> None:
        if not isinstance(routes, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise RoutesError(
                f"routes are a mapping, {{'/path': resource}}; this is a {type(routes).__name__}"
            )
        found = list(_flatten(routes, name_of, ("",)))
        _refuse_unreachable(found)
        self._routes = tuple(route for route, _ in found)
        self._tree: Tree[Route[T]] = Tree(found)
        self._named: dict[tuple[str, str | None], list[Route[T]]] = {}
        self._links: dict[str, Links] = {}
        for route in self._routes:
            for mount in route.mounts:
                self._named.setdefault((mount, route.name), []).append(route)

    def leaves(self) -> tuple[Route[T], ...]:
        """Every route, in the order of declaration."""
        return self._routes

    @property
    def find(self) -> Callable[[str], tuple[Route[T], Params] | None]:
        """As `match`, without a value made of it: the route, and the parameters."""
        return self._tree.find

    @property
    def ending(self) -> Mapping[str, tuple[str, Route[T]]]:
        """Routes that end with a `{name}` and are text before: by that text, where nothing else than
        such a name is matched behind it. A value of ASCII letters and digits need not be looked at.
        """
        return self._tree.ending

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
        found = self._tree.find(path)
        if found is None:
            return None
        route, params = found
        return Match(route.leaf, params, route)

    def path_for(
        self,
        name: str,
        params: Params = NO_PARAMS,
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
        here, present = (near.route, near.params) if isinstance(near, Match) else (near, NO_PARAMS)
        write = self.links(here)[name][3]
        return write(params, present)

    def links(self, here: Route[T] | None) -> Links:
        """How paths are written from a route, or from outside of all mounts."""
        key = "" if here is None else here.pattern
        if key not in self._links:
            self._links[key] = Links(here, self._named_near)
        return self._links[key]

    def _named_near(self, name: str, here: Route[T] | None) -> Route[T]:
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
