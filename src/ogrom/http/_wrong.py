"""All that is wrong with a value, where msgspec tells of the first thing alone.

It is only asked on the way to a refusal. There it may take its time, though no more than `LOOKS` looks.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Final, NamedTuple, Union, cast, get_args, get_origin

import msgspec
from msgspec import Struct, structs

MOST: Final = 20
"""So many things are told of at most."""

LOOKS: Final = 1_000
"""So many values are looked at: who sends a long list of wrong ones is told of the first."""
DEEPEST: Final = 16
"""So deep it is looked: each level takes as long as all that is below it."""

_ITEMS: Final = (list, set, frozenset, tuple, Sequence)
_MAPPINGS: Final = (dict, Mapping)


class Wrong(NamedTuple):
    """One thing that is wrong."""

    message: str
    """What msgspec says; at its end, where below `steps`."""
    steps: tuple[str, ...] = ()
    """The names and numbers that lead there."""


def wrong(value: object, kind: Any, *, strict: bool) -> list[Wrong]:
    """What is wrong with a value, as far as it can be told apart; nothing where all is right.

    Args:
        value: dicts, lists, texts and numbers, as they were decoded.
        kind: the type that it should be of. Of a union of several, only msgspec's own word is told.
        strict: whether a text that reads like a number is none.
    """
    return list(islice(_wrong(value, kind, (), iter(range(LOOKS)), strict), MOST))


def _wrong(
    value: object, kind: Any, steps: tuple[str, ...], looks: Iterator[int], strict: bool
) -> Iterator[Wrong]:
    if next(looks, None) is None:
        return
    try:
        msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        message = str(error)
    else:
        return
    is_told = False
    for step, part, of in _parts(value, _bare(kind)) if len(steps) < DEEPEST else ():
        if isinstance(part, Wrong):
            is_told = True
            yield part._replace(steps=steps)
            continue
        for each in _wrong(part, of, (*steps, step), looks, strict):
            is_told = True
            yield each
    if not is_told:  # it is this value itself, or what cannot be told apart
        yield Wrong(message, steps)


def _parts(value: object, kind: Any) -> Iterator[tuple[str, object, Any]]:
    """What a value consists of: by its name or number, with its type. Or what is wrong with its names."""
    origin: Any = get_origin(kind) or kind
    given = get_args(kind)
    if isinstance(value, Mapping):
        named = cast("Mapping[object, object]", value)
        if isinstance(origin, type) and issubclass(origin, Struct):
            yield from _fields(named, kind, origin)
        elif origin in _MAPPINGS and given:
            for key, one in named.items():
                yield str(key), one, given[1]
    elif isinstance(value, list | tuple) and origin in _ITEMS and given[1:] in ((), (...,)):
        for number, one in enumerate(cast("Sequence[object]", value)):
            yield str(number), one, given[0] if given else Any


def _fields(
    value: Mapping[object, object], kind: Any, struct: type[Struct]
) -> Iterator[tuple[str, object, Any]]:
    known = {struct.__struct_config__.tag_field}
    for field in structs.fields(kind):
        name = field.encode_name
        known.add(name)
        if name in value:
            yield name, value[name], field.type
        elif field.required:
            yield name, Wrong(f"Object missing required field `{name}`"), None
    if struct.__struct_config__.forbid_unknown_fields:
        for sent in value:
            if sent not in known:
                yield str(sent), Wrong(f"Object contains unknown field `{sent}`"), None


def _bare(kind: Any) -> Any:
    """A type without what is noted of it, and without None where that is the other it may be."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in {Union, UnionType}:
        others = [each for each in get_args(kind) if each is not type(None)]
        return _bare(others[0]) if len(others) == 1 else kind
    return kind
