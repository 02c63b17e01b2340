"""`Index` by Elasticsearch or OpenSearch: generations behind an alias, as the embedded one's on disk.

    <prefix>-<name>-<version>                         the alias: which generation is live
    <prefix>-<name>-<version>-000002-9f3c2e1a         a generation: one index, never changed again
    <prefix>-about                                    how each generation was made

Rule 1. A generation is filled aside and becomes live by one call of `_aliases`, which fails where
        another one became live in the meantime: of two writers one wins, and the other hears so.
Rule 2. Questions go to the generation by its own name, with the lexicon that it was made by.
Rule 3. The one that was live before is removed after the switch, and so is what a killed writer
        left; who still asks it is told that it is gone, looks again, and asks once more.
Rule 4. Each version of the schema has its own alias. A version that finds another one's catalogue
        to be newer, by its number, makes its own of that: see `catch_up`. Of the other versions the
        newest catalogue is kept for the release that reads it.
"""

import asyncio
import contextlib
import random
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ogrom.sources._analysis import Analysis
from ogrom.sources._asking import Answer, Json, Kept, entry, levels, mapping, page
from ogrom.sources._building import LAYOUT, RANK, About, Progress, placed, taught, unseen, version
from ogrom.sources._engine import Engine, Gone
from ogrom.sources._errors import Busy, Misuse, TimedOut, Unavailable
from ogrom.sources._generations import Draft, drafts, number
from ogrom.sources._matching import COUNTED, Question, enough, sound, understand
from ogrom.sources._query import Document, Found, Schema, Search

LOOK_AGAIN = 1.0
"""Seconds for which it is not looked whether there is a new generation."""

BATCH_BYTES = 4_000_000
"""How much is sent at once."""

TRIES = 8
"""How often what an engine was too busy to take is sent."""

SLOW = 600.0
"""Seconds that making an index ready may take."""

WINDOW = 10_000
"""How deep an engine lets a result be paged by number."""

LONGEST_ID = 512
"""How many bytes of an id an engine takes."""

_PLAIN = re.compile("[A-Za-z0-9_-]{1,64}")
_FILLED = "fill-"

_ENCODE = msgspec.json.Encoder()
_CLUES = msgspec.msgpack.Encoder()
_DOCUMENT = msgspec.msgpack.Decoder(Document)


class _Generation(Struct, frozen=True):
    name: str
    about: About
    analysis: Any


class _GotBody(Struct, frozen=True):
    source: Kept = msgspec.field(name="_source")


class _GotAbout(Struct, frozen=True):
    source: About = msgspec.field(name="_source")


class _Status(Struct, frozen=True):
    status: int
    error: Any = None


class _Bulk(Struct, frozen=True):
    items: tuple[dict[str, _Status], ...] = ()


class _Count(Struct, frozen=True):
    count: int


