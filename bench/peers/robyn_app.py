"""Robyn on its own server, one process, with validation by hand."""

import json

from _data import PRODUCTS, found, port, revision
from robyn import Headers, Response, Robyn

app = Robyn(__file__)
JSON = {"content-type": "application/json"}


@app.get("/products")
async def products(request):
    """A search."""
    items = found(f"q={request.query_params.get('q', '')}")
    return {"items": items, "total": len(items)}


@app.get("/products/:product_id")
async def product(request):
    """One product."""
    product_id = request.path_params["product_id"]
    one = PRODUCTS.get(product_id)
    if one is None:
        return Response(404, Headers(JSON), '{"detail":"There is no such product."}')
    tag = f'"{revision(product_id)}"'
    if request.headers.get("if-none-match") == tag:
        return Response(304, Headers({"etag": tag}), "")
    return Response(200, Headers({**JSON, "etag": tag}), json.dumps(one))


@app.post("/products/:product_id/comments")
async def comment(request):
    """A comment, validated."""
    try:
        draft = json.loads(request.body)
        text, stars = str(draft["text"]), int(draft["stars"])
    except (ValueError, KeyError, TypeError):
        return Response(422, Headers(JSON), '{"detail":"not valid"}')
    made = json.dumps({"id": 1, "text": text, "stars": stars})
    return Response(201, Headers({**JSON, "location": "/comments/1"}), made)


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=port())
