"""What databases have in common: values that become parameters, and rows that become values.

A `Dialect` says in what they differ.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct, inspect

from ogrom.sources._db import Misuse, Value

T = TypeVar("T")

Load = Callable[[Any], Any]


class Dialect(NamedTuple):
    """In what a database's values differ from ours."""

    moment: Callable[[datetime], Any]
    """A point in time, which is in UTC, as the database takes it."""

    loads_moment: Load | None = None
    """A point in time as msgspec reads it; None where it reads the database's own form."""

    finite: bool = False
    """Whether it has no infinity."""


_PLAIN = (str, int, bytes, type(None))
_JSON = (
    inspect.CollectionType,
    inspect.TupleType,
    inspect.NamedTupleType,
    inspect.DictType,
    inspect.StructType,
    inspect.TypedDictType,
    inspect.DataclassType,
)


def stored(params: dict[str, Value], dialect: Dialect) -> Mapping[str, Any]:
    """The parameters as the database takes them. It changes `params`.

    Raises:
        Misuse: one of them has no form there.
    """
    for name, value in params.items():
        if value.__class__ not in _PLAIN:
            try:
                params[name] = _stored_value(value, dialect)
            except (TypeError, ValueError) as error:
                raise Misuse(f":{name} cannot be kept: {error}.") from error
    return params


def _stored_value(value: Value, dialect: Dialect) -> Any:
    match value:
        case datetime():
            if value.tzinfo is None:
                raise ValueError("a point in time without its zone could be any")
            try:
                return dialect.moment(value.astimezone(UTC))
            except OverflowError:
                raise ValueError("there is no such year in UTC") from None
        case bool():
            return int(value)
        case float():
            if value != value:  # SQLite would keep NULL
                raise ValueError("NaN is not a number")
            if dialect.finite and value in _INFINITE:
                raise ValueError("this database has no infinity")
            return value
        case int() | str() | bytes():  # an enumeration's, for example
            return value
        case Struct() | tuple() | list() | dict():
            return msgspec.json.encode(value).decode()
        case _:
            raise TypeError(f"a {type(value).__qualname__} has no form in SQL")


_INFINITE = (float("inf"), float("-inf"))


def loaded(
    into: type[T], names: Sequence[str], rows: Sequence[Any], sql: str, dialect: Dialect
) -> list[T]:
    """The rows as values of the type.

    Raises:
        Misuse: they do not fit it.
    """
    try:
        return _loaded(into, names, rows, dialect)
    except (msgspec.MsgspecError, TypeError) as error:
        raise Misuse(f"No {into.__qualname__}: {error}: {excerpt(sql)}") from error


def _loaded(into: type[T], names: Sequence[str], rows: Sequence[Any], dialect: Dialect) -> list[T]:
    kind: Any = into
    loaders = _loaders(kind, dialect)
    if "" in loaders:
        if len(names) != 1:
            raise msgspec.ValidationError(f"there are {len(names)} columns, not one")
        names = [""]
    values: list[T] = []
    for row in rows:
        fields = dict(zip(names, row, strict=True))
        for name, load in loaders.items():
            if fields.get(name) is not None:
                fields[name] = load(fields[name])
        found = fields[""] if "" in loaders else fields
        values.append(msgspec.convert(found, into, builtin_types=(bytes,)))
    return values


def excerpt(sql: str) -> str:
    """The beginning of a statement, on one line, for messages."""
    return " ".join(sql.split())[:120]


def single(found: list[T], sql: str) -> T | None:
    """The only row, or None; Misuse where there are more."""
    if len(found) > 1:
        raise Misuse(f"More than one row, where one was asked for: {excerpt(sql)}")
    return found[0] if found else None


@cache
def _loaders(into: Any, dialect: Dialect) -> Mapping[str, Load]:
    """How to read the columns that msgspec cannot read by itself; of a single value, under ""."""
    if not (isinstance(into, type) and issubclass(into, Struct)):
        return {"": _loader(into, dialect) or _as_it_is}
    found = {
        field.encode_name: _loader(field.type, dialect) for field in msgspec.structs.fields(into)
    }
    return {name: load for name, load in found.items() if load is not None}


def _loader(kind: Any, dialect: Dialect) -> Load | None:
    info = inspect.type_info(kind)
    while isinstance(info, inspect.Metadata):
        info = info.type
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    if any(isinstance(each, _JSON) for each in kinds):
        return msgspec.json.Decoder(kind).decode
    if any(isinstance(each, inspect.BoolType) for each in kinds):
        return _as_bool
    if any(isinstance(each, inspect.DateTimeType) for each in kinds):
        return dialect.loads_moment
    return None


def _as_bool(value: Any) -> Any:
    return {0: False, 1: True}.get(value, value)


def _as_it_is(value: Any) -> Any:
    return value