class ElasticIndex:
    """An `Index` in an engine that others run. What is live, and what is remembered of it, changes."""

    def __init__(self, engine: Engine, name: str, schema: Schema) -> None:
        self.schema = schema
        self._engine = engine
        self._family = f"{engine.where.prefix}-{name}"
        self._alias = f"{self._family}-{version(schema)}"
        self._abouts = f"{engine.where.prefix}-about"
        self._ours = re.compile(re.escape(self._family) + r"-[0-9a-f]+-(\d{6,}-[0-9a-f]{8})")
        self._live: _Generation | None = None
        self._known = False
        self._looked = float("-inf")
        self._look: asyncio.Task[None] | None = None
        self._needed: OrderedDict[object, int] = OrderedDict()

    @property
    def revision(self) -> str:
        """The live generation's name; "empty" where there is none.

        Raises Unavailable while the engine has not been reached yet, not once.
        """
        self._look_soon()
        if not self._known:
            raise Unavailable(f"{self._engine.where.url} has not answered yet.")
        return self._live.name if self._live else "empty"

    @property
    def origin(self) -> str | None:
        """What the writer of the documents called itself; None in an empty store."""
        return self._live.about.origin if self._live else None

    @property
    def label(self) -> str | None:
        """The label of the draft that became live; None in an empty store."""
        return self._live.about.label if self._live else None

    async def search(self, query: Search) -> Found:
        """Answer the question: in one round trip, or three where few have all its words."""
        for last in (False, True):
            live = await self._current(anew=last)
            if live is None:
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
            live = await self._current(anew=last)
            if live is None:
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
        live = await self._current()
        if live is None:
            return 0
        return (await self._engine.ask(_Count, "GET", f"{live.name}/_count")).count

    # -- asking

    async def _search(self, live: _Generation, query: Search) -> Found:
        question = understand(query.text, live.analysis)
        if question is None:
            return Found((), 0, dict.fromkeys(query.facets, ()))
        key = (live.name, query.text, query.order is None, repr(query.filters), repr(query.ranges))
        needed = self._needed.get(key, len(question.words))
        answer = await self._page(live, query, question, needed)
        if key not in self._needed and needed > 1 and answer.total < enough(query.order):
            needed = await self._enough(live, query, question, answer.total)
            if needed < len(question.words):
                answer = await self._page(live, query, question, needed)
        self._needed[key] = needed
        if len(self._needed) > COUNTED:
            self._needed.popitem(last=False)
        return Found(
            tuple(hit.source.body for hit in answer.hits.hits),
            answer.total,
            answer.facets(query.facets),
        )

    async def _page(
        self, live: _Generation, query: Search, question: Question, needed: int
    ) -> Answer:
        asked = page(query, question, needed, self.schema)
        if query.offset + query.limit <= WINDOW:
            return await self._ask(live.name, asked)
        first = await self._ask(live.name, asked | {"from": 0, "size": 0})
        if query.offset >= first.total:
            return first
        skipped, after = 0, None
        async with self._point(live.name) as point:
            while True:
                size = min(WINDOW, query.offset - skipped) or query.limit
                step = asked | {"size": size, "pit": point}
                step.pop("from")
                step.pop("aggs", None)
                if after is not None:
                    step["search_after"] = after
                if skipped < query.offset:
                    step["_source"] = False
                answer = await self._ask("", step)
                if skipped >= query.offset or not answer.hits.hits:
                    return msgspec.structs.replace(
                        first, hits=msgspec.structs.replace(first.hits, hits=answer.hits.hits)
                    )
                skipped += len(answer.hits.hits)
                after = answer.hits.hits[-1].sort

    def _point(self, name: str) -> "_Point":
        return _Point(self._engine, name)

    async def _enough(
        self, live: _Generation, query: Search, question: Question, total: int
    ) -> int:
        answer = await self._ask(live.name, levels(query, question, self.schema))
        needed = len(question.words)
        while total < enough(query.order) and needed > 1:
            needed -= 1
            total = answer.aggregations[str(needed)].doc_count
        return needed

    async def _ask(self, name: str, asked: Json) -> Answer:
        # A point in time names its index itself, and takes no word on parts that fail.
        if not name:
            return await self._engine.ask(Answer, "POST", "_search", asked)
        return await self._engine.ask(
            Answer, "POST", f"{name}/_search?allow_partial_search_results=false", asked
        )

    # -- which generation is live

    def _look_soon(self) -> None:
        """Look again beside the requests, so that none has to wait for it."""
        if time.monotonic() - self._looked >= LOOK_AGAIN and (
            self._look is None or self._look.done()
        ):
            self._looked = time.monotonic()
            self._look = asyncio.get_running_loop().create_task(self._look_quietly())

    async def _look_quietly(self) -> None:
        try:
            await self.refresh()
        except (Unavailable, Misuse):
            return  # whoever asks next hears of it

    async def _current(self, *, anew: bool = False) -> _Generation | None:
        if self._live is None or anew:
            await self.refresh()
        else:
            self._look_soon()
        return self._live

    async def refresh(self) -> None:
        """Look now which generation is live."""
        names = await self._names(self._alias)
        self._looked = time.monotonic()
        name = next(iter(names), None)
        if name is None:
            self._live, self._known = None, True
        elif self._live is None or self._live.name != name:
            got = await self._engine.ask(_GotAbout, "GET", f"{self._abouts}/_doc/{name}")
            self._live = _Generation(name, got.source, Analysis(got.source.lexicon))
            self._known = True

    async def _names(self, alias: str) -> list[str]:
        try:
            return list(await self._engine.ask(dict[str, Any], "GET", f"_alias/{alias}"))
        except Gone:
            return []

    # -- writing

    async def catch_up(self) -> None:
        """Where another version of the schema has a newer catalogue, make our own of that."""
        await self.refresh()
        base = self._live.name if self._live else ""
        found = await self._generations()
        newest = max((one for one, live in found.items() if live), key=self._number, default="")
        if self._number(newest) <= self._number(base):
            return
        got = await self._engine.ask(_GotAbout, "GET", f"{self._abouts}/_doc/{newest}")
        with TemporaryDirectory() as folder:
            draft = drafts(Path(folder)).draft(got.source.label, keep=False)
            try:
                await self._copy(newest, draft)
                await self._publish(draft, base, got.source.origin, unseen, self._number(newest))
            except (Busy, Gone):
                await self.refresh()  # another process was faster
            finally:
                draft.close()

    async def fill(self, draft: Draft) -> None:
        """Put the documents that are live into a draft that was just begun."""
        if live := await self._current(anew=True):
            await self._copy(live.name, draft)

    async def _copy(self, name: str, draft: Draft) -> None:
        after = -1
        while True:
            asked = {"query": {"range": {RANK: {"gt": after}}}, "size": 1_000, "sort": [RANK]}
            hits = (await self._ask(name, asked)).hits.hits
            if not hits:
                return
            draft.put(
                msgspec.structs.replace(_DOCUMENT.decode(hit.source.clues), body=hit.source.body)
                for hit in hits
            )
            after = hits[-1].sort[0]

    async def publish(
        self, draft: Draft, base: str, origin: str, progress: Progress = unseen
    ) -> None:
        """Make a draft's documents live, all at once, in place of `base`, which they came from.

        Raises Busy where another writer was faster; nothing is changed then.
        """
        newest = max(map(self._number, [base, *await self._generations()]))
        await self._publish(draft, base, origin, progress, newest + 1)

    async def _publish(
        self, draft: Draft, base: str, origin: str, progress: Progress, catalogue: int
    ) -> None:
        draft.number()
        lexicon, places = taught(draft, self.schema), placed(draft, self.schema)
        name = f"{self._alias}-{catalogue:06d}-{token_hex(4)}"
        about = About(LAYOUT, self.schema, lexicon, origin, draft.label)
        try:
            await self._make(name, about)
            await self._send(name, draft, Analysis(lexicon), places, progress)
            await self._do("POST", f"{name}/_refresh", patience=SLOW)
            await self._do("POST", f"{name}/_forcemerge", patience=SLOW, max_num_segments="1")
            await self._switch(base, name)
        except BaseException as error:
            await asyncio.shield(self._abandon(name))
            # Who wins removes what the others have begun, at whatever they are.
            if isinstance(error, Misuse) and await self._names(self._alias) != [base]:
                raise Busy(f"Another process has published meanwhile: {error}") from error
            raise
        await self._tidy(name)
        await self.refresh()

    async def _tidy(self, name: str) -> None:
        """Drop what came before, what killed writers left, and all but one of other versions."""
        found = await self._generations()
        others = [one for one, live in found.items() if live and not self._is_ours(one)]
        kept = max(others, key=self._number, default="")
        for one, live in found.items():
            old = self._is_ours(one) and self._number(one) <= self._number(name)
            if one not in (name, kept) and (old or (live and one in others)):
                await self._drop(one)

    def _is_ours(self, name: str) -> bool:
        return name.startswith(f"{self._alias}-")

    async def _generations(self) -> dict[str, bool]:
        """All generations of all versions of the schema, and whether each is live by its own."""
        found = await self._engine.ask(
            dict[str, dict[str, dict[str, Any]]], "GET", f"{self._family}-*/_alias"
        )
        return {
            name: any(name.startswith(f"{alias}-") for alias in told["aliases"])
            for name, told in found.items()
            if self._ours.fullmatch(name)
        }

    def _number(self, name: str) -> int:
        """Which catalogue a generation is of; 0 is none."""
        matched = self._ours.fullmatch(name)
        return number(matched[1]) if matched else 0

    async def _make(self, name: str, about: About) -> None:
        settings = {"mappings": {"dynamic": False}, "settings": {"auto_expand_replicas": "0-1"}}
        try:
            await self._do("PUT", self._abouts, settings)
        except Misuse as error:
            if "already_exists" not in str(error):
                raise
        # Filled by an alias of its own: nothing is sent to an index that was removed meanwhile, for
        # an engine would make it anew, and wrongly.
        aliases: Json = {"aliases": {f"{_FILLED}{name}": {}}}
        await self._do("PUT", name, mapping(self.schema) | aliases)
        await self._do("PUT", f"{self._abouts}/_doc/{name}", _ENCODE.encode(about))

    async def _send(
        self,
        name: str,
        draft: Draft,
        analysis: Analysis,
        places: Mapping[str, Mapping[int, int]],
        progress: Progress,
    ) -> None:
        total, size, batch = draft.count(), 0, list[tuple[bytes, bytes]]()
        for one, document, body in draft.whole():
            kept = Kept(body, _CLUES.encode(document))
            sent = _ENCODE.encode(entry(one, document, kept, self.schema, analysis, places))
            batch.append((_ENCODE.encode({"index": {"_id": document.id}}), sent))
            size += len(sent)
            if size >= BATCH_BYTES:
                await self._bulk(name, batch)
                progress(one, total)
                size, batch = 0, []
        await self._bulk(name, batch)
        progress(total, total)

    async def _bulk(self, name: str, batch: list[tuple[bytes, bytes]]) -> None:
        """Send until each one has been taken; what is refused for good raises."""
        for turn in range(TRIES):
            if not batch:
                return
            lines = b"\n".join(part for pair in batch for part in pair) + b"\n"
            try:
                answer = await self._engine.ask(
                    _Bulk,
                    "POST",
                    f"{_FILLED}{name}/_bulk",
                    lines,
                    patience=60.0,
                    require_alias="true",
                )
            except Unavailable:
                if turn + 1 == TRIES:
                    raise
            else:
                results = [next(iter(item.values())) for item in answer.items]
                if len(results) != len(batch):
                    raise Unavailable(f"{len(batch)} documents were sent, {len(results)} told of.")
                for result in results:
                    if 400 <= result.status < 500 and result.status != 429:
                        raise Misuse(f"A document was refused: {result.error}")
                batch = [
                    one for one, told in zip(batch, results, strict=True) if told.status >= 400
                ]
            if batch:
                jitter = random.uniform(0.5, 1.5)  # noqa: S311 - it keeps writers apart
                await asyncio.sleep(min(5.0, 0.1 * 2**turn) * jitter)
        if batch:
            raise Busy(f"The engine did not take {len(batch)} documents in {TRIES} tries.")

    async def _switch(self, base: str, name: str) -> None:
        actions: list[Json] = []
        if base:
            actions.append({"remove": {"index": base, "alias": self._alias, "must_exist": True}})
        # Only one may be the one to write to, so that two that begin from nothing cannot both win.
        actions.append({"add": {"index": name, "alias": self._alias, "is_write_index": True}})
        try:
            await self._do("POST", "_aliases", {"actions": actions}, once=True)
        except (Misuse, Unavailable) as error:
            if isinstance(error, Unavailable) and "more than one write index" not in str(error):
                if await self._names(self._alias) == [name]:
                    return  # it was done, and the answer was lost
                raise
            raise Busy(f"Another process has published a catalogue meanwhile: {error}") from error

    async def _abandon(self, name: str) -> None:
        """Drop a generation that did not become live. Whoever publishes next does, where we cannot."""
        with contextlib.suppress(Unavailable):
            if await self._names(self._alias) != [name]:
                await self._drop(name)

    async def _drop(self, name: str) -> None:
        for path in (f"{self._abouts}/_doc/{name}", name):
            try:
                await self._do("DELETE", path)
            except Gone:
                continue

    async def _do(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        *,
        patience: float = 60.0,
        once: bool = False,
        **parameters: str,
    ) -> None:
        await self._engine.ask(
            dict[str, Any], method, path, body, patience=patience, once=once, **parameters
        )


class _Opened(Struct, frozen=True):
    id: str = ""
    pit_id: str = ""


class _Point:
    """A point in time: what is paged stays as it is, whatever becomes of the index."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._id = ""

    async def __aenter__(self) -> Json:
        dialect = await self._engine.dialect()
        opened = await self._engine.ask(
            _Opened, "POST", f"{self._name}/{dialect.opening}", keep_alive="1m"
        )
        self._id = opened.pit_id or opened.id
        return {"id": self._id, "keep_alive": "1m"}

    async def __aexit__(self, *_: object) -> None:
        dialect = await self._engine.dialect()
        named: Any = [self._id] if dialect.handle == "pit_id" else self._id
        try:
            await self._engine.ask(
                dict[str, Any], "DELETE", dialect.closing, {dialect.handle: named}
            )
        except (Unavailable, Misuse):
            return  # it ends by itself in a minute
