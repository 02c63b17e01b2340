"""A content that is of a given type: the least that its decoder takes, for trying a resource out."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import inspect

_DEEPEST: Final = 8


def example(kind: Any) -> bytes | None:
    """JSON that is of a type; None where none can be made up.

    What comes out has been decoded: it is of that type, or it is not returned.
    """
    try:
        content = msgspec.json.encode(_value(inspect.type_info(kind), 0))
        msgspec.json.decode(content, type=kind)
    except (TypeError, ValueError, msgspec.MsgspecError):
        return None
    return content


def _value(kind: inspect.Type, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("It goes too deep.")
    if isinstance(kind, inspect.Metadata):
        return _value(kind.type, depth)
    if isinstance(kind, inspect.StructType | inspect.TypedDictType | inspect.DataclassType):
        made = {
            field.encode_name: _value(field.type, depth + 1)
            for field in kind.fields
            if field.required
        }
        if isinstance(kind, inspect.StructType) and kind.tag_field is not None:
            made[kind.tag_field] = kind.tag
        return made
    if isinstance(kind, inspect.UnionType):
        return _first(kind.types, depth)
    if isinstance(
        kind, inspect.ListType | inspect.SetType | inspect.FrozenSetType | inspect.VarTupleType
    ):
        return [_value(kind.item_type, depth + 1) for _ in range(kind.min_length or 0)]
    if isinstance(kind, inspect.TupleType):
        return [_value(each, depth + 1) for each in kind.item_types]
    return _scalar(kind)


def _first(kinds: tuple[inspect.Type, ...], depth: int) -> Any:
    for each in kinds:
        try:
            return _value(each, depth + 1)
        except ValueError:
            continue
    raise ValueError("None of them can be made up.")


def _scalar(kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.StrType):
        return (
            "example" * (1 + (kind.min_length or 0) // 7)
            if kind.max_length is None
            else ("example" * (1 + kind.max_length // 7))[
                : max(kind.min_length or 0, min(7, kind.max_length))
            ]
        )
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        if kind.ge is not None:
            return kind.ge
        if kind.gt is not None:
            return kind.gt + 1
        return next((bound for bound in (kind.le, kind.lt) if bound is not None and bound < 1), 1)
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.EnumType):
        return next(iter(kind.cls)).value
    if isinstance(kind, inspect.DateTimeType):
        return datetime(2026, 1, 1, tzinfo=UTC)
    plain: dict[type[inspect.Type], Any] = {
        inspect.BoolType: True,
        inspect.NoneType: None,
        inspect.AnyType: {},
        inspect.DictType: {},
        inspect.DateType: "2026-01-01",
        inspect.TimeType: "12:00:00",
        inspect.TimeDeltaType: "PT1S",
        inspect.UUIDType: "00000000-0000-4000-8000-000000000000",
        inspect.DecimalType: "1",
        inspect.BytesType: "",
    }
    if type(kind) not in plain:
        raise ValueError(f"Nobody knows an example of {kind!r}.")
    return plain[type(kind)]
