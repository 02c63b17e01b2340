"""aiohttp on its own server, on uvloop, with validation by hand."""

import uvloop
from _data import PRODUCTS, found, port, revision
from aiohttp import web

routes = web.RouteTableDef()


@routes.get("/products")
async def products(request):
    """A search."""
    items = found(request.query_string)
    return web.json_response({"items": items, "total": len(items)})


@routes.get("/products/{product_id}")
async def product(request):
    """One product."""
    product_id = request.match_info["product_id"]
    one = PRODUCTS.get(product_id)
    if one is None:
        return web.json_response({"detail": "There is no such product."}, status=404)
    response = web.json_response(one)
    response.etag = revision(product_id)
    if any(tag.value == revision(product_id) for tag in request.if_none_match or ()):
        return web.Response(status=304, headers={"ETag": f'"{revision(product_id)}"'})
    return response


@routes.post("/products/{product_id}/comments")
async def comment(request):
    """A comment, validated."""
    try:
        draft = await request.json()
        text, stars = str(draft["text"]), int(draft["stars"])
    except (ValueError, KeyError, TypeError):
        return web.json_response({"detail": "not valid"}, status=422)
    made = {"id": 1, "text": text, "stars": stars}
    return web.json_response(made, status=201, headers={"Location": "/comments/1"})


if __name__ == "__main__":
    uvloop.install()
    app = web.Application()
    app.add_routes(routes)
    web.run_app(app, host="127.0.0.1", port=port(), access_log=None, print=None)
