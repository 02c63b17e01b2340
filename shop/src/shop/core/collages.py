"""Collages: outfits composed of products."""

from typing import Annotated

from msgspec import Meta, Struct

from ogrom.http import (
    CSV,
    JSON,
    MSGPACK,
    Answer,
    Context,
    Created,
    FieldError,
    NoContent,
    Outcome,
    PreconditionFailed,
    Resource,
    UnprocessableContent,
    Updated,
    problem,
)
from shop.core.auth import CHALLENGE, bearer, is_own
from shop.core.paging import Page, age, links
from shop.protocols import Collage, Collages, Products, User, Users


class CollageQuery(Page, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which collages: all, or one user's."""

    user: Annotated[str, Meta(max_length=100)] | None = None


class Draft(Struct, frozen=True, forbid_unknown_fields=True):
    """What one sends to make a collage, or to put another in its place."""

    title: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
    product_ids: Annotated[
        tuple[Annotated[str, Meta(max_length=100)], ...], Meta(min_length=1, max_length=50)
    ]


def collages(source: Collages, products: Products, users: Users, locale: str) -> Resource[None]:
    """The collages, the newest first; POST makes one."""

    async def show(ctx: Context, _: None) -> object:
        query = ctx.query(CollageQuery)
        found = await source.all(user_id=query.user, offset=query.offset, limit=query.per_page)
        items = [_plain(ctx, collage) for collage in found.items]
        fields = links(ctx, query.page, query.per_page, found.total)
        return Answer({"items": items, "total": found.total}, fields | age(found.age))

    async def post(ctx: Context, _: None) -> Outcome:
        draft = await _known(ctx.body(Draft), products)
        made = await source.add(ctx.principal(User).id, draft.title, draft.product_ids)
        at = ctx.path_for("collage", collage_id=made.id)
        return Created(made, at=at, etag=str(made.revision))

    return Resource(
        name="collages",
        query=CollageQuery,
        body=Draft,
        media_types=(JSON, MSGPACK, CSV),
        languages=(locale,),
        authorized=bearer(users),
        challenge=CHALLENGE,
        post=post,
        cache_control="no-cache",
        handle_ok=show,
        handle_created=_plain,
    )


def collage(source: Collages, products: Products, users: Users, locale: str) -> Resource[Collage]:
    """One collage; whoever made it may put another in its place, and remove it."""

    async def find(ctx: Context) -> Collage | None:
        return await source.by_id(ctx["collage_id"])

    async def put(ctx: Context, present: Collage) -> Outcome:
        draft = await _known(ctx.body(Draft), products)
        written = await source.replace(present.id, present.revision, draft.title, draft.product_ids)
        if written is None:
            raise PreconditionFailed("It was changed or removed at the same time.")
        return Updated(written)

    async def delete(_: Context, present: Collage) -> Outcome:
        if not await source.remove(present.id, present.revision):
            raise PreconditionFailed("It was changed or removed at the same time.")
        return NoContent()

    return Resource(
        name="collage",
        body=Draft,
        languages=(locale,),
        authorized=bearer(users),
        challenge=CHALLENGE,
        exists=find,
        allowed_for_entity=lambda ctx, collage: is_own(ctx, collage.user_id),
        etag=lambda collage: str(collage.revision),
        last_modified=lambda collage: collage.changed,
        precondition_required=True,
        put=put,
        delete=delete,
        cache_control="no-cache",
        handle_ok=_plain,
        handle_forbidden=problem("Only whoever made a collage may change or remove it."),
        handle_not_found=problem("There is no collage with this id in this locale."),
    )


async def _known(draft: Draft, products: Products) -> Draft:
    """The draft, if all of its products are there."""
    errors = [
        FieldError(f"#/product_ids/{place}", f"There is no product {product_id!r}.")
        for place, product_id in enumerate(draft.product_ids)
        if await products.by_id(product_id) is None
    ]
    if errors:
        raise UnprocessableContent(
            "A collage is composed of products that are there.", errors=errors
        )
    return draft


def _plain(ctx: Context, collage: Collage) -> dict[str, object]:
    return {
        "id": collage.id,
        "title": collage.title,
        "product_ids": collage.product_ids,
        "created": collage.created,
        "changed": collage.changed,
        "user": ctx.path_for("user", user_id=collage.user_id),
        "products": [ctx.path_for("product", product_id=each) for each in collage.product_ids],
        "url": ctx.path_for("collage", collage_id=collage.id),
    }
