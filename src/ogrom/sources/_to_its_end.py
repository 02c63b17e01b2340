"""Work that must not be left half done, whoever is cancelled meanwhile: a commit, a rollback, a release."""

import asyncio
from collections.abc import Awaitable


async def to_its_end(work: Awaitable[object]) -> None:
    """Do the work to its end, which has to come by itself; then be cancelled, if we were.

    Raises: what the work raises; CancelledError, from that, where we were cancelled.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    task.result()
