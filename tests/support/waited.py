"""Sources that wait for a server, for tests that wait for nothing: each call is brought to its end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

from ogrom.sources.search import (
    Address,
    Document,
    Draft,
    ElasticIndex,
    Found,
    Schema,
    Search,
    connect,
    drafts,
)
from shop.protocols import Product, ProductPage, ProductQuery
from shop.sources.products_elastic import ElasticProducts

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive what never has to wait: not even a loop is needed."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("it waited")


class Waited:
    """An engine's connection, and the loop that it lives in."""

    def __init__(self, where: Address) -> None:
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._connection = connect(where)
        self.engine = self.runner.run(self._connection.__aenter__())

    def wait(self, call: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """The outcome of a call."""

        async def called() -> T:
            return await call(*arguments)

        return self.runner.run(called())

    def close(self) -> None:
        """Let go of it."""
        self.runner.run(self._connection.__aexit__(None, None, None))
        self.runner.close()


class WaitedIndex:
    """An `ElasticIndex`, asked as a `TantivyIndex` is."""

    def __init__(self, waited: Waited, schema: Schema, folder: Path, name: str = "de") -> None:
        self._waited = waited
        self._folder = folder
        self.schema = schema
        self._index = ElasticIndex(waited.engine, name, schema)
        waited.wait(self._index.catch_up)

    @property
    def revision(self) -> str:
        async def told() -> str:
            await asyncio.sleep(0.01)  # for it may be looking whether there is a new one
            return self._index.revision

        return self._waited.wait(told)

    @property
    def origin(self) -> str | None:
        return self._index.origin

    @property
    def label(self) -> str | None:
        return self._index.label

    def __len__(self) -> int:
        return self._waited.wait(self._index.count)

    async def search(self, query: Search) -> Found:
        return self._waited.wait(self._index.search, query)

    async def get(self, document_id: str) -> bytes | None:
        return self._waited.wait(self._index.get, document_id)

    def write(self, documents: Iterable[Document], label: str, **how: Any) -> None:
        """Publish: what is live and these, or only these."""
        self._waited.wait(self._write, documents, label, how)

    async def _write(self, documents: Iterable[Document], label: str, how: dict[str, Any]) -> None:
        await self._index.refresh()
        with closing(drafts(self._folder / token_hex(4)).draft(label, keep=False)) as draft:
            if how.get("keep", True):
                await self._index.fill(draft)
            draft.put(documents, how.get("mark", 0))
            live = self._index.revision
            base = "" if live == "empty" else live
            await self._index.publish(draft, base, how.get("origin", "test"))

    def close(self) -> None:
        """Its connection is another's."""


class WaitedProducts:
    """An `ElasticProducts`, asked as a `TantivyProducts` is."""

    def __init__(self, where: Address, locale: str, folder: Path) -> None:
        self._waited = Waited(where)
        self._folder = folder
        self._products = ElasticProducts(self._waited.engine, locale)
        self._waited.wait(self._products.look)

    @property
    def revision(self) -> str:
        async def told() -> str:
            await asyncio.sleep(0.01)  # for it may be looking whether there is a new one
            return self._products.revision

        return self._waited.wait(told)

    @property
    def generated(self) -> bool:
        return self._products.generated

    @property
    def label(self) -> str | None:
        return self._products.label

    def __len__(self) -> int:
        return self._waited.wait(self._products.search, ProductQuery()).total

    async def search(self, query: ProductQuery) -> ProductPage:
        return self._waited.wait(self._products.search, query)

    async def by_id(self, product_id: str) -> Product | None:
        return self._waited.wait(self._products.by_id, product_id)

    def fill(self, products: Iterable[Product]) -> bool:
        return self._waited.wait(self._products.fill, products)

    @contextmanager
    def importing(self, label: str) -> Iterator[Draft]:
        block = self._products.importing(label, self._folder)
        draft = self._waited.wait(block.__aenter__)
        try:
            yield draft
        except BaseException as error:
            self._waited.wait(block.__aexit__, type(error), error, error.__traceback__)
            raise
        self._waited.wait(block.__aexit__, None, None, None)

    def close(self) -> None:
        self._waited.close()
