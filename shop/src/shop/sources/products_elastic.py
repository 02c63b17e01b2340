"""`Products` kept in an Elasticsearch or OpenSearch that others run, and that shops share."""

from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from ogrom.sources.search import Busy, Draft, ElasticIndex, Engine, Found, drafts
from shop.protocols import Product, ProductPage, ProductQuery
from shop.sources.products import (
    GENERATED,
    IMPORTED,
    asked,
    document,
    part,
    parts,
    product,
    schema,
    shown,
)


class ElasticProducts:
    """The catalogue of one locale, in an engine that any number of processes ask."""

    def __init__(self, engine: Engine, locale: str) -> None:
        self._index = ElasticIndex(engine, locale.lower(), schema(locale))

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
        """The page asked for, and the counts of each facet by all filters but its own."""
        return shown(await self._index.search(asked(query)))

    def parts(self) -> AsyncGenerator[tuple[Product, ...]]:
        """All products, some at a time, by name."""
        return parts(self)

    def part(self, offset: int) -> Awaitable[Found]:
        """Some products, from that one on."""
        return self._index.search(part(offset))

    async def by_id(self, product_id: str) -> Product | None:
        """The product, or None where there is no such id."""
        body = await self._index.get(product_id)
        return None if body is None else product(body)

    async def look(self) -> None:
        """Find out what there is; what an older release has left is made ours."""
        await self._index.catch_up()

    async def fill(self, products: Iterable[Product]) -> None:
        """Keep these generated products, unless there are products already."""
        if self._index.origin is not None:
            return
        with TemporaryDirectory() as folder:
            draft = drafts(Path(folder)).draft(GENERATED, keep=False)
            try:
                draft.put(map(document, products))
                await self._index.publish(draft, "", GENERATED)
            except Busy:
                await self._index.refresh()  # another process was faster
            finally:
                draft.close()

    @asynccontextmanager
    async def importing(self, label: str, folder: Path) -> AsyncGenerator[Draft]:
        """Add products: what is put is live, all at once, when the block ends well.

        They are gathered in `folder`. What an earlier, interrupted import of this label has kept
        there is gone on with, if it began from what is live now: see the draft's mark. Raises
        `ogrom.sources.search.Busy` where another process is importing.
        """
        with drafts(folder).lock(wait=False):
            await self.look()
            base = self.revision
            _only(folder, base)
            draft = drafts(folder / base).draft(label, keep=False)
            try:
                if not draft.mark and not self.generated:
                    await self._index.fill(draft)
                yield draft
                await self._index.publish(draft, "" if base == "empty" else base, IMPORTED)
            finally:
                draft.close()
            rmtree(folder / base)


def _only(folder: Path, name: str) -> None:
    """Drop what was begun from a catalogue that is no longer live."""
    for other in folder.iterdir():
        if other.is_dir() and other.name != name:
            rmtree(other)
