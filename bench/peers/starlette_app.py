"""Starlette, with its own JSON and validation by hand."""

from _data import PRODUCTS, found, revision
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def products(request):
    """A search."""
    items = found(request.url.query)
    return JSONResponse({"items": items, "total": len(items)})


async def product(request):
    """One product."""
    product_id = request.path_params["product_id"]
    one = PRODUCTS.get(product_id)
    if one is None:
        return JSONResponse({"detail": "There is no such product."}, 404)
    tag = f'"{revision(product_id)}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return JSONResponse(one, headers={"ETag": tag})


async def comment(request):
    """A comment, validated."""
    try:
        draft = await request.json()
        text, stars = str(draft["text"]), int(draft["stars"])
    except (ValueError, KeyError, TypeError):
        return JSONResponse({"detail": "not valid"}, 422)
    made = {"id": 1, "text": text, "stars": stars}
    return JSONResponse(made, 201, headers={"Location": "/comments/1"})


app = Starlette(
    routes=[
        Route("/products", products),
        Route("/products/{product_id}", product),
        Route("/products/{product_id}/comments", comment, methods=["POST"]),
    ]
)
