"""Comments, kept in SQL."""

from datetime import UTC, datetime

from ogrom.sources.sql import Db, Queries
from shop.protocols import Comment, CommentPage
from shop.sources.schema import possible

__all__ = ["SqlComments"]


class SqlComments:
    """The comments of one locale."""

    def __init__(self, db: Db, locale: str) -> None:
        self._db = db
        self._locale = locale

    async def of_product(self, product_id: str, *, offset: int, limit: int) -> CommentPage:
        """The product's comments, the oldest first: ids rise, while a clock may be put back."""
        items = await self._db.all(
            Comment,
            "SELECT id, product_id, user_id, text, created, changed, revision FROM comments"
            " WHERE locale = :locale AND product_id = :product_id"
            " ORDER BY id LIMIT :limit OFFSET :offset",
            locale=self._locale,
            product_id=product_id,
            limit=limit,
            offset=offset,
        )
        total = await self._db.one(
            int,
            "SELECT COUNT(*) FROM comments WHERE locale = :locale AND product_id = :product_id",
            locale=self._locale,
            product_id=product_id,
        )
        return CommentPage(tuple(items), total or 0)

    async def by_id(self, comment_id: int) -> Comment | None:
        """The comment, or None where there is none (any more)."""
        if not possible(comment_id):
            return None
        return await self._by_id(self._db, comment_id)

    async def add(self, product_id: str, user_id: str, text: str) -> Comment:
        """Write a comment; it is stored when this returns."""
        now = datetime.now(UTC)
        outcome = await self._db.execute(
            "INSERT INTO comments"
            " (locale, product_id, user_id, text, created, changed, revision)"
            " VALUES (:locale, :product_id, :user_id, :text, :now, :now, 1)",
            locale=self._locale,
            product_id=product_id,
            user_id=user_id,
            text=text,
            now=now,
        )
        return Comment(
            id=outcome.lastrowid,
            product_id=product_id,
            user_id=user_id,
            text=text,
            created=now,
            changed=now,
            revision=1,
        )

    async def edit(self, comment_id: int, revision: int, text: str) -> Comment | None:
        """Put new text in place of `revision`'s; None where that is not the present revision."""
        if not possible(comment_id, revision):
            return None
        async with self._db.transaction() as tx:
            outcome = await tx.execute(
                "UPDATE comments SET text = :text, changed = :now, revision = revision + 1"
                " WHERE id = :id AND locale = :locale AND revision = :revision",
                text=text,
                now=datetime.now(UTC),
                id=comment_id,
                locale=self._locale,
                revision=revision,
            )
            return await self._by_id(tx, comment_id) if outcome.rowcount else None

    async def remove(self, comment_id: int, revision: int) -> bool:
        """Remove the comment if `revision` is the present one; whether that was done."""
        if not possible(comment_id, revision):
            return False
        outcome = await self._db.execute(
            "DELETE FROM comments WHERE id = :id AND locale = :locale AND revision = :revision",
            id=comment_id,
            locale=self._locale,
            revision=revision,
        )
        return outcome.rowcount == 1

    async def _by_id(self, queries: Queries, comment_id: int) -> Comment | None:
        return await queries.one(
            Comment,
            "SELECT id, product_id, user_id, text, created, changed, revision FROM comments"
            " WHERE id = :id AND locale = :locale",
            id=comment_id,
            locale=self._locale,
        )
