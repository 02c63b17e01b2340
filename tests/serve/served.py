"""A small service on our own server, for tests: served.py WHERE."""

import asyncio
import sys
from contextlib import asynccontextmanager

from msgspec import Struct

from ogrom.http import Accepted, Resource, Service
from ogrom.serve import App, Limits, serve


class Note(Struct):
    """What the notes take."""

    text: str


def wait(seconds):
    """A resource's function that waits so long."""

    async def exists(_):
        await asyncio.sleep(seconds)
        return {"waited": seconds}

    return exists


async def keep(ctx, _):
    """Reads the content, and does nothing with it."""
    ctx.body(Note)
    return Accepted()


SERVICE = Service(
    {
        "/hello/{name}": Resource(name="hello", handle_ok=lambda ctx, _: {"hello": ctx["name"]}),
        "/notes": Resource(name="notes", body=Note, post=keep),
        "/slow": Resource(name="slow", exists=wait(0.05), handle_ok=lambda _, found: found),
        "/forever": Resource(name="forever", exists=wait(600), handle_ok=lambda _, found: found),
        "/bad-field": Resource(
            name="bad-field", cache_control="a\r\nb: c", handle_ok=lambda _, __: {}
        ),
    }
)

LIMITS = Limits(
    target=500, head=2000, content=1000, head_seconds=3, content_seconds=2, answer_seconds=4
)


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield App(service=SERVICE, release="abc")


if __name__ == "__main__":
    serve(opened, sys.argv[1], limits=LIMITS)
