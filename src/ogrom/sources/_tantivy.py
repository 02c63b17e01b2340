"""`Index` by tantivy, in the process itself: no server, and a question costs less than asking one."""

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from ogrom import tracing
from ogrom.sources._building import Progress, Told, build, unseen, version
from ogrom.sources._generations import Draft, Generations
from ogrom.sources._matching import sound
from ogrom.sources._query import Facet, Found, Schema, Search, pair
from ogrom.sources._reader import Reader

LOOK_AGAIN = 1.0
"""Seconds for which a reader does not look whether there is a new generation."""


class TantivyIndex:
    """An `Index` in a directory. Any number of processes read it, and one at a time writes.

    Args:
        path: the directory; it need not be there yet.
        schema: of its documents.
        facet: makes what `Found` tells of one value of a facet.
    """

    def __init__(self, path: Path, schema: Schema, *, facet: Facet = pair) -> None:
        self.schema = schema
        self._facet = facet
        self._generations = Generations(path, version(schema))
        self._name = path.name
        self._reader: Reader | None = None
        self._looked = 0.0
        self._refresh()
        if self._generations.ahead():
            self._catch_up()

    @property
    def revision(self) -> str:
        """The live generation's name: numbered, and with a token that no other store has."""
        reader = self._current()
        return reader.live.name if reader else "empty"

    @property
    def origin(self) -> str | None:
        """What the writer of the documents called itself; None in an empty store."""
        reader = self._current()
        return None if reader is None else reader.about.origin

    @property
    def label(self) -> str | None:
        """The label of the draft that became live; None in an empty store."""
        reader = self._current()
        return None if reader is None else reader.about.label

    def __len__(self) -> int:
        reader = self._current()
        return len(reader.bodies) if reader else 0

    async def search(self, query: Search) -> Found:
        """Answer the question, in the event loop: most take less than a millisecond."""
        if tracing.listener() is None:
            return self._search(query)
        with self._span("search"):
            return self._search(query)

    def _search(self, query: Search) -> Found:
        reader = self._current()
        if reader is None:
            return Found((), 0, dict.fromkeys(query.facets, ()))
        return reader.search(query)

    async def get(self, document_id: str) -> bytes | None:
        """The body of the document, or None where there is no such id."""
        if tracing.listener() is None:
            return self._get(document_id)
        with self._span("get"):
            return self._get(document_id)

    def _get(self, document_id: str) -> bytes | None:
        reader = self._current()
        return None if reader is None else reader.bodies.by_id(sound(document_id))

    def _span(self, operation: str) -> AbstractContextManager[object]:
        """A question as a span; what was asked has people's words, and is not said."""
        about = {
            "db.system.name": "tantivy",
            "db.operation.name": operation,
            "db.collection.name": self._name,
        }
        return tracing.span(f"{operation} {self._name}", about)

    @contextmanager
    def locked(self, *, wait: bool = False) -> Generator[None]:
        """Be the one who writes; raises Busy where another process is, unless told to wait."""
        with self._generations.lock(wait=wait):
            self._refresh()
            yield

    @contextmanager
    def draft(
        self, label: str, *, origin: str, keep: bool, progress: Progress = unseen
    ) -> Generator[Draft]:
        """Write, while `locked`: what is put is published, all at once, when the block ends well.

        A draft of the same label that was left behind is gone on with: see its mark. `keep` says
        whether a new one starts with the documents that are live.
        """
        with self._publishing(self._generations.draft(label, keep=keep), origin, progress) as draft:
            yield draft

    @contextmanager
    def _publishing(self, draft: Draft, origin: str, progress: Progress) -> Generator[Draft]:
        try:
            yield draft
            build(draft, self.schema, origin, progress)
        finally:
            draft.close()
        self._generations.publish(draft.path)
        self._refresh()

    def close(self) -> None:
        """Let go of all files."""
        if self._reader is not None:
            self._reader.bodies.close()
            self._reader = None

    def _catch_up(self) -> None:
        """Make an index of our own of the newer catalogue that another release has published."""
        with self.locked(wait=True):
            if (newer := self._generations.ahead()) is not None:
                about = (self._generations.path / newer / "about.json").read_bytes()
                told = msgspec.json.decode(about, type=Told)
                with self._publishing(
                    self._generations.remake(told.label, newer), told.origin, unseen
                ):
                    pass

    def _current(self) -> Reader | None:
        now = time.monotonic()
        if now - self._looked >= LOOK_AGAIN:
            self._refresh()
        return self._reader

    def _refresh(self) -> None:
        self._looked = time.monotonic()
        stamp = self._generations.stamp()
        while (self._reader.live.stamp if self._reader else (0, 0)) != stamp:
            live = self._generations.live()
            if live is None:
                return
            try:
                reader = Reader(self._generations.path / live.name, live, self._facet)
            except Exception:
                # It may have been replaced and dropped between the look and the opening.
                if self._generations.stamp() == live.stamp:
                    raise
                continue
            self.close()
            self._reader = reader
            return
