"""The documents of an engine's live generation that were found lately: it never changes, so each is fetched once.

Rule 1. What was read of a generation stays right for as long as that is asked.
Rule 2. A search brings the bodies of what it finds only while much of that is new. Else it brings ids, and
        what few are missing are fetched after it: less to send, to read and to make, for both sides.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from ogrom.sources._asking import Hit, Kept
from ogrom.sources._engine import Engine
from ogrom.sources._errors import Unavailable

MOST_BYTES: Final = 8 << 20
"""How much is kept of one index; what was fetched first goes first."""

_MUCH: Final = 0.25
"""So much of a page has to be new, that the next search brings the bodies with it."""


class _Got(Struct, frozen=True, gc=False):
    id: str = field(name="_id")
    found: bool = False
    source: Kept = field(default_factory=Kept, name="_source")


class _Many(Struct, frozen=True, gc=False):
    docs: tuple[_Got, ...]


class Documents:
    """Bodies by id, of one generation. It changes with what is found."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._name = ""
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self.are_new = True
        """Whether a search should bring the bodies of what it finds."""

    async def bodies(self, name: str, hits: Sequence[Hit], *, brought: bool) -> tuple[bytes, ...]:
        """The bodies of what was found in a generation.

        Args:
            name: the generation.
            hits: what was found.
            brought: whether the bodies are in them.

        Raises:
            Unavailable: what is missing cannot be fetched, such as where the generation was removed.
        """
        kept: Mapping[str, bytes] = self._kept if name == self._name else {}
        bodies = [kept.get(hit.id) for hit in hits]
        missing = {
            hit.id: hit.source.body for hit, body in zip(hits, bodies, strict=True) if body is None
        }
        if hits:
            self.are_new = len(missing) > _MUCH * len(hits)
        if missing:
            if not brought:
                missing = await self._fetch(name, list(missing))
            self._keep(name, missing)
        return tuple(
            [
                missing[hit.id] if body is None else body
                for hit, body in zip(hits, bodies, strict=True)
            ]
        )

    async def _fetch(self, name: str, ids: Sequence[str]) -> dict[str, bytes]:
        path = f"{name}/_mget?realtime=false&_source=body"
        answer = await self._engine.ask(_Many, "POST", path, {"ids": ids})
        found = {one.id: one.source.body for one in answer.docs if one.found}
        if len(found) < len(ids):  # removed between the two questions, or out of reach
            lack = f"{len(ids) - len(found)} documents that were found in {name}"
            raise Unavailable(f"{self._engine.where.url} does not give {lack}.")
        return found

    def _keep(self, name: str, bodies: dict[str, bytes]) -> None:
        if name != self._name:
            self._name, self._bytes = name, 0
            self._kept.clear()
        for each, body in bodies.items():
            if each not in self._kept:
                self._kept[each] = body
                self._bytes += len(body)
        while self._bytes > MOST_BYTES:
            _, body = self._kept.popitem(last=False)
            self._bytes -= len(body)
