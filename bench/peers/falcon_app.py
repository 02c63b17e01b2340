"""Falcon's ASGI side, with validation by hand."""

import falcon
import falcon.asgi
from _data import PRODUCTS, found, revision


class Products:
    """A search."""

    async def on_get(self, req, resp):
        """Twenty products."""
        items = found(req.query_string)
        resp.media = {"items": items, "total": len(items)}


class Product:
    """One product."""

    async def on_get(self, req, resp, product_id):
        """Shows it."""
        one = PRODUCTS.get(product_id)
        if one is None:
            raise falcon.HTTPNotFound(description="There is no such product.")
        tag = falcon.ETag(revision(product_id))
        resp.etag = tag
        if req.if_none_match and tag in req.if_none_match:
            resp.status = falcon.HTTP_304
        else:
            resp.media = one


class Comments:
    """Comments of a product."""

    async def on_post(self, req, resp, product_id):
        """A comment, validated."""
        draft = await req.get_media()
        try:
            text, stars = str(draft["text"]), int(draft["stars"])
        except (KeyError, TypeError, ValueError):
            raise falcon.HTTPUnprocessableEntity from None
        resp.status = falcon.HTTP_201
        resp.location = "/comments/1"
        resp.media = {"id": 1, "text": text, "stars": stars}


app = falcon.asgi.App()
app.add_route("/products", Products())
app.add_route("/products/{product_id}", Product())
app.add_route("/products/{product_id}/comments", Comments())
