"""A small service whose answers caches may keep, for tests: kept.py WHERE. It counts who asks it."""

import sys
from contextlib import asynccontextmanager

from msgspec import Struct

from ogrom.http import NoContent, PreconditionFailed, Resource, Service, ServiceUnavailable
from ogrom.serve import App, serve


class Note(Struct):
    """What the note takes."""

    text: str


STATE = {"text": "first", "up": True, "asked": 0}


async def find(_):
    """The note, as often as it is asked for; 503 where it has been told so."""
    STATE["asked"] += 1
    if not STATE["up"]:
        raise ServiceUnavailable(retry_after=1)
    return {"text": STATE["text"], "asked": STATE["asked"]}


async def write(ctx, _):
    """Another text; "refuse" is refused, "down" and "up" say whether it can be read."""
    text = ctx.body(Note).text
    if text == "refuse":
        raise PreconditionFailed
    STATE["up"] = text != "down"
    STATE["text"] = text
    return NoContent()


def note(name, kept):
    """A resource that shows the note, to be kept in this way."""
    return Resource(
        name=name,
        body=Note,
        exists=find,
        put=write,
        cache_control=kept,
        handle_ok=lambda _, found: found,
    )


SERVICE = Service(
    {
        "/hour": note("hour", "public, max-age=3600"),
        "/second": note("second", "public, max-age=1, stale-if-error=600"),
        "/strict": note("strict", "public, max-age=1"),
        "/never": note("never", "no-store"),
        "/mine": note("mine", "private, max-age=3600"),
        "/switch": Resource(name="switch", body=Note, post=write),
    }
)


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield App(service=SERVICE)


if __name__ == "__main__":
    serve(opened, sys.argv[1])
