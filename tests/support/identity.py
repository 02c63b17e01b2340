"""The identity API as a real server process that can be slow, wrong or failing: `python identity.py PORT`.

`POST /control?mode=…` switches it: ok, slow (30 s), garbage, huge, type, failing. `GET /control`
counts the requests so far.
"""

import asyncio
import sys

from aiohttp import web

from shop.run.identity import stand_in
from shop.sources.demo import demo_users


def faulty() -> web.Application:
    """The stand-in, behind a switch."""
    state = {"mode": "ok", "calls": 0}

    async def control(request: web.Request) -> web.Response:
        state["mode"] = request.query.get("mode", state["mode"])
        return web.json_response(state)

    @web.middleware
    async def fail(request: web.Request, handler):
        state["calls"] += not request.path.endswith("/users/-")  # asked for its own sake
        match state["mode"]:
            case "slow":
                await asyncio.sleep(30)
            case "garbage":
                return web.Response(text="{<html>", content_type="application/json")
            case "huge":
                return web.Response(body=b" " * (4 << 20), content_type="application/json")
            case "type":
                return web.json_response({"id": 7, "active": "perhaps"})
            case "failing":
                return web.json_response({}, status=500)
        return await handler(request)

    api = stand_in(demo_users())
    api.middlewares.insert(0, fail)
    whole = web.Application()
    whole.add_subapp("/api", api)
    whole.router.add_route("*", "/control", control)
    return whole


if __name__ == "__main__":
    web.run_app(faulty(), host="127.0.0.1", port=int(sys.argv[1]), print=None, shutdown_timeout=1)
