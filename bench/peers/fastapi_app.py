"""FastAPI, as its tutorial has it: models by pydantic."""

from typing import Annotated

from _data import PRODUCTS, found, revision
from fastapi import FastAPI, Header, HTTPException, Response
from pydantic import BaseModel


class Money(BaseModel):
    """An amount."""

    minor: int
    currency: str


class Product(BaseModel):
    """One garment."""

    id: str
    name: str
    category: str
    brand: str
    colour: str
    price: Money


class Page(BaseModel):
    """Some of them."""

    items: list[Product]
    total: int


class Draft(BaseModel):
    """A comment to be written."""

    text: str
    stars: int


class Comment(Draft):
    """A comment."""

    id: int


app = FastAPI()


@app.get("/products")
async def products(q: str = "") -> Page:
    """A search."""
    items = [Product.model_validate(each) for each in found(f"q={q}")]
    return Page(items=items, total=len(items))


@app.get("/products/{product_id}", response_model=Product)
async def product(
    product_id: str, response: Response, if_none_match: Annotated[str | None, Header()] = None
):
    """One product."""
    one = PRODUCTS.get(product_id)
    if one is None:
        raise HTTPException(404, "There is no such product.")
    tag = f'"{revision(product_id)}"'
    if if_none_match == tag:
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return one


@app.post("/products/{product_id}/comments", status_code=201)
async def comment(product_id: str, draft: Draft, response: Response) -> Comment:
    """A comment, validated."""
    response.headers["Location"] = "/comments/1"
    return Comment(id=1, text=draft.text, stars=draft.stars)
