"""Ogrom on its own server: what it is all about."""

from contextlib import asynccontextmanager

from _data import PRODUCTS, found, port, revision
from msgspec import Struct

from ogrom.http import Context, Created, Resource, Service
from ogrom.serve import App, serve


class Query(Struct, frozen=True):
    """What is searched for."""

    q: str = ""


class Draft(Struct, frozen=True):
    """A comment to be written."""

    text: str
    stars: int


async def _find(ctx: Context) -> dict[str, object] | None:
    return PRODUCTS.get(ctx["product_id"])


async def _comment(ctx: Context, _: None) -> Created:
    draft = ctx.body(Draft)
    return Created({"id": 1, "text": draft.text, "stars": draft.stars}, at="/comments/1")


def _search(ctx: Context, _: None) -> object:
    items = found(f"q={ctx.query(Query).q}")
    return {"items": items, "total": len(items)}


SERVICE = Service(
    {
        "/products": {
            "": Resource(name="products", query=Query, handle_ok=_search),
            "/{product_id}": {
                "": Resource(
                    name="product",
                    exists=_find,
                    etag=lambda product: revision(str(product["id"])),
                    handle_ok=lambda _, product: product,
                ),
                "/comments": Resource(name="comments", body=Draft, post=_comment),
            },
        }
    }
)


@asynccontextmanager
async def app():
    """No source to open."""
    yield App(service=SERVICE)


if __name__ == "__main__":
    serve(app, f"127.0.0.1:{port()}")
