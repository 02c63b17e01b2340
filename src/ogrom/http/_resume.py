"""From a generated function back onto the plain walk, wherever something is out of the ordinary.

A generated function knows the ordinary way of one method, and keeps what it learns in its own
variables. Where the way forks, and where an exception ends it, these make a `Walk` of those
variables, and the walker goes on as if it had come there by itself.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Final

from ogrom.http._engine import ended_by, walk
from ogrom.http._errors import ContentTooLarge
from ogrom.http._graph import HANDLERS
from ogrom.http._message import Context, Request, Response
from ogrom.http._outcome import Outcome
from ogrom.http._render import finish, respond, settle
from ogrom.http._variant import Variant
from ogrom.http._walk import Prepared, Walk, at_start


class Resume:
    """The ways back for one resource. All take what the function has learnt by then.

    Args:
        prepared: the resource.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared: Final = prepared

    async def walk_on(
        self,
        node: str,
        request: Request,
        ctx: Context,
        variant: Variant,
        entity: Any = None,
        body: bytes = b"",
        outcome: Outcome | None = None,
    ) -> Response:
        """The response that the plain walk comes to from a node."""
        state = self._walk(request, ctx, variant, entity, body, outcome)
        return await respond(state, *await walk(state, node))

    async def fail(
        self,
        error: Exception,
        request: Request,
        ctx: Context,
        variant: Variant,
        entity: Any = None,
        body: bytes = b"",
        outcome: Outcome | None = None,
    ) -> Response:
        """The response where an exception ended it: a refusal, or a 500."""
        state = self._walk(request, ctx, variant, entity, body, outcome)
        return await respond(state, *ended_by(state, error))

    async def show(
        self,
        handler: str,
        value: object,
        request: Request,
        ctx: Context,
        variant: Variant,
        entity: Any = None,
        body: bytes = b"",
        outcome: Outcome | None = None,
    ) -> Response:
        """The response that shows what a handler returned, whatever that is."""
        state = self._walk(request, ctx, variant, entity, body, outcome)
        status = HANDLERS[handler]
        return finish(state, handler, status, await settle(state, value, status))

    def _walk(
        self,
        request: Request,
        ctx: Context,
        variant: Variant,
        entity: Any,
        body: bytes,
        outcome: Outcome | None,
    ) -> Walk:
        state = at_start(self._prepared, request, ctx)
        variant.enter(state)
        state.exists = state.exists or entity is not None
        state.entity, state.content, state.outcome = entity, body, outcome
        return state


async def settled(answer: object) -> bool:
    """What a decision's function returned, as a truth; awaited where it must be."""
    return bool(await answer if isawaitable(answer) else answer)


async def received(read: Callable[[], Awaitable[bytes]]) -> bytes | None:
    """The content; None where there is too much of it."""
    try:
        return await read()
    except ContentTooLarge:
        return None
