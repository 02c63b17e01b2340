"""The shop's data in SQLite and MariaDB: comments, ratings, collages and users, on real files."""

import asyncio
import json
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.database import fresh

from ogrom.sources.sql import Constraint, Db, Duplicate, connect, migrate
from shop.protocols import LOCALES, CommentPage, User
from shop.sources.collages import SqlCollages
from shop.sources.comments import SqlComments
from shop.sources.demo import DemoUser, fill_demo
from shop.sources.ratings import SqlRatings
from shop.sources.schema import STEPS
from shop.sources.users import SqlUsers, add_user

HUGE = 10**30  # clients may ask for any number
ANNA = User("anna", "Anna Brandt", datetime(2025, 3, 1, tzinfo=UTC))
PRODUCTS = tuple(f"p{number}" for number in range(30))


@pytest.fixture
async def db(where: Path | str) -> AsyncGenerator[Db, None]:
    async with connect(where) as db:
        await migrate(db, STEPS)
        yield db


class TestComments:
    async def test_what_is_written_is_there(self, db: Db) -> None:
        """As it was returned, to the microsecond."""
        comments = SqlComments(db, "de-DE")

        comment = await comments.add("p1", "anna", "Schön! 🌸\n'); DROP TABLE comments; --")

        assert comment == await comments.by_id(comment.id)
        assert (1, comment.changed) == (comment.revision, comment.created)

    async def test_the_oldest_first_by_the_page(self, db: Db) -> None:
        """Pages follow each other without gap or overlap; a page past the end is empty."""
        comments = SqlComments(db, "de-DE")
        added = [await comments.add("p1", "anna", str(number)) for number in range(5)]
        await comments.add("p2", "anna", "Another product's")

        pages = [await comments.of_product("p1", offset=n, limit=2) for n in (0, 2, 4, 6)]

        assert added == [comment for page in pages for comment in page.items]
        assert [5, 5, 5, 5] == [page.total for page in pages]
        assert CommentPage((), 0) == await comments.of_product("p9", offset=0, limit=2)

    async def test_editing_wants_the_present_revision(self, db: Db) -> None:
        """A stale, future or impossible one changes nothing."""
        comments = SqlComments(db, "de-DE")
        first = await comments.add("p1", "anna", "a")

        second = await comments.edit(first.id, 1, "b")

        assert second is not None
        assert ("b", 2, first.created) == (second.text, second.revision, second.created)
        assert second.changed >= first.changed
        for revision in (1, 3, 0, -1, HUGE):
            assert await comments.edit(first.id, revision, "c") is None
            assert not await comments.remove(first.id, revision)
        assert second == await comments.by_id(first.id)

    async def test_removed_is_gone(self, db: Db) -> None:
        """And its id is never another's."""
        comments = SqlComments(db, "de-DE")
        comment = await comments.add("p1", "anna", "a")

        assert await comments.remove(comment.id, 1)

        assert not await comments.remove(comment.id, 1)
        assert await comments.edit(comment.id, 1, "b") is None
        assert await comments.by_id(comment.id) is None
        assert comment.id < (await comments.add("p1", "anna", "a")).id

    async def test_a_locale_knows_its_own(self, db: Db) -> None:
        """Another locale's comment is not there: not to read, edit or remove."""
        german, french = SqlComments(db, "de-DE"), SqlComments(db, "fr-FR")
        comment = await german.add("p1", "anna", "a")

        assert await french.by_id(comment.id) is None
        assert await french.edit(comment.id, 1, "b") is None
        assert not await french.remove(comment.id, 1)
        assert 0 == (await french.of_product("p1", offset=0, limit=9)).total
        assert comment == await german.by_id(comment.id)

    @pytest.mark.parametrize("comment_id", [0, -1, 7, 2**63, HUGE])
    async def test_an_unknown_id(self, db: Db, comment_id: int) -> None:
        """Is absence, however large it is."""
        comments = SqlComments(db, "de-DE")

        assert await comments.by_id(comment_id) is None
        assert await comments.edit(comment_id, 1, "a") is None
        assert not await comments.remove(comment_id, 1)


