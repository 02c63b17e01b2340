"""`Products` kept in a search index, and in the embedded one: one directory and one language per locale."""

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Generic, Protocol, TypeVar

import msgspec

from ogrom.sources.search import (
    Document,
    Draft,
    Found,
    Index,
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
_found = lru_cache(1_000)(_DECODE.decode)  # searches find the same ones again and again
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KeptIndex(Index, Protocol):
    """An index that knows what it was made of."""

    @property
    def origin(self) -> str | None:
        """What the writer of the documents called itself; None in an empty store."""
        ...

    @property
    def label(self) -> str | None:
        """The label of the draft that became live; None in an empty store."""
        ...


K = TypeVar("K", bound=KeptIndex)


class IndexedProducts(Generic[K]):
    """The catalogue of one locale, as any index answers; how it is filled is each engine's own."""

    def __init__(self, index: K) -> None:
        self._index = index

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

    async def search(self, query: ProductQuery) -> ProductPage:
        """The page asked for, and the counts of each facet by all filters but its own.

        Text finds the products that have all its words; where these are few, those that lack
        some follow. Products that have no price come last in either order of prices.
        """
        return _shown(await self._index.search(_asked(query)))

    async def by_id(self, product_id: str) -> Product | None:
        """The product, or None where there is no such id."""
        body = await self._index.get(product_id)
        return None if body is None else _DECODE.decode(body)

    async def parts(self) -> AsyncGenerator[tuple[Product, ...]]:
        """All products, some at a time, by name. Raises `Replaced` where they change meanwhile."""
        order, descending = _ORDERS["name"]
        begun, offset, total = self.revision, 0, 1
        while offset < total:
            found = await self._index.search(
                Search(order=order, descending=descending, offset=offset, limit=_AT_ONCE)
            )
            if self.revision != begun:
                raise Replaced
            yield tuple(map(_DECODE.decode, found.bodies))
            offset, total = offset + _AT_ONCE, found.total


_AT_ONCE = 200
"""How many products are read before any of them is passed on."""


class TantivyProducts(IndexedProducts[TantivyIndex]):
    """The catalogue of one locale, in one directory that any number of processes may read."""

    @classmethod
    def open(cls, path: Path, locale: str) -> "TantivyProducts":
        """The catalogue kept in this directory; an empty one where there is none yet."""
        return cls(TantivyIndex(path, schema(locale), facet=FacetValue))

    def __len__(self) -> int:
        return len(self._index)

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


def _shown(found: Found) -> ProductPage:
    """What an index found, as products."""
    return ProductPage(tuple(map(_found, found.bodies)), found.total, found.facets)


def _asked(query: ProductQuery) -> Search:
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
