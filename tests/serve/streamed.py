"""A service that streams, on our own server, for tests: streamed.py WHERE."""

import asyncio
import sys
from contextlib import asynccontextmanager

from ogrom import deadline
from ogrom.http import Answer, Resource, Service, Stream
from ogrom.serve import App, Limits, serve

BIG = 64 << 10
SEEN = {"made": 0, "closed": 0}


async def flood():
    """Megabytes without end, counted; and how it ended."""
    try:
        while True:
            SEEN["made"] += 1
            yield b"x" * BIG
    finally:
        SEEN["closed"] += 1


async def trickle():
    """A little now and then, for ever."""
    try:
        while True:
            yield b"drop"
            await asyncio.sleep(0.3)
    finally:
        SEEN["closed"] += 1


async def numbers():
    """Three pieces, with an empty one among them; the last says what time was left for it."""
    yield b"1"
    yield b""
    await asyncio.sleep(0.01)
    yield b"2"
    yield b"3" if 0 < (deadline.left() or 0) <= LIMITS.answer_seconds else b"late"


async def broken(after):
    """So many pieces, and then it fails."""
    for _ in range(after):
        yield b"piece"
    raise LookupError("a secret")


async def slow(after):
    """So many pieces, and then one that takes too long."""
    for _ in range(after):
        yield b"piece"
    await asyncio.sleep(600)
    yield b"never"


def streams(name, make, **also):
    """A resource that streams what `make` makes."""
    return Resource(name=name, handle_ok=lambda ctx, _: make(ctx), **also)


SERVICE = Service(
    {
        "/numbers": streams(
            "numbers", lambda _: Stream(numbers(), "text/plain"), etag=lambda _: "n"
        ),
        "/plain": streams("plain", lambda _: Stream([b"a", b"b"], "text/plain", length=2)),
        "/named": streams("named", lambda _: Answer(Stream(iter([b"{}"])), {"X-Name": "n"})),
        "/flood": streams("flood", lambda _: Stream(flood(), "text/plain")),
        "/trickle": streams("trickle", lambda _: Stream(trickle(), "text/plain")),
        "/broken/{after:int}": streams("broken", lambda ctx: Stream(broken(ctx["after"]))),
        "/slow/{after:int}": streams("slow", lambda ctx: Stream(slow(ctx["after"]))),
        "/short": streams("short", lambda _: Stream([b"ab"], length=3)),
        "/long": streams("long", lambda _: Stream([b"ab", b"cd"], length=3)),
        "/seen": Resource(name="seen", handle_ok=lambda _, __: SEEN),
    }
)

LIMITS = Limits(content_seconds=2, answer_seconds=1)


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield App(service=SERVICE)


if __name__ == "__main__":
    serve(opened, sys.argv[1], limits=LIMITS)
