"""Litestar, with msgspec's types, which are its fastest."""

from typing import Annotated

import msgspec
from _data import PRODUCTS, found, revision
from litestar import Litestar, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import Parameter


class Draft(msgspec.Struct):
    """A comment to be written."""

    text: str
    stars: int


class Comment(msgspec.Struct):
    """A comment."""

    id: int
    text: str
    stars: int


@get("/products")
async def products(q: str = "") -> dict[str, object]:
    """A search."""
    items = found(f"q={q}")
    return {"items": items, "total": len(items)}


@get("/products/{product_id:str}")
async def product(
    product_id: str,
    if_none_match: Annotated[str | None, Parameter(header="If-None-Match", default=None)],
) -> Response[object]:
    """One product."""
    one = PRODUCTS.get(product_id)
    if one is None:
        raise NotFoundException("There is no such product.")
    tag = f'"{revision(product_id)}"'
    if if_none_match == tag:
        return Response(None, status_code=304, headers={"ETag": tag})
    return Response(one, headers={"ETag": tag})


@post("/products/{product_id:str}/comments")
async def comment(product_id: str, data: Draft) -> Response[Comment]:
    """A comment, validated."""
    made = Comment(id=1, text=data.text, stars=data.stars)
    return Response(made, headers={"Location": "/comments/1"})


app = Litestar([products, product, comment], openapi_config=None)
