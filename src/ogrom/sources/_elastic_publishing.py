"""Fills a generation of an index in an Elasticsearch or OpenSearch, and makes it live.

Rule 1. A generation is filled aside and becomes live by one call of `_aliases`, which fails where
        another one became live in the meantime: of two writers one wins, and the other hears so.
Rule 2. The one that was live before is removed after the switch, and so is what a killed writer
        left.
Rule 3. A version of the schema that finds another one's catalogue to be newer, by its number, makes
        its own of that: see `catch_up`. Of the other versions the newest catalogue is kept for the
        release that reads it.
"""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from msgspec import Struct

from ogrom.sources._analysis import Analysis
from ogrom.sources._asking import Answer, Json, Kept, entry, mapping, whole
from ogrom.sources._building import LAYOUT, RANK, About, Progress, placed, taught, unseen
from ogrom.sources._elastic_live import Live
from ogrom.sources._engine import Gone
from ogrom.sources._errors import Busy, Misuse, Unavailable
from ogrom.sources._generations import Draft, drafts
from ogrom.sources._query import Document

BATCH_BYTES = 4_000_000
"""How much is sent at once."""

TRIES = 8
"""How often what an engine was too busy to take is sent."""

SLOW = 600.0
"""Seconds that making an index ready may take."""

_FILLED = "fill-"

_ENCODE = msgspec.json.Encoder()
_CLUES = msgspec.msgpack.Encoder()
_DOCUMENT = msgspec.msgpack.Decoder(Document)


class _Status(Struct, frozen=True):
    status: int
    error: Any = None


class _Bulk(Struct, frozen=True):
    items: tuple[dict[str, _Status], ...] = ()


class Publisher:
    """Writes the generations of one index."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def catch_up(self) -> None:
        """Where another version of the schema has a newer catalogue, make our own of that."""
        live = await self._live.look()
        base = live.name if live else ""
        found = await self._live.generations()
        newest = max(
            (one for one, is_live in found.items() if is_live), key=self._live.number, default=""
        )
        if self._live.number(newest) <= self._live.number(base):
            return
        about = await self._live.about(newest)
        with TemporaryDirectory() as folder:
            draft = drafts(Path(folder)).draft(about.label, keep=False)
            try:
                await self._copy(newest, draft)
                await self._publish(draft, base, about.origin, unseen, self._live.number(newest))
            except (Busy, Gone):
                await self._live.look()  # another process was faster
            finally:
                draft.close()

    async def fill(self, draft: Draft) -> None:
        """Put the documents that are live into a draft that was just begun."""
        if live := await self._live.look():
            await self._copy(live.name, draft)

    async def _copy(self, name: str, draft: Draft) -> None:
        after = -1
        while True:
            asked = {"query": {"range": {RANK: {"gt": after}}}, "size": 1_000, "sort": [RANK]}
            answer = await self._live.engine.ask(Answer, "POST", whole(name), asked)
            hits = answer.hits.hits
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
        newest = max(map(self._live.number, [base, *await self._live.generations()]))
        await self._publish(draft, base, origin, progress, newest + 1)

    async def _publish(
        self, draft: Draft, base: str, origin: str, progress: Progress, catalogue: int
    ) -> None:
        draft.number()
        lexicon, places = taught(draft, self._live.schema), placed(draft, self._live.schema)
        name = f"{self._live.alias}-{catalogue:06d}-{token_hex(4)}"
        about = About(LAYOUT, self._live.schema, lexicon, origin, draft.label)
        try:
            await self._make(name, about)
            await self._send(name, draft, Analysis(lexicon), places, progress)
            await self._do("POST", f"{name}/_refresh", patience=SLOW)
            await self._do("POST", f"{name}/_forcemerge", patience=SLOW, max_num_segments="1")
            await self._switch(base, name)
        except BaseException as error:
            await asyncio.shield(self._abandon(name))
            # Who wins removes what the others have begun, at whatever they are.
            if isinstance(error, Misuse) and await self._live.names(self._live.alias) != [base]:
                raise Busy(f"Another process has published meanwhile: {error}") from error
            raise
        await self._tidy(name)
        await self._live.look()

    async def _tidy(self, name: str) -> None:
        """Drop what came before, what killed writers left, and all but one of other versions."""
        found = await self._live.generations()
        others = [one for one, live in found.items() if live and not self._live.is_ours(one)]
        kept = max(others, key=self._live.number, default="")
        for one, live in found.items():
            old = self._live.is_ours(one) and self._live.number(one) <= self._live.number(name)
            if one not in (name, kept) and (old or (live and one in others)):
                await self._drop(one)

    async def _make(self, name: str, about: About) -> None:
        settings = {"mappings": {"dynamic": False}, "settings": {"auto_expand_replicas": "0-1"}}
        try:
            await self._do("PUT", self._live.abouts, settings)
        except Misuse as error:
            if "already_exists" not in str(error):
                raise
        # Filled by an alias of its own: nothing is sent to an index that was removed meanwhile, for
        # an engine would make it anew, and wrongly.
        aliases: Json = {"aliases": {f"{_FILLED}{name}": {}}}
        await self._do("PUT", name, mapping(self._live.schema) | aliases)
        await self._do("PUT", f"{self._live.abouts}/_doc/{name}", _ENCODE.encode(about))

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
            sent = _ENCODE.encode(entry(one, document, kept, self._live.schema, analysis, places))
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
                answer = await self._live.engine.ask(
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
            actions.append(
                {"remove": {"index": base, "alias": self._live.alias, "must_exist": True}}
            )
        # Only one may be the one to write to, so that two that begin from nothing cannot both win.
        actions.append({"add": {"index": name, "alias": self._live.alias, "is_write_index": True}})
        try:
            await self._do("POST", "_aliases", {"actions": actions}, once=True)
        except (Misuse, Unavailable) as error:
            if isinstance(error, Unavailable) and "more than one write index" not in str(error):
                if await self._live.names(self._live.alias) == [name]:
                    return  # it was done, and the answer was lost
                raise
            raise Busy(f"Another process has published a catalogue meanwhile: {error}") from error

    async def _abandon(self, name: str) -> None:
        """Drop a generation that did not become live. Whoever publishes next does, where we cannot."""
        with contextlib.suppress(Unavailable):
            if await self._live.names(self._live.alias) != [name]:
                await self._drop(name)

    async def _drop(self, name: str) -> None:
        for path in (f"{self._live.abouts}/_doc/{name}", name):
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
        await self._live.engine.ask(
            dict[str, Any], method, path, body, patience=patience, once=once, **parameters
        )
