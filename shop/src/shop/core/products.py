"""Products: searching the catalogue, and one of them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec

from ogrom.http import (
    CSV,
    JSON,
    MSGPACK,
    Answer,
    Context,
    MediaType,
    Resource,
    Stream,
    problem,
)
from shop.core.caching import public
from shop.core.paging import age, links
from shop.protocols import Product, ProductQuery, Products


def products(source: Products, locale: str, *, fresh: int = 0) -> Resource[None]:
    """The catalogue: text, filters, facets, order and pages; fresh for so many seconds."""

    async def search(ctx: Context, _: None) -> object:
        query = ctx.query(ProductQuery)
        found = await source.search(query)
        page = {
            "items": [_summary(ctx, product) for product in found.items],
            "total": found.total,
            "facets": found.facets,
        }
        fields = links(ctx, query.page, query.per_page, found.total)
        return Answer(page, fields | age(found.age))

    return Resource(
        name="products",
        query=ProductQuery,
        media_types=(JSON, MSGPACK, CSV),
        languages=(locale,),
        etag=lambda _: source.revision,
        cache_control=public(fresh),
        handle_ok=search,
    )


def catalogue(source: Products, locale: str) -> Resource[None]:
    """All products, a JSON line each: for those who want the whole of it."""

    async def lines(ctx: Context) -> AsyncGenerator[bytes]:
        parts = source.parts()
        async with aclosing(parts):
            async for part in parts:
                yield b"".join(msgspec.json.encode(_summary(ctx, each)) + b"\n" for each in part)

    return Resource(
        name="catalogue",
        media_types=(JSON_LINES,),
        encodings=(),  # what is streamed is not compressed
        languages=(locale,),
        etag=lambda _: source.revision,
        cache_control=public(),
        handle_ok=lambda ctx, _: Stream(lines(ctx)),
    )


JSON_LINES: Final = msgspec.structs.replace(JSON, type=MediaType("application", "jsonl"))


def product(source: Products, locale: str, *, fresh: int = 0) -> Resource[Product]:
    """One product, found by its id; fresh for so many seconds."""

    async def find(ctx: Context) -> Product | None:
        return await source.by_id(ctx["product_id"])

    def show(ctx: Context, product: Product) -> object:
        places = {
            name: ctx.path_for(name, product_id=product.id) for name in ("ratings", "comments")
        }
        return Answer({**_plain(product), "links": places}, age(product.age))

    return Resource(
        name="product",
        exists=find,
        languages=(locale,),
        etag=lambda product: product.revision,
        cache_control=public(fresh),
        handle_ok=show,
        handle_not_found=NO_PRODUCT,
    )


NO_PRODUCT = problem("There is no product with this id in this locale. GET products to find some.")


_ABOUT = frozenset({"revision", "age"})
"""Not the product's own: header fields tell of them."""


def _summary(ctx: Context, product: Product) -> dict[str, object]:
    return {**_plain(product), "url": ctx.path_for("product", product_id=product.id)}


def _plain(product: Product) -> dict[str, object]:
    return {
        name: value
        for name, value in msgspec.structs.asdict(product).items()
        if value and name not in _ABOUT  # nothing that a product says of itself is 0
    }
