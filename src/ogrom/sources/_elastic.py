"""`Index` by Elasticsearch or OpenSearch: generations behind an alias, as the embedded one's on disk.

Questions go to the generation that is live by its own name, with the lexicon that it was made by: see
`_elastic_live`. Who still asks one that was replaced and removed is told that it is gone, looks
again, and asks once more. How generations are made and replaced is in `_elastic_publishing`.
"""

import re
from collections import OrderedDict
from functools import lru_cache, partial
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ogrom.sources._asking import Answer, Json, Kept, divided, levels, page, whole
from ogrom.sources._building import Progress, unseen
from ogrom.sources._elastic_deep import WINDOW, deep
from ogrom.sources._elastic_documents import Documents
from ogrom.sources._elastic_live import Generation, Live
from ogrom.sources._elastic_publishing import Publisher
from ogrom.sources._engine import Engine, Gone
from ogrom.sources._errors import TimedOut, Unavailable
from ogrom.sources._generations import Draft
from ogrom.sources._matching import COUNTED, Question, enough, sound
from ogrom.sources._query import Facet, Found, Schema, Search, pair

LONGEST_ID = 512
"""How many bytes of an id an engine takes."""

_PLAIN = re.compile("[A-Za-z0-9_-]{1,64}")

_ENCODE = msgspec.json.Encoder()


class _GotBody(Struct, frozen=True, gc=False):
    source: Kept = msgspec.field(name="_source")


class _Count(Struct, frozen=True):
    count: int


class ElasticIndex:
    """An `Index` in an engine that others run. What is live, and what is remembered of it, changes.

    Args:
        engine: whom to ask.
        name: of the index, after the engine's prefix.
        schema: of its documents.
        facet: makes what `Found` tells of one value of a facet.
    """

    def __init__(self, engine: Engine, name: str, schema: Schema, *, facet: Facet = pair) -> None:
        self.schema = schema
        self._engine = engine
        self._live = Live(engine, name, schema)
        self._publisher = Publisher(self._live)
        self._documents = Documents(engine)
        # The pages of one search divide alike: what is told of it again is not read again.
        self._divided = lru_cache(COUNTED)(partial(divided, facet=facet))
        self._needed: OrderedDict[object, int] = OrderedDict()

    @property
    def revision(self) -> str:
        """The live generation's name; "empty" where there is none.

        Raises Unavailable while the engine has not been reached yet, not once.
        """
        return self._live.revision

    @property
    def origin(self) -> str | None:
        """What the writer of the documents called itself; None in an empty store."""
        return self._live.known.about.origin if self._live.known else None

    @property
    def label(self) -> str | None:
        """The label of the draft that became live; None in an empty store."""
        return self._live.known.about.label if self._live.known else None

    async def search(self, query: Search) -> Found:
        """Answer the question: in one round trip, or three where few have all its words."""
        for last in (False, True):
            live = None if last else self._live.present()
            if live is None and (live := await self._live.look()) is None:
                break
            try:
                return await self._search(live, query)
            except TimedOut:
                raise
            except (Gone, Unavailable):
                # An index that is removed at this moment may also say that its shards have failed.
                if last:
                    raise
        return Found((), 0, dict.fromkeys(query.facets, ()))

    async def get(self, document_id: str) -> bytes | None:
        """The body of the document, or None where there is no such id."""
        if not _PLAIN.fullmatch(document_id):
            named = sound(document_id).encode()
            if not named or len(named) > LONGEST_ID:
                return None  # an engine takes either for a mistake
            # A path of dots would be taken for another one by a proxy.
            document_id = quote(named, safe="").replace(".", "%2E")
        for last in (False, True):
            live = None if last else self._live.present()
            if live is None and (live := await self._live.look()) is None:
                break
            try:
                got = await self._engine.ask(
                    _GotBody, "GET", f"{live.name}/_doc/{document_id}?realtime=false&_source=body"
                )
            except Gone as error:
                if error.document:
                    return None
                if last:
                    raise
            else:
                return got.source.body
        return None

    async def count(self) -> int:
        """How many documents are live."""
        live = self._live.present() or await self._live.look()
        if live is None:
            return 0
        return (await self._engine.ask(_Count, "GET", f"{live.name}/_count")).count

    async def _search(self, live: Generation, query: Search) -> Found:
        question = live.understand(query.text)
        if question is None:
            return Found((), 0, dict.fromkeys(query.facets, ()))
        every = len(question.words)
        bodies = self._documents.are_new
        asked = page(query, question, every, self.schema, bodies=bodies)
        key: object = None
        if every > 1 and self._needed:
            key = _key(live, asked)
            if (needed := self._needed.get(key, every)) < every:
                asked = page(query, question, needed, self.schema, bodies=bodies)
        answer = await self._page(live.name, asked)
        if every > 1 and answer.total < enough(query.order):
            key = key or _key(live, asked)
            if key not in self._needed:
                needed = await self._enough(live.name, query, question, answer.total)
                if needed < every:
                    asked = page(query, question, needed, self.schema, bodies=bodies)
                    answer = await self._page(live.name, asked)
                self._needed[key] = needed
                if len(self._needed) > COUNTED:
                    self._needed.popitem(last=False)
        return Found(
            await self._documents.bodies(live.name, answer.hits.hits, brought=bodies),
            answer.total,
            self._divided(bytes(answer.aggregations), query.facets),
        )

    async def _page(self, name: str, asked: Json) -> Answer:
        if asked["from"] + asked["size"] > WINDOW:
            return await deep(self._engine, name, asked)
        return await self._engine.ask(Answer, "POST", whole(name), asked)

    async def _enough(self, name: str, query: Search, question: Question, total: int) -> int:
        """How many words a document needs to have, that enough are found."""
        asked = levels(query, question, self.schema)
        counts = (await self._engine.ask(Answer, "POST", whole(name), asked)).counts()
        needed = len(question.words)
        while total < enough(query.order) and needed > 1:
            needed -= 1
            total = counts[str(needed)]
        return needed

    async def refresh(self) -> None:
        """Look now which generation is live."""
        await self._live.look()

    # -- writing

    async def catch_up(self) -> None:
        """Where another version of the schema has a newer catalogue, make our own of that."""
        await self._publisher.catch_up()

    async def fill(self, draft: Draft) -> None:
        """Put the documents that are live into a draft that was just begun."""
        await self._publisher.fill(draft)

    async def publish(
        self, draft: Draft, base: str, origin: str, progress: Progress = unseen
    ) -> None:
        """Make a draft's documents live, all at once, in place of `base`, which they came from.

        Raises Busy where another writer was faster; nothing is changed then.
        """
        await self._publisher.publish(draft, base, origin, progress)


def _key(live: Generation, asked: Json) -> object:
    """What all pages of a question have in common."""
    return live.name, _ENCODE.encode((asked["query"], asked.get("post_filter")))
