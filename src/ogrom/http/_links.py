"""Paths written from a route: explained where they are wrong, and short where they cannot be."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from uuid import UUID

from ogrom.http._pattern import PARAMETER, LinkError, hint, write_slot
from ogrom.http._route import Route
from ogrom.http._tree import Params

Link: TypeAlias = tuple[str, Any, str, Callable[[Params, Params], str]]
"""The text before the one parameter of a path, the parameter's name and the text behind it; and what
writes the path of any parameters, given those of the present path too. The name is None where the
path is not of that kind."""


def _nowhere(name: str, _: Route[Any] | None) -> Route[Any]:
    raise LinkError(f"There are no routes here, so no path for {name!r}.")


class Links(dict[str, Link]):
    """How paths are written from one route, by the name of where they lead; made when first asked.

    Args:
        here: the route.
        find: finds a route by its name, nearest to another; raises LinkError.
    """

    def __init__(
        self,
        here: Route[Any] | None = None,
        find: Callable[[str, Route[Any] | None], Route[Any]] = _nowhere,
    ) -> None:
        super().__init__()
        self._here = here
        self._find = find

    def __missing__(self, name: str) -> Link:
        there = self._find(name, self._here)
        link = self[name] = _link(name, self._here, there)
        return link


def _link(name: str, here: Route[Any] | None, there: Route[Any]) -> Link:
    known = frozenset[str]() if here is None else _bound(here, there)
    shortly = _short(there, known)

    def write(params: Params, present: Params) -> str:
        if shortly is not None and (path := shortly(params, present)) is not None:
            return path
        if not params.keys() >= {parameter.name for parameter in there.parameters}:
            params = {**{key: present[key] for key in present if key in known}, **params}
        return _written(name, there, params)

    if [each.kind for each in there.parameters] == ["text"] and shortly is not None:
        before, after = _texts(there)
        return before, there.parameters[0].name, after, write
    return "", None, "", write


def _written(name: str, route: Route[Any], params: Params) -> str:
    """The path of a route; LinkError says what is wrong with the parameters."""
    names = [parameter.name for parameter in route.parameters]
    if set(params) != set(names):
        wrong = [
            f"{parameter.name} is missing: {parameter.expected}"
            for parameter in route.parameters
            if parameter.name not in params
        ]
        wrong += [
            f"{key} is no parameter of it{hint(key, names)}" for key in params if key not in names
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


def _bound(here: Route[Any], there: Route[Any]) -> frozenset[str]:
    """The parameters of the innermost mount that both routes lie in."""
    shared = next(mount for mount in reversed(here.mounts) if mount in there.mounts)
    return frozenset(name for name, _, _ in PARAMETER.findall(shared))


def _short(
    there: Route[Any], known: frozenset[str]
) -> Callable[[Params, Params], str | None] | None:
    """Writes a path of whole segments whose values need no encoding, and None for any other; None
    where the route has other segments.
    """
    for piece in there.pieces:
        if not isinstance(piece, str) and (
            len(piece.parts) != 1 or piece.parameters[0].kind not in _WRITERS
        ):
            return None
    form = "%s".join(text.replace("%", "%%") for text in _texts(there))
    writers = [(each.name, each.name in known, _WRITERS[each.kind]) for each in there.parameters]

    def write(params: Params, present: Params) -> str | None:
        values: list[str] = []
        given = 0
        for name, bound, writer in writers:
            if name in params:
                given += 1
                value = writer(params[name])
            elif bound and name in present:
                value = writer(present[name])
            else:
                return None
            if value is None:
                return None
            values.append(value)
        return form % tuple(values) if given == len(params) else None

    return write


def _texts(route: Route[Any]) -> list[str]:
    """The text between a route's parameters, each of which is a whole segment."""
    texts = [""]
    for piece in route.pieces:
        if isinstance(piece, str):
            texts[-1] += piece
        else:
            texts[-1] += "/"
            texts.append("")
    return texts


# Written as they are, and no dots alone (RFC 3986, section 2.3).
_is_plain: Callable[[str], object] = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*").fullmatch


def _plain_text(value: Any) -> str | None:
    if value.__class__ is str and ((value.isascii() and value.isalnum()) or _is_plain(value)):
        return value
    return None


def _plain_int(value: Any) -> str | None:
    return str(value) if value.__class__ is int and -(10**18) < value < 10**18 else None


def _plain_uuid(value: Any) -> str | None:
    return str(value) if value.__class__ is UUID else None


_WRITERS: Mapping[str, Callable[[Any], str | None]] = {
    "text": _plain_text, "int": _plain_int, "uuid": _plain_uuid,
}  # fmt: skip
