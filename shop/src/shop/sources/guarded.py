"""The shop's sources behind shields: what happens to everybody else while a server of theirs is away.

**The catalogue**, in a search engine. A generation of it never changes, so what was asked of it is
kept for as long as it is the live one: a minute without asking again, a day where the engine is
away. What nobody has asked for lately is 503 then. It has an age only where it could be another by
now: while the engine, which would tell of a new generation, is away.

**What people wrote**, in a MySQL. Whoever has written reads it back, whichever instance answers: so
nothing is taken as fresh, and no call joins another one's, which may have begun before the write.
Lists are kept for the time in which the database is away, for an hour at most. No write is ever
repeated by us.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Final, TypeVar

from msgspec import structs

from ogrom.sources.resilience import Aged, Breaker, Bulkhead, Cache, Protected, Retry, Shield
from shop.protocols import (
    Collage,
    CollagePage,
    Collages,
    Comment,
    CommentPage,
    Comments,
    Product,
    ProductPage,
    ProductQuery,
    Products,
    Profile,
    Rating,
    Ratings,
    RatingSummary,
    User,
    Users,
)

__all__ = [
    "GuardedCollages",
    "GuardedComments",
    "GuardedRatings",
    "GuardedUsers",
    "catalogue_shield",
    "database_shield",
    "guarded",
]


def _size(page: ProductPage) -> int:
    """About how many bytes a page takes: to write it down in order to know would cost more than to make it."""
    texts = sum([len(each.description) for each in page.items])
    return texts + 300 * len(page.items) + 30 * sum(map(len, page.facets.values()))


OF_PAGES: Final = Cache(fresh=60, on_error=86_400, entries=5_000, most_bytes=16 << 20, size=_size)
OF_PRODUCTS: Final = Cache(fresh=60, on_error=86_400, entries=50_000, most_bytes=16 << 20)
OF_LISTS: Final = Cache(fresh=0, on_error=3_600, entries=10_000, most_bytes=8 << 20)

T = TypeVar("T", Product, ProductPage, RatingSummary, CommentPage, CollagePage)


def catalogue_shield(
    *, timeout: float = 2.0, clock: Callable[[], float] = time.monotonic
) -> Shield:
    """The protection that the search engine gets.

    Args:
        timeout: how many seconds one attempt may take.
        clock: tells the time in seconds.
    """
    return Shield(
        "search",
        timeout=timeout,
        patience=2 * timeout,
        retry=Retry(attempts=2),
        breaker=Breaker(ratio=0.5, least=5, window=10, rest=1),
        bulkhead=Bulkhead(calls=64, queue=256, patience=1),
        clock=clock,
    )


def database_shield(*, timeout: float = 3.0, clock: Callable[[], float] = time.monotonic) -> Shield:
    """The protection that the database gets. The pool's connections are its bulkhead, and more.

    Args:
        timeout: how many seconds one attempt may take.
        clock: tells the time in seconds.
    """
    return Shield(
        "sql",
        timeout=timeout,
        retry=Retry(attempts=2),
        breaker=Breaker(ratio=0.5, least=5, window=10, rest=1),
        bulkhead=Bulkhead(calls=64, queue=256, patience=1),
        counts_busy=False,
        clock=clock,
    )


def guarded(catalogues: Mapping[str, Products], shield: Shield) -> Mapping[str, Products]:
    """The same catalogues, by locale, behind one shield, as one engine has them all."""

    def page(locale: str, query: ProductQuery) -> Awaitable[ProductPage]:
        return catalogues[locale].search(query)

    def product(locale: str, product_id: str) -> Awaitable[Product | None]:
        return catalogues[locale].by_id(product_id)

    def of_page(locale: str, query: ProductQuery) -> tuple[object, ...]:
        return locale, catalogues[locale].revision, query

    def of_product(locale: str, product_id: str) -> tuple[object, ...]:
        return locale, catalogues[locale].revision, product_id

    pages = shield.protect(page, cache=OF_PAGES, key=of_page)
    ones = shield.protect(product, cache=OF_PRODUCTS, key=of_product)
    return {
        locale: _GuardedProducts(locale, products, pages, ones, shield)
        for locale, products in catalogues.items()
    }


class _GuardedProducts:
    """The catalogue of one locale."""

    def __init__(
        self,
        locale: str,
        products: Products,
        pages: Protected[[str, ProductQuery], ProductPage],
        ones: Protected[[str, str], Product | None],
        shield: Shield,
    ) -> None:
        self._locale = locale
        self._products = products
        self._pages = pages
        self._ones = ones
        self._shield = shield

    @property
    def revision(self) -> str:
        """Changes whenever the catalogue does; never repeats within one store."""
        return self._products.revision

    async def search(self, query: ProductQuery) -> ProductPage:
        """The page asked for."""
        return self._told(await self._pages.aged(self._locale, query))

    async def by_id(self, product_id: str) -> Product | None:
        """The product, or None where there is no such id."""
        found = await self._ones.aged(self._locale, product_id)
        if found.value is None:
            return None
        is_old = found.stale or not self._shield.up
        return (
            structs.replace(found.value, age=found.age)
            if is_old and found.age >= 1
            else found.value
        )

    def parts(self) -> AsyncGenerator[tuple[Product, ...]]:
        """All products, some at a time, by name: never kept, and asked for straight."""
        return self._products.parts()

    def _told(self, found: Aged[T]) -> T:
        return _with_age(found) if found.stale or not self._shield.up else found.value


class GuardedRatings:
    """The ratings of all locales."""

    def __init__(self, ratings: Ratings, shield: Shield) -> None:
        self._of_product = shield.protect(
            ratings.of_product, name="ratings", cache=OF_LISTS, share=False
        )
        self._by_user = shield.protect(ratings.by_user, name="rating", share=False)
        self._put = shield.protect(ratings.put, name="rate", repeatable=False)
        self._remove = shield.protect(ratings.remove, name="unrate", repeatable=False)

    async def of_product(self, product_id: str) -> RatingSummary:
        """The product's ratings in short."""
        return _with_age(await self._of_product.aged(product_id))

    async def by_user(self, product_id: str, user_id: str) -> Rating | None:
        """The user's own rating, or None."""
        return await self._by_user(product_id, user_id)

    async def put(
        self, product_id: str, user_id: str, stars: int, *, revision: int | None
    ) -> Rating | None:
        """Write the rating in place of `revision`'s; None where that is not the present one."""
        return await self._put(product_id, user_id, stars, revision=revision)

    async def remove(self, product_id: str, user_id: str, revision: int) -> bool:
        """Remove the rating if `revision` is the present one; whether that was done."""
        return await self._remove(product_id, user_id, revision)


