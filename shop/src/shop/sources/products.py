"""`Products` kept in an embedded search index: one directory and one language per locale."""

from collections.abc import AsyncGenerator, Awaitable, Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Protocol

import msgspec

from ogrom.sources.search import (
    Document,
    Draft,
    Found,
    Range,
    Schema,
    Search,
    TantivyIndex,
    collation,
)
from shop.protocols import FACETS, FacetValue, Product, ProductPage, ProductQuery, Replaced

GENERATED = "generated"
IMPORTED = "imported"

_TEXT = {"name": 2.0, "facts": 1.5, "description": 1.0}

_ORDERS = {
    "relevance": (None, False),
    "price": ("price", False),
    "-price": ("price", True),
    "name": ("name", False),
    "-name": ("name", True),
    "newest": ("added", True),
}

_ENCODE = msgspec.json.Encoder()
_DECODE = msgspec.json.Decoder(Product)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TantivyProducts:
    """The catalogue of one locale, in one directory that any number of processes may read."""

    def __init__(self, index: TantivyIndex) -> None:
        self._index = index

    @classmethod
    def open(cls, path: Path, locale: str) -> "TantivyProducts":
        """The catalogue kept in this directory; an empty one where there is none yet."""
        return cls(TantivyIndex(path, schema(locale)))

    @property
    def revision(self) -> str:
        """Changes whenever the catalogue does; never repeats within one store."""
        return self._index.revision

    @property
    def generated(self) -> bool:
        """Whether these are products for show, to be dropped when real ones come."""
        return self._index.origin == GENERATED

    @property
    def label(self) -> str | None:
        """The label of the import that was last; None where there was none."""
        return None if self.generated else self._index.label

    def __len__(self) -> int:
        return len(self._index)

    async def search(self, query: ProductQuery) -> ProductPage:
        """The page asked for, and the counts of each facet by all filters but its own.

        Text finds the products that have all its words; where these are few, those that lack
        some follow. Products that have no price come last in either order of prices.
        """
        return shown(await self._index.search(asked(query)))

    async def by_id(self, product_id: str) -> Product | None:
        """The product, or None where there is no such id."""
        body = await self._index.get(product_id)
        return None if body is None else product(body)

    def parts(self) -> AsyncGenerator[tuple[Product, ...]]:
        """All products, some at a time, by name."""
        return parts(self)

    def part(self, offset: int) -> Awaitable[Found]:
        """Some products, from that one on."""
        return self._index.search(part(offset))

    def fill(self, products: Iterable[Product]) -> bool:
        """Keep these generated products, unless there are products already; whether it did.

        Of several processes that start at once one fills the store, and the others wait for it.
        """
        if len(self):
            return False
        with self._index.locked(wait=True):
            if len(self):
                return False
            # Never gone on with: who knows whether the other meant the same products.
            with self._index.draft(token_hex(), origin=GENERATED, keep=False) as draft:
                draft.put(map(document, products))
        return True

    @contextmanager
    def importing(self, label: str) -> Generator[Draft]:
        """Add products: what is put is live, all at once, when the block ends well.

        What an earlier, interrupted import of this label has kept is still there: see the draft's
        mark. Generated products give way. Raises `ogrom.sources.search.Busy` where another
        process is importing.
        """
        with (
            self._index.locked(),
            self._index.draft(label, origin=IMPORTED, keep=not self.generated) as draft,
        ):
            yield draft

    def close(self) -> None:
        """Let go of all files."""
        self._index.close()


def schema(locale: str) -> Schema:
    """What products are found by in a locale."""
    return Schema(
        language=locale[:2],
        text=_TEXT,
        facets=FACETS,
        numbers=("price",),
        orders=("price", "name", "added"),
    )


def document(product: Product) -> Document:
    """What a product is found by. It is kept as JSON, with the revision that its content has."""
    bare = msgspec.structs.replace(product, revision="")
    revision = blake2b(_ENCODE.encode(bare), digest_size=8).hexdigest()
    said = {name: getattr(product, name) for name in ("category", "brand", "colour", "material")}
    facts = {name: value for name, value in said.items() if value}
    orders: dict[str, int | str] = {"name": collation(product.name)}
    if product.price is not None:
        orders["price"] = product.price.minor
    if product.added is not None:
        orders["added"] = (product.added - _EPOCH) // timedelta(microseconds=1)
    return Document(
        id=product.id,
        body=_ENCODE.encode(msgspec.structs.replace(product, revision=revision)),
        text={
            "name": product.name,
            "description": product.description,
            "facts": " ".join(facts.values()),
        },
        facets={
            **{name: (value,) for name, value in facts.items()},
            "size": tuple(dict.fromkeys(product.sizes)),
        },
        numbers={} if product.price is None else {"price": product.price.minor},
        orders=orders,
    )


def product(body: bytes) -> Product:
    """The product that a document was made of."""
    return _DECODE.decode(body)


def shown(found: Found) -> ProductPage:
    """What an index found, as products."""
    return ProductPage(
        tuple(map(product, found.bodies)),
        found.total,
        {
            name: tuple(FacetValue(value, count) for value, count in values)
            for name, values in found.facets.items()
        },
    )


_AT_ONCE = 200
"""How many products are read before any of them is passed on."""


class Parted(Protocol):
    """A catalogue that can be read in parts."""

    @property
    def revision(self) -> str:
        """Changes whenever the catalogue does."""
        ...

    def part(self, offset: int) -> Awaitable[Found]:
        """Some products, from that one on."""
        ...


async def parts(source: Parted) -> AsyncGenerator[tuple[Product, ...]]:
    """All products, some at a time, by name. Raises `Replaced` where they change meanwhile."""
    begun, offset, total = source.revision, 0, 1
    while offset < total:
        found = await source.part(offset)
        if source.revision != begun:
            raise Replaced
        yield tuple(map(product, found.bodies))
        offset, total = offset + _AT_ONCE, found.total


def part(offset: int) -> Search:
    """Asks for some products, from that one on."""
    order, descending = _ORDERS["name"]
    return Search(order=order, descending=descending, offset=offset, limit=_AT_ONCE)


def asked(query: ProductQuery) -> Search:
    """A client's query as an index's."""
    order, descending = _ORDERS[query.sort]
    return Search(
        text=query.q,
        filters={name: getattr(query, name) for name in FACETS},
        ranges={"price": Range(query.price_min, query.price_max)},
        order=order,
        descending=descending,
        offset=(query.page - 1) * query.per_page,
        limit=query.per_page,
        facets=FACETS,
    )
