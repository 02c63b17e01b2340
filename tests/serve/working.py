"""A service in several processes, for tests: working.py WHERE WORKERS [broken]."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager

from ogrom.http import Resource, Service
from ogrom.serve import App, Limits, serve


async def second(_):
    """Takes a second."""
    await asyncio.sleep(1)
    return True


async def minutes(_):
    """Takes ten minutes."""
    await asyncio.sleep(600)
    return True


SERVICE = Service(
    {
        "/pid": Resource(name="pid", handle_ok=lambda _, __: os.getpid()),
        "/slow": Resource(name="slow", exists=second, handle_ok=lambda _, __: os.getpid()),
        "/forever": Resource(name="forever", exists=minutes, handle_ok=lambda _, __: 0),
    }
)


@asynccontextmanager
async def opened():
    """Nothing to open, or nothing that can be."""
    if "broken" in sys.argv:
        raise LookupError("no such source")
    yield App(service=SERVICE, release="abc")


if __name__ == "__main__":
    serve(opened, sys.argv[1], limits=Limits(), workers=int(sys.argv[2]))
