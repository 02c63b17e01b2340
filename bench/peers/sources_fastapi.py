"""What the shop answers from its sources, by FastAPI, SQLAlchemy and opensearch-py, as their guides have it.

`sources_fastapi.py PORT SETTINGS`: the settings are JSON, and say where the shop's own data are.
"""

import base64
import json
import sys
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from _data import port
from fastapi import FastAPI, HTTPException, Response
from opensearchpy import AsyncOpenSearch, NotFoundError
from pydantic import BaseModel
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    select,
    text,
)
from sqlalchemy.ext.asyncio import create_async_engine

SETTINGS = json.loads(Path(sys.argv[2]).read_text())
MYSQL = SETTINGS["db"].startswith("mysql")
FACETS = ("category", "brand", "colour", "size", "material")

comments = Table(
    "comments",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("locale", String(16)),
    Column("product_id", String(64)),
    Column("user_id", String(64)),
    Column("text", Text),
    # SQLite's are text with a zone, which SQLAlchemy does not read; so it reads them as text.
    Column("created", DateTime if MYSQL else Text),
    Column("changed", DateTime if MYSQL else Text),
    Column("revision", Integer),
)
documents = Table(
    "document", MetaData(), Column("id", String(64), primary_key=True), Column("body", LargeBinary)
)


class Money(BaseModel):
    """An amount."""

    minor: int
    currency: str


class Product(BaseModel):
    """One garment."""

    id: str
    name: str
    description: str | None = None
    category: str | None = None
    brand: str | None = None
    colour: str | None = None
    material: str | None = None
    sizes: list[str] = []
    price: Money | None = None
    added: datetime | None = None
    url: str | None = None
    links: dict[str, str] | None = None


class Value(BaseModel):
    """One value of a facet."""

    value: str
    count: int


class Page(BaseModel):
    """Some products."""

    items: list[Product]
    total: int
    facets: dict[str, list[Value]]


class Comment(BaseModel):
    """What somebody wrote."""

    id: int
    text: str
    created: datetime
    changed: datetime
    user: str
    product: str
    url: str


def engine(url):
    """Tuned: nothing begins, rolls back and commits around a single SELECT."""
    return create_async_engine(
        url, pool_size=16, isolation_level="AUTOCOMMIT", pool_reset_on_return=None,
        pool_use_lifo=True,
    )  # fmt: skip


def on_sqlite(path):
    """The URL of a file."""
    return f"sqlite+aiosqlite:///{path}"


db = engine(
    SETTINGS["db"].replace("mysql://", "mysql+asyncmy://") if MYSQL else on_sqlite(SETTINGS["db"])
)
catalogue = None if MYSQL else engine(on_sqlite(SETTINGS["documents"]))
words = None if MYSQL else engine(on_sqlite(SETTINGS["words"]))
client = AsyncOpenSearch([SETTINGS["search"]], pool_maxsize=100) if MYSQL else None


@asynccontextmanager
async def lifespan(_):
    """Close what was opened."""
    yield
    if client is not None:
        await client.close()


app = FastAPI(lifespan=lifespan)
HERE = "/v1/de-DE"


@app.get(HERE + "/comments/{comment_id}")
async def comment(comment_id: int, response: Response) -> Comment:
    """One row by its key."""
    statement = select(comments).where(comments.c.id == comment_id, comments.c.locale == "de-DE")
    async with db.connect() as connection:
        row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise HTTPException(404, "There is no such comment.")
    response.headers["ETag"] = f'"{row.revision}"'
    return Comment(
        id=row.id,
        text=row.text,
        created=row.created,
        changed=row.changed,
        user=f"{HERE}/users/{row.user_id}",
        product=f"{HERE}/products/{row.product_id}",
        url=f"{HERE}/comments/{row.id}",
    )


async def body(product_id):
    """The product as JSON, by its key."""
    if client is not None:
        try:
            found = await client.get(index=SETTINGS["index"], id=product_id)
        except NotFoundError:
            return None
        return base64.b64decode(found["_source"]["body"])
    async with catalogue.connect() as connection:
        found = await connection.execute(
            select(documents.c.body).where(documents.c.id == product_id)
        )
        return found.scalar_one_or_none()


@app.get(HERE + "/products/{product_id}", response_model_exclude_none=True)
async def product(product_id: str, response: Response) -> Product:
    """One product."""
    found = await body(product_id)
    if found is None:
        raise HTTPException(404, "There is no such product.")
    one = Product.model_validate_json(found)
    response.headers["ETag"] = f'"{json.loads(found)["revision"]}"'
    place = f"{HERE}/products/{product_id}"
    one.links = {"ratings": f"{place}/ratings", "comments": f"{place}/comments"}
    return one


@app.get(HERE + "/products", response_model_exclude_none=True)
async def products(q: str, price_max: int) -> Page:
    """Twenty of those found, the number of all, and how they divide."""
    find = by_engine if client is not None else by_sqlite
    bodies, total, facets = await find(q, price_max)
    items = [Product.model_validate_json(each) for each in bodies]
    for item in items:
        item.url = f"{HERE}/products/{item.id}"
    return Page(items=items, total=total, facets=facets)


async def by_engine(q, price_max):
    """The very search that the shop sends."""
    body = SETTINGS["bodies"][q]
    asked = {
        **body["query"]["bool"],
        "filter": [{"range": {SETTINGS["price"]: {"lte": price_max}}}],
    }
    found = await client.search(index=SETTINGS["index"], body={**body, "query": {"bool": asked}})
    facets = {
        name: [Value(value=each["key"], count=each["doc_count"]) for each in told["buckets"]]
        for name, told in found["aggregations"].items()
    }
    bodies = [base64.b64decode(hit["_source"]["body"]) for hit in found["hits"]["hits"]]
    return bodies, found["hits"]["total"]["value"], facets


PAGE = text(
    "SELECT body FROM words WHERE words MATCH :q AND price <= :price ORDER BY bm25(words), id LIMIT 20"
)
COUNT = text("SELECT count(*) FROM words WHERE words MATCH :q AND price <= :price")
DIVIDE = {
    name: text(
        f"SELECT {name}, count(*) FROM words WHERE words MATCH :q AND price <= :price GROUP BY {name} ORDER BY 2 DESC"
    )
    for name in FACETS
    if name != "size"
}
SIZES = text(
    "SELECT sizes.value, count(*) FROM words JOIN sizes ON sizes.id = words.id"
    " WHERE words MATCH :q AND price <= :price GROUP BY sizes.value ORDER BY 2 DESC"
)


async def by_sqlite(q, price_max):
    """The same by SQLite's full text: the page, the total, and five counts."""
    asked = {"q": SETTINGS["matches"][q], "price": price_max}
    async with words.connect() as connection:
        bodies = (await connection.execute(PAGE, asked)).scalars().all()
        total = (await connection.execute(COUNT, asked)).scalar_one()
        facets = {
            name: [
                Value(value=value, count=count)
                for value, count in await connection.execute(statement, asked)
            ]
            for name, statement in {**DIVIDE, "size": SIZES}.items()
        }
    return bodies, total, facets


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=port(), loop="uvloop", http="httptools")
