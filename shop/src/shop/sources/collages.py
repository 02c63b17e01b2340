"""Collages, kept in SQL."""

from datetime import UTC, datetime

from ogrom.sources.sql import Db, Queries
from shop.protocols import Collage, CollagePage
from shop.sources.schema import possible

__all__ = ["SqlCollages"]


class SqlCollages:
    """The collages of one locale."""

    def __init__(self, db: Db, locale: str) -> None:
        self._db = db
        self._locale = locale

    async def all(self, *, user_id: str | None, offset: int, limit: int) -> CollagePage:
        """The collages, the newest first; only the user's where one is named."""
        # Two statements, as one with "or :user_id IS NULL" would read past every index.
        if user_id is None:
            items = await self._db.all(
                Collage,
                "SELECT id, user_id, title, product_ids, created, changed, revision FROM collages"
                " WHERE locale = :locale ORDER BY id DESC LIMIT :limit OFFSET :offset",
                locale=self._locale,
                limit=limit,
                offset=offset,
            )
            total = await self._db.one(
                int, "SELECT COUNT(*) FROM collages WHERE locale = :locale", locale=self._locale
            )
        else:
            items = await self._db.all(
                Collage,
                "SELECT id, user_id, title, product_ids, created, changed, revision FROM collages"
                " WHERE locale = :locale AND user_id = :user_id"
                " ORDER BY id DESC LIMIT :limit OFFSET :offset",
                locale=self._locale,
                user_id=user_id,
                limit=limit,
                offset=offset,
            )
            total = await self._db.one(
                int,
                "SELECT COUNT(*) FROM collages WHERE locale = :locale AND user_id = :user_id",
                locale=self._locale,
                user_id=user_id,
            )
        return CollagePage(tuple(items), total or 0)

    async def by_id(self, collage_id: int) -> Collage | None:
        """The collage, or None where there is none (any more)."""
        if not possible(collage_id):
            return None
        return await self._by_id(self._db, collage_id)

    async def add(self, user_id: str, title: str, product_ids: tuple[str, ...]) -> Collage:
        """Make a collage; it is stored when this returns."""
        now = datetime.now(UTC)
        outcome = await self._db.execute(
            "INSERT INTO collages"
            " (locale, user_id, title, product_ids, created, changed, revision)"
            " VALUES (:locale, :user_id, :title, :product_ids, :now, :now, 1)",
            locale=self._locale,
            user_id=user_id,
            title=title,
            product_ids=product_ids,
            now=now,
        )
        return Collage(
            id=outcome.lastrowid,
            user_id=user_id,
            title=title,
            product_ids=product_ids,
            created=now,
            changed=now,
            revision=1,
        )

    async def replace(
        self, collage_id: int, revision: int, title: str, product_ids: tuple[str, ...]
    ) -> Collage | None:
        """Put new content in place of `revision`'s; None where that is not the present one."""
        if not possible(collage_id, revision):
            return None
        async with self._db.transaction() as tx:
            outcome = await tx.execute(
                "UPDATE collages SET title = :title, product_ids = :product_ids,"
                " changed = :now, revision = revision + 1"
                " WHERE id = :id AND locale = :locale AND revision = :revision",
                title=title,
                product_ids=product_ids,
                now=datetime.now(UTC),
                id=collage_id,
                locale=self._locale,
                revision=revision,
            )
            return await self._by_id(tx, collage_id) if outcome.rowcount else None

    async def remove(self, collage_id: int, revision: int) -> bool:
        """Remove the collage if `revision` is the present one; whether that was done."""
        if not possible(collage_id, revision):
            return False
        outcome = await self._db.execute(
            "DELETE FROM collages WHERE id = :id AND locale = :locale AND revision = :revision",
            id=collage_id,
            locale=self._locale,
            revision=revision,
        )
        return outcome.rowcount == 1

    async def _by_id(self, queries: Queries, collage_id: int) -> Collage | None:
        return await queries.one(
            Collage,
            "SELECT id, user_id, title, product_ids, created, changed, revision FROM collages"
            " WHERE id = :id AND locale = :locale",
            id=collage_id,
            locale=self._locale,
        )
