"""What a type checker knows of a query: rows have the type asked for. Checked, never run."""

from typing import assert_type

from ogrom.sources.sql import Db, Outcome, Queries, Step, connect, migrate
from shop.protocols import Collages, Comment, Comments, Ratings, Users
from shop.sources.collages import SqlCollages
from shop.sources.comments import SqlComments
from shop.sources.ratings import SqlRatings
from shop.sources.users import SqlUsers


async def rows_have_the_type_asked_for(db: Db) -> None:
    one = await db.one(Comment, "SELECT id FROM comments WHERE id = :id", id=7)
    assert_type(one, Comment | None)
    assert_type(await db.all(Comment, "SELECT id FROM comments"), list[Comment])
    assert_type(await db.one(int, "SELECT COUNT(*) FROM comments"), int | None)
    assert_type(await db.execute("DELETE FROM comments"), Outcome)


async def a_transaction_asks_in_the_same_words(db: Db) -> None:
    async with db.transaction() as tx:
        assert_type(tx, Queries)
        one = await tx.one(Comment, "SELECT id FROM comments WHERE id = :id", id=7)
        assert_type(one, Comment | None)


async def a_connection_is_a_db() -> None:
    async with connect("shop.db") as db:
        assert_type(db, Db)
        assert_type(await migrate(db, [Step(1, "users", ("CREATE TABLE …",))]), tuple[int, ...])


async def sql_is_never_glued_from_data(db: Db, table: str) -> None:
    await db.execute("DELETE FROM " + table)  # noqa: S608  # pyright: ignore[reportArgumentType]


async def a_parameter_is_a_value(db: Db) -> None:
    await db.execute("DELETE FROM x WHERE y = :y", y=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def the_shop_keeps_its_protocols(db: Db) -> tuple[Comments, Ratings, Collages, Users]:
    return SqlComments(db, "de-DE"), SqlRatings(db), SqlCollages(db, "de-DE"), SqlUsers(db)
