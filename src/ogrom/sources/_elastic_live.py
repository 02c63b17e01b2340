"""Which generation of an index is live in an Elasticsearch or OpenSearch, and what there is besides.

    <prefix>-<name>-<version>                         the alias: which generation is live
    <prefix>-<name>-<version>-000002-9f3c2e1a         a generation: one index, never changed again
    <prefix>-about                                    how each generation was made

Each version of the schema has its own alias. It is looked at again beside the questions, so that none
has to wait for that.
"""

import asyncio
import re
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final

from msgspec import Struct, field

from ogrom.sources._analysis import Analysis
from ogrom.sources._building import About, version
from ogrom.sources._engine import Engine, Gone
from ogrom.sources._errors import Misuse, Unavailable
from ogrom.sources._generations import number
from ogrom.sources._matching import Question, understand
from ogrom.sources._query import Schema

LOOK_AGAIN = 1.0
"""Seconds for which it is not looked whether there is a new generation."""

UNDERSTOOD: Final = 1_000
"""How many texts are remembered."""


class Generation(Struct, frozen=True):
    """One generation, with the way in which a text is understood that is looked for in it."""

    name: str
    about: About
    understand: Callable[[str], Question | None]
    """By the analysis that it was made by; texts that were asked for lately are remembered."""


class _GotAbout(Struct, frozen=True):
    source: About = field(name="_source")


class Live:
    """Which generation is live, as far as is known. It changes whenever that does."""

    def __init__(self, engine: Engine, name: str, schema: Schema) -> None:
        self.engine = engine
        self.schema = schema
        self.family = f"{engine.where.prefix}-{name}"
        self.alias = f"{self.family}-{version(schema)}"
        self.abouts = f"{engine.where.prefix}-about"
        """Where it is kept how each generation was made."""
        self.known: Generation | None = None
        """The live one, as it was when it was looked at last."""
        self._ours = re.compile(re.escape(self.family) + r"-[0-9a-f]+-(\d{6,}-[0-9a-f]{8})")
        self._has_looked = False
        self._looked = float("-inf")
        self._look: asyncio.Task[None] | None = None

    @property
    def revision(self) -> str:
        """The live generation's name; "empty" where there is none.

        Raises Unavailable while the engine has not been reached yet, not once.
        """
        if (live := self.present()) is not None:
            return live.name
        if not self._has_looked:
            raise Unavailable(f"{self.engine.where.url} has not answered yet.")
        return "empty"

    def present(self) -> Generation | None:
        """The live one as far as is known; it is looked at again soon. None: not known, or none."""
        now = time.monotonic()
        if now - self._looked >= LOOK_AGAIN and (self._look is None or self._look.done()):
            self._looked = now
            self._look = asyncio.get_running_loop().create_task(self._look_quietly())
        return self.known

    async def _look_quietly(self) -> None:
        try:
            await self.look()
        except (Unavailable, Misuse):
            return  # whoever asks next hears of it

    async def look(self) -> Generation | None:
        """Look now which one is live; None where none is."""
        names = await self.names(self.alias)
        self._looked = time.monotonic()
        name = next(iter(names), None)
        if name is None:
            self.known = None
        elif self.known is None or self.known.name != name:
            about = await self.about(name)
            by_analysis = partial(understand, analysis=Analysis(about.lexicon))
            self.known = Generation(name, about, lru_cache(UNDERSTOOD)(by_analysis))
        self._has_looked = True
        return self.known

    async def about(self, name: str) -> About:
        """How a generation was made."""
        return (await self.engine.ask(_GotAbout, "GET", f"{self.abouts}/_doc/{name}")).source

    async def names(self, alias: str) -> list[str]:
        """The indices that an alias stands for."""
        try:
            return list(await self.engine.ask(dict[str, Any], "GET", f"_alias/{alias}"))
        except Gone:
            return []

    def is_ours(self, name: str) -> bool:
        """Whether it is a generation of this version of the schema."""
        return name.startswith(f"{self.alias}-")

    async def generations(self) -> dict[str, bool]:
        """All generations of all versions of the schema, and whether each is live by its own."""
        found = await self.engine.ask(
            dict[str, dict[str, dict[str, Any]]], "GET", f"{self.family}-*/_alias"
        )
        return {
            name: any(name.startswith(f"{alias}-") for alias in told["aliases"])
            for name, told in found.items()
            if self._ours.fullmatch(name)
        }

    def number(self, name: str) -> int:
        """Which catalogue a generation is of; 0 is none."""
        matched = self._ours.fullmatch(name)
        return number(matched[1]) if matched else 0
