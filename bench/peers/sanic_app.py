"""Sanic on its own server, one process, with validation by hand."""

from _data import PRODUCTS, found, port, revision
from sanic import Sanic
from sanic.response import empty, json

app = Sanic("peer")
app.config.ACCESS_LOG = False
app.config.MOTD = False


@app.get("/products")
async def products(request):
    """A search."""
    items = found(request.query_string)
    return json({"items": items, "total": len(items)})


@app.get("/products/<product_id>")
async def product(request, product_id: str):
    """One product."""
    one = PRODUCTS.get(product_id)
    if one is None:
        return json({"detail": "There is no such product."}, 404)
    tag = f'"{revision(product_id)}"'
    if request.headers.get("if-none-match") == tag:
        return empty(304, headers={"ETag": tag})
    return json(one, headers={"ETag": tag})


@app.post("/products/<product_id>/comments")
async def comment(request, product_id: str):
    """A comment, validated."""
    try:
        text, stars = str(request.json["text"]), int(request.json["stars"])
    except (KeyError, TypeError, ValueError):
        return json({"detail": "not valid"}, 422)
    return json({"id": 1, "text": text, "stars": stars}, 201, headers={"Location": "/comments/1"})


if __name__ == "__main__":
    app.run(port=port(), single_process=True, access_log=False, motd=False)
