"""Ratings: a product's in short, and one's own."""

from typing import Annotated

from msgspec import Meta, Struct

from ogrom.http import (
    Answer,
    Context,
    Created,
    NoContent,
    NotFound,
    Outcome,
    PreconditionFailed,
    Resource,
    Updated,
    problem,
)
from shop.core.auth import CHALLENGE, bearer
from shop.core.caching import public
from shop.core.paging import age
from shop.core.products import NO_PRODUCT
from shop.protocols import Product, Products, Rating, Ratings, User, Users


class Stars(Struct, frozen=True, forbid_unknown_fields=True):
    """What one sends to rate a product."""

    stars: Annotated[int, Meta(ge=1, le=5)]


def ratings(source: Ratings, products: Products) -> Resource[Product]:
    """A product's ratings in short."""

    async def find(ctx: Context) -> Product | None:
        return await products.by_id(ctx["product_id"])

    async def show(ctx: Context, product: Product) -> object:
        found = await source.of_product(product.id)
        own = ctx.path_for("own rating", product_id=product.id)
        summary = {
            "count": found.count,
            "mean": found.mean,
            "histogram": found.histogram,
            "links": {"mine": own},
        }
        return Answer(summary, age(found.age))

    return Resource(
        name="ratings",
        exists=find,
        cache_control=public(),
        handle_ok=show,
        handle_not_found=NO_PRODUCT,
    )


def own_rating(source: Ratings, products: Products, users: Users) -> Resource[Rating]:
    """The rating of whoever asks: written with PUT, changed and removed with If-Match."""

    async def find(ctx: Context) -> Rating | None:
        return await source.by_user(ctx["product_id"], ctx.principal(User).id)

    async def there(ctx: Context) -> bool:
        return await products.by_id(ctx["product_id"]) is not None

    async def put(ctx: Context, present: Rating | None) -> Outcome:
        written = await source.put(
            ctx["product_id"],
            ctx.principal(User).id,
            ctx.body(Stars).stars,
            revision=present.revision if present else None,
        )
        if written is None:
            raise PreconditionFailed("You have rated this in another place at the same time.")
        return Updated(written) if present else Created(written)

    async def delete(_: Context, present: Rating) -> Outcome:
        if not await source.remove(present.product_id, present.user_id, present.revision):
            raise NotFound("It has just been removed or changed in another place.")
        return NoContent()

    def show(_: Context, rating: Rating) -> object:
        return {"stars": rating.stars, "changed": rating.changed}

    return Resource(
        name="own rating",
        authorized=bearer(users, reads=False),
        challenge=CHALLENGE,
        body=Stars,
        exists=find,
        etag=lambda rating: str(rating.revision),
        precondition_required=True,
        can_put_to_missing=there,
        cache_control="private, no-cache",
        put=put,
        delete=delete,
        handle_ok=show,
        handle_created=show,
        handle_not_found=problem("You have not rated this product, or there is none with this id."),
    )
