"""Statements of a database as spans, for who listens; where nobody does, each costs one look.

https://opentelemetry.io/docs/specs/semconv/db/sql/: what is told of a statement is its text, whose
parameters are named in it and whose values are not, and a summary of it.
"""

import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import lru_cache, wraps
from typing import Any, Protocol, TypeVar, cast

from ogrom import tracing
from ogrom.tracing import Attributes

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Coroutine[Any, Any, Any]])


class Placed(Protocol):
    """What has a place: a database, or a transaction of one."""

    @property
    def place(self) -> Attributes:
        """What and where it is, by OpenTelemetry's names."""
        ...


_TABLE = re.compile(r'\b(?:FROM|JOIN|INTO|UPDATE)\s+"?`?([A-Za-z_][\w.]*)', re.IGNORECASE)
_LONGEST = 255
"""So long is a summary at most."""


def observed(call: Method) -> Method:
    """A method of something that has a place, whose last positional argument is SQL, as a span."""

    async def told(self: Placed, *args: Any, **kwargs: Any) -> Any:
        with spanned(self, args[-1]):
            return await call(self, *args, **kwargs)

    @wraps(call)
    def asked(self: Placed, *args: Any, **kwargs: Any) -> Any:
        return (call if tracing.listener() is None else told)(self, *args, **kwargs)

    return cast("Method", asked)


def transaction_of(
    db: Placed, made: AbstractAsyncContextManager[T]
) -> AbstractAsyncContextManager[T]:
    """A transaction whose beginning and end are spans too: there it waits for others and the disk."""
    return made if tracing.listener() is None else _transaction(db, made)


@asynccontextmanager
async def _transaction(db: Placed, made: AbstractAsyncContextManager[T]) -> AsyncGenerator[T]:
    with spanned(db, "BEGIN"):
        given = await made.__aenter__()
    try:
        yield given
    except BaseException as error:
        with spanned(db, "ROLLBACK"):
            handled = await made.__aexit__(type(error), error, error.__traceback__)
        if not handled:
            raise
    else:
        with spanned(db, "COMMIT"):
            await made.__aexit__(None, None, None)


@contextmanager
def spanned(db: Placed, sql: str) -> Generator[None]:
    """A span around one statement."""
    name, said = summary(sql)
    with tracing.span(name, {**db.place, **said}) as span:
        try:
            yield
        except Exception as error:
            if code := _code(error.__cause__):
                span.note("db.response.status_code", code)
            raise


def _code(cause: BaseException | None) -> str:
    """The database's own number of an error; "" where it gave none."""
    given = getattr(cause, "sqlite_errorcode", None) or (
        cause.args[0] if cause and cause.args else 0
    )
    return str(given) if given and isinstance(given, int) else ""


@lru_cache(1024)
def summary(sql: str) -> tuple[str, Attributes]:
    """The name of a statement's span, and what is said of the statement itself."""
    verb = sql.split(maxsplit=1)[0].upper() if sql.strip() else ""
    tables = tuple(dict.fromkeys(_TABLE.findall(sql)))
    short = " ".join((verb, *tables))[:_LONGEST]
    said = {"db.query.text": sql, "db.query.summary": short, "db.operation.name": verb}
    if len(tables) == 1:
        said["db.collection.name"] = tables[0]
    return short, said
