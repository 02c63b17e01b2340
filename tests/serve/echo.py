"""A service that says what it has read, on our server or on uvicorn: echo.py SERVER WHERE [LIMITS].

SERVER is `ours` or `uvicorn`; WHERE is what `listen` takes; LIMITS are JSON, as `Limits` has them.
"""

import asyncio
import hashlib
import json
import socket
import sys
from contextlib import asynccontextmanager

from msgspec import Struct

from ogrom.http import JSON, Media, MediaType, Resource, Service, Updated
from ogrom.serve import App, Limits, asgi, listen, serve


class Query(Struct, frozen=True):
    """What is asked besides."""

    q: str = ""
    n: int = 0


def said(ctx, content=b""):
    """What was read of a request."""
    return {
        "name": ctx["name"],
        "method": ctx.method,
        "q": ctx.query(Query).q,
        "length": len(content),
        "sum": hashlib.sha256(content).hexdigest()[:16],
    }


async def read(ctx, _):
    """Reads the content."""
    return Updated(said(ctx, ctx.body(bytes)))


async def wait(ctx):
    """Takes so many milliseconds."""
    await asyncio.sleep(ctx["ms"] / 1000)
    return {"waited": ctx["ms"]}


def show(ctx, found):
    """What an action has read, or what a GET says."""
    return found if isinstance(found, dict) else said(ctx)


PLAIN = Media(MediaType("application", "octet-stream"), decoder=lambda _: lambda content: content)
MANY = Media(MediaType("application", "octet-stream"), encode=lambda size: b"x" * size)

SERVICE = Service(
    {
        "/echo/{name}": Resource(
            name="echo", query=Query, body=bytes, consumes=(PLAIN, JSON), max_content=1 << 20,
            etag=lambda _: "1", post=read, put=read, handle_ok=show, encodings=("gzip",),
        ),
        "/wait/{ms:int}": Resource(name="wait", exists=wait, handle_ok=lambda _, found: found),
        "/many/{size:int}": Resource(
            name="many", media_types=(MANY,), encodings=(), handle_ok=lambda ctx, _: ctx["size"]
        ),
        "/closed/{name}": Resource(name="closed", allowed=False, body=bytes, post=read),
    }
)  # fmt: skip


@asynccontextmanager
async def opened():
    """Nothing to open."""
    yield App(service=SERVICE, release="abc")


def on_uvicorn(listener: socket.socket, limits: Limits) -> None:
    """By the ASGI adapter."""
    import uvicorn

    config = uvicorn.Config(
        asgi(opened, limits=limits), http="httptools", log_level="error", access_log=False,
        timeout_keep_alive=75, timeout_graceful_shutdown=10, ws="none",
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])


def main(server: str, where: str, limits: str = "{}") -> None:
    """Serve until told to stop."""
    bounds = Limits(**json.loads(limits))
    if server == "ours":
        serve(opened, where, limits=bounds)
    else:
        with listen(where) as listener:
            on_uvicorn(listener, bounds)


if __name__ == "__main__":
    main(*sys.argv[1:])
