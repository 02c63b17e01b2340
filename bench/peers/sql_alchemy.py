"""One row by its key through SQLAlchemy Core, with the same drivers: as it comes, or tuned."""

import sys
from contextlib import asynccontextmanager

from _sql import measured
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, String, Table, Text, select
from sqlalchemy.ext.asyncio import create_async_engine

comments = Table(
    "comments",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("locale", String(16)),
    Column("product_id", String(64)),
    Column("user_id", String(64)),
    Column("text", Text),
    # SQLite's are text with a zone, which SQLAlchemy does not read; so it reads them as text.
    Column("created", DateTime if sys.argv[1].startswith("mysql") else Text),
    Column("changed", DateTime if sys.argv[1].startswith("mysql") else Text),
    Column("revision", Integer),
)
kept = [column for column in comments.c if column.name != "locale"]


@asynccontextmanager
async def connect():
    """An engine; tuned, it does not begin, roll back and commit around a single SELECT."""
    tuned = (
        {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None, "pool_use_lifo": True}
        if sys.argv[2] == "tuned"
        else {}
    )
    url = sys.argv[1].replace("mysql://", "mysql+asyncmy://")
    url = url if url.startswith("mysql") else f"sqlite+aiosqlite:///{url}"
    engine = create_async_engine(url, pool_size=16, **tuned)
    yield engine
    await engine.dispose()


async def get(engine, number):
    """As its documentation shows."""
    statement = select(*kept).where(comments.c.id == number, comments.c.locale == "de-DE")
    async with engine.connect() as connection:
        return (await connection.execute(statement)).one_or_none()


measured(connect, get)