class TestRatings:
    async def test_in_short(self, db: Db) -> None:
        """Count, mean and histogram, of this product alone."""
        ratings = SqlRatings(db)
        for user, stars in (("anna", 5), ("bram", 4), ("claire", 4)):
            await ratings.put("p1", user, stars, revision=None)
        await ratings.put("p2", "anna", 1, revision=None)

        summary = await ratings.of_product("p1")

        assert (3, 13 / 3) == (summary.count, summary.mean)
        assert {"1": 0, "2": 0, "3": 0, "4": 2, "5": 1} == summary.histogram

    async def test_none_yet(self, db: Db) -> None:
        """No ratings have no mean."""
        summary = await SqlRatings(db).of_product("p1")

        assert (0, None) == (summary.count, summary.mean)
        assert {"1": 0, "2": 0, "3": 0, "4": 0, "5": 0} == summary.histogram

    async def test_one_for_each_user(self, db: Db) -> None:
        """The first wants that there is none, a later one the present revision."""
        ratings = SqlRatings(db)

        first = await ratings.put("p1", "anna", 3, revision=None)
        assert first is not None
        assert (3, 1) == (first.stars, first.revision)
        assert await ratings.put("p1", "anna", 4, revision=None) is None
        second = await ratings.put("p1", "anna", 5, revision=1)
        assert second is not None
        assert (5, 2) == (second.stars, second.revision)
        for revision in (1, 3, 0, -1, HUGE):
            assert await ratings.put("p1", "anna", 4, revision=revision) is None
            assert not await ratings.remove("p1", "anna", revision)
        assert second == await ratings.by_user("p1", "anna")
        assert await ratings.by_user("p1", "bram") is None
        assert await ratings.put("p1", "bram", 4, revision=1) is None

    async def test_a_removed_rating_does_not_haunt_the_next(self, db: Db) -> None:
        """Revisions are counted on: what a client learnt of the old one never fits the new."""
        ratings = SqlRatings(db)
        await ratings.put("p1", "anna", 1, revision=None)

        assert await ratings.remove("p1", "anna", 1)

        assert await ratings.by_user("p1", "anna") is None
        assert 0 == (await ratings.of_product("p1")).count
        assert not await ratings.remove("p1", "anna", 2)
        assert await ratings.put("p1", "anna", 5, revision=2) is None
        again = await ratings.put("p1", "anna", 5, revision=None)
        assert again is not None
        assert (5, 3) == (again.stars, again.revision)
        assert await ratings.put("p1", "anna", 1, revision=1) is None

    @pytest.mark.parametrize("stars", [0, 6])
    async def test_one_to_five(self, db: Db, stars: int) -> None:
        """Other numbers of stars are refused, and nothing is written."""
        ratings = SqlRatings(db)

        with pytest.raises(Constraint):
            await ratings.put("p1", "anna", stars, revision=None)
        assert await ratings.by_user("p1", "anna") is None

    async def test_one_first(self, db: Db) -> None:
        """Of many that put a first rating at once, one does."""
        ratings = SqlRatings(db)

        put = [ratings.put("p1", "anna", 1 + n % 5, revision=None) for n in range(10)]

        assert 1 == sum(rating is not None for rating in await asyncio.gather(*put))


