"""A stand-in for the identity API that the shop's users come from: the demo users, for trying out.

It speaks what `shop.sources.users_http` expects. Its secret and its users' tokens can be read here
by anybody, so it is no identity provider, and never to be reached by others.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from shop.protocols import User

__all__ = ["SECRET", "stand_in"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SECRET: Final = "demo-secret"  # noqa: S105 - it is for everybody to know
"""What the shop has to send: `OGROM_USERS_TOKEN=demo-secret`."""


def stand_in(users: Mapping[str, User], *, secret: str = SECRET) -> web.Application:
    """The API.

    Args:
        users: who is known, by their bearer tokens.
        secret: what a caller has to send as its own bearer token.
    """
    by_id = {user.id: user for user in users.values()}

    @web.middleware
    async def authorized(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {secret}".encode()):
            return web.json_response({"error": "invalid_client"}, status=401)
        return await handler(request)

    async def user(request: web.Request) -> web.Response:
        found = by_id.get(request.match_info["user_id"])
        return _json(found) if found else web.json_response({"error": "not_found"}, status=404)

    async def introspect(request: web.Request) -> web.Response:
        found = users.get(str((await request.post()).get("token", "")))
        return _json({"active": True, "sub": found.id} if found else {"active": False})

    application = web.Application(middlewares=[authorized])
    application.add_routes([web.get("/users/{user_id}", user), web.post("/introspect", introspect)])
    return application


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
