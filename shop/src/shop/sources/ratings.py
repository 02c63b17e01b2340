"""Ratings, kept in SQL."""

from datetime import UTC, datetime

from msgspec import Struct

from ogrom.sources.sql import Db, Duplicate, Outcome, Queries
from shop.protocols import Rating, RatingSummary
from shop.sources.schema import possible

__all__ = ["SqlRatings"]


class _Bar(Struct, frozen=True):
    stars: int
    ratings: int


class SqlRatings:
    """The ratings of all locales."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def of_product(self, product_id: str) -> RatingSummary:
        """The product's ratings in short."""
        bars = await self._db.all(
            _Bar,
            "SELECT stars, COUNT(*) AS ratings FROM ratings"
            " WHERE product_id = :product_id AND stars IS NOT NULL GROUP BY stars",
            product_id=product_id,
        )
        histogram = {str(stars): 0 for stars in range(1, 6)}
        histogram |= {str(bar.stars): bar.ratings for bar in bars}
        count = sum(bar.ratings for bar in bars)
        stars = sum(bar.stars * bar.ratings for bar in bars)
        return RatingSummary(count, stars / count if count else None, histogram)

    async def by_user(self, product_id: str, user_id: str) -> Rating | None:
        """The user's own rating, or None."""
        return await self._by_user(self._db, product_id, user_id)

    async def put(
        self, product_id: str, user_id: str, stars: int, *, revision: int | None
    ) -> Rating | None:
        """Write the rating in place of `revision`'s, or as the first where `revision` is None.

        None where that is not the present revision.
        """
        if revision is not None and not possible(revision):
            return None

        async def write(tx: Queries) -> Rating | None:
            if revision is None:
                outcome = await self._put_first(tx, product_id, user_id, stars)
            else:
                outcome = await tx.execute(
                    "UPDATE ratings SET stars = :stars, changed = :now, revision = revision + 1"
                    " WHERE product_id = :product_id AND user_id = :user_id"
                    " AND revision = :revision AND stars IS NOT NULL",
                    stars=stars,
                    now=datetime.now(UTC),
                    product_id=product_id,
                    user_id=user_id,
                    revision=revision,
                )
            return await self._by_user(tx, product_id, user_id) if outcome.rowcount else None

        return await self._db.transact(write)

    async def remove(self, product_id: str, user_id: str, revision: int) -> bool:
        """Remove the rating if `revision` is the present one; whether that was done."""
        if not possible(revision):
            return False
        outcome = await self._db.execute(
            "UPDATE ratings SET stars = NULL, changed = :now, revision = revision + 1"
            " WHERE product_id = :product_id AND user_id = :user_id"
            " AND revision = :revision AND stars IS NOT NULL",
            now=datetime.now(UTC),
            product_id=product_id,
            user_id=user_id,
            revision=revision,
        )
        return outcome.rowcount == 1

    async def _put_first(self, tx: Queries, product_id: str, user_id: str, stars: int) -> Outcome:
        """The very first, or the first since the last was removed."""
        now = datetime.now(UTC)
        try:
            return await tx.execute(
                "INSERT INTO ratings (product_id, user_id, stars, changed, revision)"
                " VALUES (:product_id, :user_id, :stars, :now, 1)",
                product_id=product_id,
                user_id=user_id,
                stars=stars,
                now=now,
            )
        except Duplicate:
            return await tx.execute(
                "UPDATE ratings SET stars = :stars, changed = :now, revision = revision + 1"
                " WHERE product_id = :product_id AND user_id = :user_id AND stars IS NULL",
                stars=stars,
                now=now,
                product_id=product_id,
                user_id=user_id,
            )

    async def _by_user(self, queries: Queries, product_id: str, user_id: str) -> Rating | None:
        return await queries.one(
            Rating,
            "SELECT product_id, user_id, stars, changed, revision FROM ratings"
            " WHERE product_id = :product_id AND user_id = :user_id AND stars IS NOT NULL",
            product_id=product_id,
            user_id=user_id,
        )