class TestCollages:
    async def test_what_is_written_is_there(self, db: Db) -> None:
        """With its products in their order, none or many."""
        collages = SqlCollages(db, "de-DE")

        for product_ids in ((), ("p2", "p1", 'a "quoted", one'), PRODUCTS):
            collage = await collages.add("anna", "Herbst", product_ids)
            assert product_ids == collage.product_ids
            assert collage == await collages.by_id(collage.id)

    async def test_the_newest_first_by_the_page(self, db: Db) -> None:
        """Of everybody, or of one user."""
        collages = SqlCollages(db, "de-DE")
        added = [await collages.add(("anna", "bram")[n % 2], str(n), ("p1",)) for n in range(5)]
        await SqlCollages(db, "fr-FR").add("anna", "Automne", ("p1",))

        pages = [await collages.all(user_id=None, offset=n, limit=2) for n in (0, 2, 4, 6)]
        annas = await collages.all(user_id="anna", offset=1, limit=9)

        assert added[::-1] == [collage for page in pages for collage in page.items]
        assert {5} == {page.total for page in pages}
        assert (tuple(added[-3::-2]), 3) == (annas.items, annas.total)

    async def test_replacing_wants_the_present_revision(self, db: Db) -> None:
        """A stale, future or impossible one changes nothing; nor does another locale."""
        collages = SqlCollages(db, "de-DE")
        first = await collages.add("anna", "a", ("p1",))

        second = await collages.replace(first.id, 1, "b", ("p2", "p3"))

        assert second is not None
        assert ("b", ("p2", "p3"), 2) == (second.title, second.product_ids, second.revision)
        assert (first.created, "anna") == (second.created, second.user_id)
        for revision in (1, 3, 0, -1, HUGE):
            assert await collages.replace(first.id, revision, "c", ()) is None
            assert not await collages.remove(first.id, revision)
        assert await SqlCollages(db, "fr-FR").replace(first.id, 2, "c", ()) is None
        assert not await SqlCollages(db, "fr-FR").remove(first.id, 2)
        assert second == await collages.by_id(first.id)

    async def test_removed_is_gone(self, db: Db) -> None:
        """And its id is never another's."""
        collages = SqlCollages(db, "de-DE")
        collage = await collages.add("anna", "a", ("p1",))

        assert await collages.remove(collage.id, 1)

        assert not await collages.remove(collage.id, 1)
        assert await collages.by_id(collage.id) is None
        assert collage.id < (await collages.add("anna", "a", ("p1",))).id

    @pytest.mark.parametrize("collage_id", [0, -1, 7, 2**63, HUGE])
    async def test_an_unknown_id(self, db: Db, collage_id: int) -> None:
        """Is absence, however large it is."""
        collages = SqlCollages(db, "de-DE")

        assert await collages.by_id(collage_id) is None
        assert await collages.replace(collage_id, 1, "a", ()) is None
        assert not await collages.remove(collage_id, 1)

    async def test_one_winner_for_each_revision(self, db: Db) -> None:
        """Ten tasks append to one collage: each revision is one task's, and nothing is lost."""
        collages = SqlCollages(db, "de-DE")
        collage = await collages.add("anna", "a", ())

        async def append(name: str) -> list[int]:
            won: list[int] = []
            while len(won) < 5:
                seen = await collages.by_id(collage.id)
                assert seen is not None
                await asyncio.sleep(0)
                ids = (*seen.product_ids, f"{name}{len(won)}")
                written = await collages.replace(collage.id, seen.revision, "a", ids)
                if written is not None:
                    assert ids == written.product_ids
                    won.append(written.revision)
            return won

        won = await asyncio.gather(*(append(f"t{n}-") for n in range(10)))

        assert [*range(2, 52)] == sorted(revision for each in won for revision in each)
        last = await collages.by_id(collage.id)
        assert last is not None
        assert {f"t{n}-{m}" for n in range(10) for m in range(5)} == {*last.product_ids}

    @pytest.mark.slow
    async def test_one_winner_among_processes(self, db: Db, where: Path | str) -> None:
        """The same with three processes on one database, as in a deployment."""
        collage = await SqlCollages(db, "de-DE").add("anna", "a", ())
        appending = """
            import asyncio, json, sys
            from ogrom.sources.sql import connect
            from shop.sources.collages import SqlCollages

            async def main(path, collage_id, name):
                won = []
                async with connect(path, patience=30) as db:
                    collages = SqlCollages(db, "de-DE")
                    while len(won) < 50:
                        seen = await collages.by_id(int(collage_id))
                        ids = (*seen.product_ids, f"{name}-{len(won)}")
                        written = await collages.replace(seen.id, seen.revision, "a", ids)
                        if written is not None:
                            won.append(written.revision)
                print(json.dumps(won))

            asyncio.run(main(*sys.argv[1:]))
        """
        command = [sys.executable, "-c", textwrap.dedent(appending)]
        arguments = [str(where), str(collage.id)]
        children = [
            subprocess.Popen([*command, *arguments, name], stdout=subprocess.PIPE, text=True)
            for name in ("a", "b", "c")
        ]
        won = [json.loads(child.communicate(timeout=60)[0]) for child in children]

        assert [*range(2, 152)] == sorted(revision for each in won for revision in each)
        last = await SqlCollages(db, "de-DE").by_id(collage.id)
        assert last is not None
        assert {f"{name}-{n}" for name in "abc" for n in range(50)} == {*last.product_ids}


class TestUsers:
    async def test_by_id_and_by_token(self, db: Db) -> None:
        """The token is the user's; any other is nobody's."""
        await add_user(db, ANNA, "secret")
        users = SqlUsers(db)

        assert ANNA == await users.by_id("anna")
        assert ANNA == await users.by_token("secret")
        assert await users.by_id("secret") is None
        for token in ("anna", "Secret", "secret ", "", "\ud800"):
            assert await users.by_token(token) is None

    @pytest.mark.parametrize("where", ["sqlite"], indirect=True)
    async def test_tokens_are_not_kept(self, db: Db, tmp_path: Path) -> None:
        """Whoever reads the file, its log included, cannot act as anybody."""
        await add_user(db, ANNA, "a-rather-long-secret")

        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())

        assert b"Anna Brandt" in content
        assert b"a-rather-long-secret" not in content
        assert 64 == await db.one(int, "SELECT LENGTH(sha256) FROM tokens")

    async def test_each_once(self, db: Db) -> None:
        """Neither an id nor a token can be given to a second user."""
        await add_user(db, ANNA, "secret")

        with pytest.raises(Duplicate):
            await add_user(db, ANNA, "another")
        with pytest.raises(Duplicate):
            await add_user(db, User("bram", "Bram", ANNA.joined), "secret")


