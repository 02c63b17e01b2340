"""Products: searching the catalogue, and one of them."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

import msgspec
from msgspec.structs import replace

from ogrom.http import (
    CSV,
    JSON,
    MSGPACK,
    Answer,
    Context,
    MediaType,
    Resource,
    Stream,
    Written,
    problem,
)
from shop.core.caching import public
from shop.core.paging import age, links
from shop.protocols import Product, ProductQuery, Products


def products(source: Products, locale: str, *, fresh: int = 0) -> Resource[None]:
    """The catalogue: text, filters, facets, order and pages; fresh for so many seconds."""
    listed = _Listed()

    async def search(ctx: Context, _: None) -> object:
        query = ctx.query(ProductQuery)
        found = await source.search(query)
        page = {
            "items": listed.of(ctx, found.items),
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
                yield _LINES.encode_lines(_listed(ctx, part))

    return Resource(
        name="catalogue",
        media_types=(JSON_LINES,),
        encodings=(),  # what is streamed is not compressed
        languages=(locale,),
        etag=lambda _: source.revision,
        cache_control=public(),
        handle_ok=lambda ctx, _: Stream(lines(ctx)),
    )


JSON_LINES: Final = replace(JSON, type=MediaType("application", "jsonl"))


def product(source: Products, locale: str, *, fresh: int = 0) -> Resource[Product]:
    """One product, found by its id; fresh for so many seconds."""

    async def find(ctx: Context) -> Product | None:
        return await source.by_id(ctx["product_id"])

    def show(ctx: Context, product: Product) -> object:
        places = {
            name: ctx.path_for(name, product_id=product.id) for name in ("ratings", "comments")
        }
        shown = replace(product, links=places, revision="", age=0)
        return Answer(shown, age(product.age))

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


_LINES: Final = msgspec.json.Encoder()


_LISTED: Final = 1_000
"""How many products of a locale are kept as lists show them."""


class _Listed:
    """Products as lists show them, each written once: searches find the same ones again and again."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Written] = {}

    def of(self, ctx: Context, products: Sequence[Product]) -> list[Written]:
        """The same products, in the same order."""
        kept, here = self._kept, ctx.request.path
        keys = [(here, each.id, each.revision) for each in products]
        listed = [kept[key] for key in keys if key in kept]
        if len(listed) < len(keys):
            listed = [Written(each) for each in _listed(ctx, products)]
            if len(kept) > _LISTED:
                kept.clear()
            kept.update(zip(keys, listed, strict=True))
        return listed


def _listed(ctx: Context, products: Iterable[Product]) -> list[Product]:
    """Products as lists show them."""
    url = ctx.linker("product", "product_id")
    return [replace(each, url=url(each.id), revision="") for each in products]
