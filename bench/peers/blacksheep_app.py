"""BlackSheep, with dataclasses bound from JSON."""

from dataclasses import dataclass

from _data import PRODUCTS, found, revision
from blacksheep import Application, FromJSON, Request, get, json, not_found, post
from blacksheep.messages import Response


@dataclass
class Draft:
    """A comment to be written."""

    text: str
    stars: int


@get("/products")
async def products(request: Request) -> Response:
    """A search."""
    items = found((request.url.query or b"").decode())
    return json({"items": items, "total": len(items)})


@get("/products/{product_id}")
async def product(request: Request, product_id: str) -> Response:
    """One product."""
    one = PRODUCTS.get(product_id)
    if one is None:
        return not_found("There is no such product.")
    tag = f'"{revision(product_id)}"'.encode()
    if request.get_first_header(b"if-none-match") == tag:
        return Response(304, [(b"etag", tag)])
    response = json(one)
    response.add_header(b"etag", tag)
    return response


@post("/products/{product_id}/comments")
async def comment(product_id: str, data: FromJSON[Draft]) -> Response:
    """A comment, validated."""
    response = json({"id": 1, "text": data.value.text, "stars": data.value.stars}, 201)
    response.add_header(b"location", b"/comments/1")
    return response


app = Application()
