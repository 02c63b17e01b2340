"""Paths written from routes: checked and explained, or the short way where nothing can be wrong."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from uuid import UUID

from ogrom.http._pattern import PARAMETER, LinkError, Parameter, hint, write_slot
from ogrom.http._route import Route

Link: TypeAlias = Callable[[Mapping[str, object], Mapping[str, object]], str | None]
"""Writes a path from the parameters given and those of the present path. None where a value must be
looked at more closely, or is missing."""


def written(name: str, route: Route[Any], params: Mapping[str, object]) -> str:
    """The path of a route; LinkError says what is wrong with the parameters."""
    names = [parameter.name for parameter in route.parameters]
    if params.keys() != set(names):
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


def bound(here: Route[Any], there: Route[Any]) -> frozenset[str]:
    """The parameters of the innermost mount that both routes lie in."""
    shared = next(mount for mount in reversed(here.mounts) if mount in there.mounts)
    return frozenset(name for name, _, _ in PARAMETER.findall(shared))


def short_link(here: Route[Any], there: Route[Any]) -> Link | None:
    """The short way to write a path from a place; None where there is none."""
    texts = [""]
    for piece in there.pieces:
        if isinstance(piece, str):
            texts[-1] += piece
        elif len(piece.parts) == 1 and piece.parameters[0].kind in _WRITERS:
            texts[-1] += "/"
            texts.append("")
        else:
            return None
    known = bound(here, there)
    if [each.kind for each in there.parameters] == ["text"]:
        name = there.parameters[0].name
        return _one(texts[0], name, texts[1], known=name in known)
    return _several(texts, there.parameters, known)


def _one(before: str, name: str, after: str, *, known: bool) -> Link:
    """Writes a path of one text: by far the most."""

    def write_one(params: Mapping[str, Any], present: Mapping[str, Any]) -> str | None:
        if name in params and len(params) == 1:
            value = params[name]
        elif known and not params:
            value = present[name]
        else:
            return None
        if value.__class__ is str and value.isascii() and value.isalnum():
            return f"{before}{value}{after}"
        return None if _plain_text(value) is None else f"{before}{value}{after}"

    return write_one


def _several(texts: list[str], parameters: tuple[Parameter, ...], bound: frozenset[str]) -> Link:
    """Writes a path of text and the values of parameters, in turn."""
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
