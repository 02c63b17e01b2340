"""Comments: those on a product, and one of them."""

from typing import Annotated

from msgspec import Meta, Struct

from ogrom.http import (
    CSV,
    JSON,
    MSGPACK,
    Answer,
    Context,
    Created,
    NoContent,
    Outcome,
    PreconditionFailed,
    Resource,
    Updated,
    problem,
)
from shop.core.auth import CHALLENGE, bearer, is_own
from shop.core.paging import Page, age, links
from shop.core.products import NO_PRODUCT
from shop.protocols import Comment, Comments, Product, Products, User, Users


class Text(Struct, frozen=True, forbid_unknown_fields=True):
    """What one sends to write a comment, or to change it."""

    text: Annotated[str, Meta(min_length=1, max_length=4000, pattern=r"\S")]


def comments(source: Comments, products: Products, users: Users, locale: str) -> Resource[Product]:
    """The comments on a product, the oldest first; POST adds one."""

    async def find(ctx: Context) -> Product | None:
        return await products.by_id(ctx["product_id"])

    async def show(ctx: Context, product: Product) -> object:
        page = ctx.query(Page)
        found = await source.of_product(product.id, offset=page.offset, limit=page.per_page)
        items = [_plain(ctx, comment) for comment in found.items]
        fields = links(ctx, page.page, page.per_page, found.total)
        return Answer({"items": items, "total": found.total}, fields | age(found.age))

    async def post(ctx: Context, product: Product) -> Outcome:
        text = ctx.body(Text).text
        written = await source.add(product.id, ctx.principal(User).id, text)
        at = ctx.path_for("comment", comment_id=written.id)
        return Created(written, at=at, etag=str(written.revision))

    return Resource(
        name="comments",
        query=Page,
        body=Text,
        media_types=(JSON, MSGPACK, CSV),
        languages=(locale,),
        authorized=bearer(users),
        challenge=CHALLENGE,
        exists=find,
        post=post,
        cache_control="no-cache",
        handle_ok=show,
        handle_created=_plain,
        handle_not_found=NO_PRODUCT,
    )


def comment(source: Comments, users: Users, locale: str) -> Resource[Comment]:
    """One comment; its author may change and remove it."""

    async def find(ctx: Context) -> Comment | None:
        return await source.by_id(ctx["comment_id"])

    async def patch(ctx: Context, present: Comment) -> Outcome:
        written = await source.edit(present.id, present.revision, ctx.body(Text).text)
        if written is None:
            raise PreconditionFailed("It was changed or removed at the same time.")
        return Updated(written)

    async def delete(_: Context, present: Comment) -> Outcome:
        if not await source.remove(present.id, present.revision):
            raise PreconditionFailed("It was changed or removed at the same time.")
        return NoContent()

    return Resource(
        name="comment",
        body=Text,
        languages=(locale,),
        authorized=bearer(users),
        challenge=CHALLENGE,
        exists=find,
        allowed_for_entity=lambda ctx, comment: is_own(ctx, comment.user_id),
        etag=lambda comment: str(comment.revision),
        last_modified=lambda comment: comment.changed,
        precondition_required=True,
        patch=patch,
        delete=delete,
        cache_control="no-cache",
        handle_ok=_plain,
        handle_forbidden=problem("Only its author may change or remove a comment."),
        handle_not_found=problem("There is no comment with this id in this locale."),
    )


def _plain(ctx: Context, comment: Comment) -> dict[str, object]:
    return {
        "id": comment.id,
        "text": comment.text,
        "created": comment.created,
        "changed": comment.changed,
        "user": ctx.path_for("user", user_id=comment.user_id),
        "product": ctx.path_for("product", product_id=comment.product_id),
        "url": ctx.path_for("comment", comment_id=comment.id),
    }