class TestDemo:
    async def test_something_to_look_at(self, db: Db) -> None:
        """Users with tokens that work, ratings, and comments and collages in every language."""
        demo = await fill_demo(db, PRODUCTS, LOCALES)

        assert DemoUser("Anna Brandt", "demo-anna") == demo[0]
        for each in demo:
            user = await SqlUsers(db).by_token(each.token)
            assert user is not None
            assert each.name == user.name
        assert 30 < await count(db, "SELECT COUNT(*) FROM ratings")
        for locale in LOCALES:
            page = await SqlCollages(db, locale).all(user_id=None, offset=0, limit=99)
            assert 4 == page.total
            assert [*page.items] == sorted(page.items, key=lambda each: each.created, reverse=True)
            for collage in page.items:
                assert {*collage.product_ids} <= {*PRODUCTS}
                assert 3 <= len({*collage.product_ids}) == len(collage.product_ids)
            comments = [
                await SqlComments(db, locale).of_product(product_id, offset=0, limit=99)
                for product_id in PRODUCTS
            ]
            assert 15 < sum(page.total for page in comments)
        strangers = "SELECT COUNT(*) FROM comments WHERE user_id NOT IN (SELECT id FROM users)"
        assert 0 == await count(db, strangers)

    async def test_again_and_at_once(self, db: Db, where: Path | str) -> None:
        """However many processes start with it, it is filled once."""
        async with connect(where) as other:
            told = await asyncio.gather(
                *(fill_demo(each, PRODUCTS, LOCALES) for each in (db, other, db))
            )
        before = await everything(db)

        assert told[0] == await fill_demo(db, PRODUCTS, LOCALES)
        assert [told[0]] * 3 == told
        assert before == await everything(db)

    async def test_always_the_same(self, db: Db, where: Path | str, tmp_path: Path) -> None:
        """The same products give the same data, down to the ids and times."""
        another = fresh(where) if isinstance(where, str) else tmp_path / "other.db"
        async with connect(another) as other:
            await migrate(other, STEPS)
            await fill_demo(other, PRODUCTS, LOCALES)
            await fill_demo(db, PRODUCTS, LOCALES)

            assert await everything(db) == await everything(other)

    async def test_what_was_removed_does_not_come_back(self, db: Db) -> None:
        """Restarting the service undoes nobody's work."""
        await fill_demo(db, PRODUCTS, LOCALES)
        await db.execute("DELETE FROM comments")
        await db.execute("DELETE FROM collages")
        await db.execute("UPDATE ratings SET stars = NULL")
        before = await everything(db)

        await fill_demo(db, PRODUCTS, LOCALES)

        assert before == await everything(db)

    async def test_a_catalogue_that_comes_later(self, db: Db) -> None:
        """Without products there are users alone; with them, the rest."""
        assert 8 == len(await fill_demo(db, (), LOCALES))
        assert 0 == await count(db, "SELECT COUNT(*) FROM collages")

        await fill_demo(db, PRODUCTS, LOCALES)
        assert 16 == await count(db, "SELECT COUNT(*) FROM collages")

    async def test_a_locale_without_words(self, db: Db) -> None:
        """Has no comments and no collages."""
        await fill_demo(db, PRODUCTS, ("pl-PL",))

        assert 0 == await count(db, "SELECT COUNT(*) FROM collages")
        assert 0 == await count(db, "SELECT COUNT(*) FROM comments")
        assert 0 < await count(db, "SELECT COUNT(*) FROM ratings")

    async def test_a_database_of_ones_own(self, db: Db) -> None:
        """Where there are users, nobody is let in by a token that anyone can read."""
        await add_user(db, ANNA, "secret")
        before = await everything(db)

        assert () == await fill_demo(db, PRODUCTS, LOCALES)
        assert before == await everything(db)


async def count(db: Db, sql: str) -> int:
    number = await db.one(int, sql)
    assert number is not None
    return number


async def everything(db: Db) -> list[str]:
    return [
        *await db.all(str, "SELECT id || name || joined FROM users ORDER BY id"),
        *await db.all(str, "SELECT sha256 || user_id FROM tokens ORDER BY 1"),
        *await db.all(
            str,
            "SELECT product_id || user_id || COALESCE(stars, '') || changed || revision"
            " FROM ratings ORDER BY 1",
        ),
        *await db.all(
            str,
            "SELECT id || locale || product_id || user_id || text || created || changed"
            " FROM comments ORDER BY id",
        ),
        *await db.all(
            str,
            "SELECT id || locale || title || user_id || product_ids || created || changed"
            " FROM collages ORDER BY id",
        ),
    ]
