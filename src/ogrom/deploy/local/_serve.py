"""All that `ogrom up` can be spoken to through: its socket, and the page where one is wanted."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from ogrom.deploy.local._control import answering
from ogrom.deploy.local._page import showing
from ogrom.deploy.local._supervisor import Supervisor


@asynccontextmanager
async def serve(up: Supervisor) -> AsyncGenerator[None]:
    """Answer while the block runs."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(answering(up, up.sockets / "control.sock"))
        if up.settings.page:
            await stack.enter_async_context(showing(up, up.settings.page))
        yield
