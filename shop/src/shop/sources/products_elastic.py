"""`Products` kept in an Elasticsearch or OpenSearch that others run, and that shops share."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from ogrom.sources.search import Busy, Draft, ElasticIndex, Engine, drafts
from shop.protocols import FacetValue, Product
from shop.sources.products import GENERATED, IMPORTED, IndexedProducts, document, schema


class ElasticProducts(IndexedProducts[ElasticIndex]):
    """The catalogue of one locale, in an engine that any number of processes ask."""

    def __init__(self, engine: Engine, locale: str) -> None:
        super().__init__(ElasticIndex(engine, locale.lower(), schema(locale), facet=FacetValue))

    async def look(self) -> None:
        """Find out what there is; what an older release has left is made ours."""
        await self._index.catch_up()

    async def fill(self, products: Iterable[Product]) -> bool:
        """Keep these generated products, unless there are products already; whether it did."""
        if self._index.origin is not None:
            return False
        with TemporaryDirectory() as folder:
            draft = drafts(Path(folder)).draft(GENERATED, keep=False)
            try:
                draft.put(map(document, products))
                await self._index.publish(draft, "", GENERATED)
            except Busy:
                await self._index.refresh()  # another process was faster
                return False
            finally:
                draft.close()
        return True

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
