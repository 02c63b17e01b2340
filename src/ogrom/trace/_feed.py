"""The list of traces as it grows, as server-sent events.

Each has an id, so that who lost the connection says the last one (`Last-Event-ID`) and misses nothing that
is still kept. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from ogrom import deadline
from ogrom.trace._ring import Ring
from ogrom.trace._trace import Kept

_PAUSE: Final = 5.0
"""After so many seconds without news something is sent, so that each side knows of the other."""


class Feed:
    """Tells any number of pages. It changes with each trace, and with what is wrong with the code."""

    def __init__(self, ring: Ring) -> None:
        self._ring: Final = ring
        self._broken = ""
        self._over = False
        self._waiting: Final[dict[asyncio.Event, asyncio.AbstractEventLoop]] = {}

    @property
    def broken(self) -> str:
        """Why the newest code cannot be run; "" where it can. It may be set from any thread."""
        return self._broken

    @broken.setter
    def broken(self, why: str) -> None:
        self._broken = why
        self._wake()

    def put(self, kept: Kept) -> None:
        """Keep one more trace, and tell of it."""
        self._ring.put(kept)
        self._wake()

    def end(self) -> None:
        """Tell what there is to tell, and no more: the server wants to stop."""
        self._over = True
        self._wake()

    async def events(self, last: str) -> AsyncGenerator[bytes]:
        """What has happened since the event of that id, and what happens from now on.

        `anew`: forget all, it is another list. `trace`: a summary. `broken`: why the newest code
        cannot be run.

        Args:
            last: the id; "" for all that is kept.
        """
        news, loop = asyncio.Event(), asyncio.get_running_loop()
        self._waiting[news] = loop
        list_, _, number = last.partition(".")
        follows = list_ == self._ring.name and number.isdecimal()
        told, broken = int(number) if follows else 0, self._broken
        start = b": the list goes on\n\n" if follows else b"event: anew\ndata: {}\n\n"
        try:
            yield start + _event("broken", broken)
            while True:
                news.clear()
                said = list[bytes]()
                if broken != self._broken:
                    broken = self._broken
                    said.append(_event("broken", broken))
                for kept in reversed([each for each in self._ring if each.summary.number > told]):
                    told = kept.summary.number
                    said.append(_event("trace", kept.summary, f"{self._ring.name}.{told}"))
                if said:
                    yield b"".join(said)
                if self._over:
                    return
                left = deadline.left(2 * _PAUSE) or 0.0
                try:
                    async with asyncio.timeout(left / 2):
                        await news.wait()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            del self._waiting[news]

    def _wake(self) -> None:
        for news, loop in tuple(self._waiting.items()):
            loop.call_soon_threadsafe(news.set)


def _event(kind: str, value: object, id: str = "") -> bytes:
    named = f"id: {id}\n" if id else ""
    return f"{named}event: {kind}\ndata: ".encode() + msgspec.json.encode(value) + b"\n\n"