class GuardedComments:
    """The comments of one locale."""

    def __init__(self, comments: Comments, shield: Shield, locale: str) -> None:
        self._of_product = shield.protect(
            comments.of_product, name=f"comments {locale}", cache=OF_LISTS, share=False
        )
        self._by_id = shield.protect(comments.by_id, name="comment", share=False)
        self._add = shield.protect(comments.add, name="comment on", repeatable=False)
        self._edit = shield.protect(comments.edit, name="edit", repeatable=False)
        self._remove = shield.protect(comments.remove, name="uncomment", repeatable=False)

    async def of_product(self, product_id: str, *, offset: int, limit: int) -> CommentPage:
        """The product's comments, the oldest first."""
        return _with_age(await self._of_product.aged(product_id, offset=offset, limit=limit))

    async def by_id(self, comment_id: int) -> Comment | None:
        """The comment, or None where there is none (any more)."""
        return await self._by_id(comment_id)

    async def add(self, product_id: str, user_id: str, text: str) -> Comment:
        """Write a comment; it is stored when this returns."""
        return await self._add(product_id, user_id, text)

    async def edit(self, comment_id: int, revision: int, text: str) -> Comment | None:
        """Put new text in place of `revision`'s; None where that is not the present revision."""
        return await self._edit(comment_id, revision, text)

    async def remove(self, comment_id: int, revision: int) -> bool:
        """Remove the comment if `revision` is the present one; whether that was done."""
        return await self._remove(comment_id, revision)


class GuardedCollages:
    """The collages of one locale."""

    def __init__(self, collages: Collages, shield: Shield, locale: str) -> None:
        self._all = shield.protect(
            collages.all, name=f"collages {locale}", cache=OF_LISTS, share=False
        )
        self._by_id = shield.protect(collages.by_id, name="collage", share=False)
        self._add = shield.protect(collages.add, name="compose", repeatable=False)
        self._replace = shield.protect(collages.replace, name="recompose", repeatable=False)
        self._remove = shield.protect(collages.remove, name="discard", repeatable=False)

    async def all(self, *, user_id: str | None, offset: int, limit: int) -> CollagePage:
        """The collages, the newest first; only the user's where one is named."""
        return _with_age(await self._all.aged(user_id=user_id, offset=offset, limit=limit))

    async def by_id(self, collage_id: int) -> Collage | None:
        """The collage, or None where there is none (any more)."""
        return await self._by_id(collage_id)

    async def add(self, user_id: str, title: str, product_ids: tuple[str, ...]) -> Collage:
        """Make a collage; it is stored when this returns."""
        return await self._add(user_id, title, product_ids)

    async def replace(
        self, collage_id: int, revision: int, title: str, product_ids: tuple[str, ...]
    ) -> Collage | None:
        """Put new content in place of `revision`'s; None where that is not the present one."""
        return await self._replace(collage_id, revision, title, product_ids)

    async def remove(self, collage_id: int, revision: int) -> bool:
        """Remove the collage if `revision` is the present one; whether that was done."""
        return await self._remove(collage_id, revision)


class GuardedUsers:
    """Users of the shop's own database, where that is a MySQL. Nothing of them is kept."""

    def __init__(self, users: Users, shield: Shield) -> None:
        self._by_id = shield.protect(users.by_id, name="user", share=False)
        self._by_token = shield.protect(users.by_token, name="token", share=False)

    async def profile(self, user_id: str) -> Profile | None:
        """The user, as new as can be; None where there is no such id."""
        user = await self.by_id(user_id)
        return None if user is None else Profile(user)

    async def by_id(self, user_id: str) -> User | None:
        """The user, or None where there is no such id."""
        return await self._by_id(user_id)

    async def by_token(self, token: str) -> User | None:
        """Whose bearer token this is; None where it is nobody's."""
        return await self._by_token(token)


def _with_age(found: Aged[T]) -> T:
    """The value, with how old it is where that is worth telling."""
    return found.value if found.age < 1 else structs.replace(found.value, age=found.age)
