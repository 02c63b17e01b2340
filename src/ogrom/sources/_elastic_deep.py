"""Pages deeper than an engine counts: by a point in time, from which it is gone on (`search_after`)."""

from typing import Any

from msgspec import Struct, structs

from ogrom.sources._asking import Answer, Json, whole
from ogrom.sources._engine import Engine
from ogrom.sources._errors import Misuse, Unavailable

WINDOW = 10_000
"""How deep an engine lets a result be paged by number."""


async def deep(engine: Engine, name: str, asked: Json) -> Answer:
    """One page of what is found in an index, where it lies beyond the window.

    Args:
        engine: whom to ask.
        name: the index.
        asked: the search of the page, with `from` and `size`.
    """
    offset, limit = asked["from"], asked["size"]
    first = await engine.ask(Answer, "POST", whole(name), asked | {"from": 0, "size": 0})
    if offset >= first.total:
        return first
    skipped, after = 0, None
    async with _Point(engine, name) as point:
        while True:
            step = asked | {"size": min(WINDOW, offset - skipped) or limit, "pit": point}
            step.pop("from")
            step.pop("aggs", None)
            if after is not None:
                step["search_after"] = after
            if skipped < offset:
                step["_source"] = False
            # A point in time names its index itself, and takes no word on parts that fail.
            answer = await engine.ask(Answer, "POST", "_search", step)
            if skipped >= offset or not answer.hits.hits:
                hits = structs.replace(first.hits, hits=answer.hits.hits)
                return structs.replace(first, hits=hits)
            skipped += len(answer.hits.hits)
            after = answer.hits.hits[-1].sort


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
