"""Values and rows as MySQL's binary protocol carries them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from ogrom.sources._db import Misuse, Outcome, Value
from ogrom.sources._statement import Statement
from ogrom.sources._values import Dialect, excerpt, loaded, stored

T = TypeVar("T")


def arguments(statement: Statement, params: dict[str, Value]) -> tuple[Any, ...]:
    """The parameters as the driver takes them, in their order."""
    if not statement.names:
        return ()
    values = stored(params, _DIALECT)
    try:
        args = tuple([values[name] for name in statement.names])
    except KeyError as error:
        missing = f"You did not supply a value for :{error.args[0]}"
        raise Misuse(f"{missing}: {excerpt(statement.sql)}") from None
    for value in args:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise Misuse(f"{value} is too large for SQL: {excerpt(statement.sql)}")
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise Misuse(f"{error}: {excerpt(statement.sql)}") from None
    return args


def outcome(statement: Statement, result: Any) -> Outcome:
    """What the statement did."""
    if result.rows is not None:
        return Outcome(0, 0)
    inserted = result.insert_id if statement.verb == "INSERT" else 0
    return Outcome(result.affected_rows, inserted)


def rows(into: type[T], result: Any, sql: str) -> list[T]:
    """The rows as values of the type."""
    found: list[Any] = list(result.rows or ())
    description: tuple[Any, ...] = result.description or ()
    for place, column in enumerate(description):
        if column[1] in _DECIMALS:
            found = [(*row[:place], _number(row[place]), *row[place + 1 :]) for row in found]
    return loaded(into, [column[0] for column in description], found, sql, _DIALECT)


_DECIMALS = (0, 246)
"""What a SUM or an AVG is."""


def _number(value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    return int(value) if value.as_tuple().exponent == 0 else float(value)


def _moment(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _loads_moment(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value  # msgspec says what is wrong with it
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


_DIALECT = Dialect(moment=_moment, loads_moment=_loads_moment, finite=True)
