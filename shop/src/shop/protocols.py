"""What the shop's data is, and what the shop asks of whoever keeps it.

`core` speaks to these Protocols alone, `sources` implement them, `run` brings the two together.
Every value is frozen, and none can be part of a circle, so none is looked at when Python looks for
circles: many are kept. A source that cannot answer raises; absence is `None`, never an exception.
Where a value has an `age`, a source may have kept it: so many seconds ago it was asked for it. It is 0
where the source has just been asked.
"""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

LOCALES = ("de-DE", "fr-FR", "nl-NL", "en-GB")
"""The locales that the shop can speak, the first being the one that it falls back to."""

Facet = Literal["category", "brand", "colour", "size", "material"]
FACETS: tuple[Facet, ...] = ("category", "brand", "colour", "size", "material")

Sort = Literal["relevance", "price", "-price", "name", "-name", "newest"]

PAGE_LIMIT = 10_000
"""How deep a list can be paged: `page * per_page` never passes it."""


class Money(Struct, frozen=True, gc=False):
    """An amount in the currency's minor unit (cents, pence), with its ISO 4217 code."""

    minor: int
    currency: str


class Product(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One garment, as one locale sees it. What a catalogue does not say is left out.

    What clients are shown is the same, with `url` or `links`, which no source knows, and without
    `revision` and `age`, of which header fields tell.
    """

    id: str
    name: str
    description: str = ""
    category: str | None = None
    brand: str | None = None
    colour: str | None = None
    material: str | None = None
    sizes: tuple[str, ...] = ()
    price: Money | None = None
    added: datetime | None = None
    url: str = ""
    """Where it is, in lists."""
    links: Mapping[str, str] | None = None
    """Where that is which belongs to it, by name."""
    revision: str = ""
    """Changes whenever anything else of the product does."""
    age: float = 0  # the integer, which is one object everywhere: by that it is known and left out


class ProductQuery(Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """What a client may ask of the catalogue: text, filters, an order and a page.

    Several values of one filter are alternatives; different filters must all hold.
    """

    q: Annotated[str, Meta(max_length=200)] = ""
    category: tuple[str, ...] = ()
    brand: tuple[str, ...] = ()
    colour: tuple[str, ...] = ()
    size: tuple[str, ...] = ()
    material: tuple[str, ...] = ()
    price_min: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    price_max: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    sort: Sort = "relevance"
    page: Annotated[int, Meta(ge=1, le=PAGE_LIMIT)] = 1
    per_page: Annotated[int, Meta(ge=1, le=100)] = 20

    def __post_init__(self) -> None:
        if self.page * self.per_page > PAGE_LIMIT:
            raise ValueError(f"page times per_page may be {PAGE_LIMIT:,} at most: narrow the query")


class FacetValue(Struct, frozen=True, gc=False):
    """One value of a facet and the number of products that have it."""

    value: str
    count: int


class ProductPage(Struct, frozen=True, gc=False):
    """One page of the products found, the number of all found, and how they divide by facet."""

    items: tuple[Product, ...]
    total: int
    facets: Mapping[str, tuple[FacetValue, ...]]
    age: float = 0.0


class Products(Protocol):
    """The catalogue of one locale."""

    @property
    def revision(self) -> str:
        """Changes whenever the catalogue does; never repeats within one store."""
        ...

    async def search(self, query: ProductQuery) -> ProductPage:
        """The page asked for. An order without ties: the same query over the same catalogue
        gives the same pages, without gap or repetition between them.
        """
        ...

    async def by_id(self, product_id: str) -> Product | None:
        """The product, or None where there is no such id."""
        ...

    def parts(self) -> AsyncGenerator[tuple[Product, ...]]:
        """All products, some at a time, by name. Raises `Replaced` where they change meanwhile."""
        ...


class Replaced(Exception):
    """The catalogue was replaced while it was being read: what was read belongs to no catalogue."""

    def __init__(self) -> None:
        super().__init__("The catalogue was replaced while it was being read.")


class User(Struct, frozen=True, gc=False):
    """A person known to the shop."""

    id: str
    name: str
    joined: datetime


class Profile(Struct, frozen=True, gc=False):
    """A user, and how old the news is.

    `age` is in seconds since whoever knows said so; `fresh` is for how many seconds from then on it
    need not be asked again.
    """

    user: User
    age: float = 0.0
    fresh: float = 60.0


class CannotTell(Exception):
    """Who somebody is cannot be told now: whoever knows does not answer.

    Args:
        message: why.
        retry_after: in how many seconds it may be worth asking again.
    """

    def __init__(self, message: str = "", *, retry_after: float = 2.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Users(Protocol):
    """Who people are, and whose token this is. What cannot be told now is a `CannotTell`."""

    async def profile(self, user_id: str) -> Profile | None:
        """The user with the age of the news, or None where there is no such id."""
        ...

    async def by_id(self, user_id: str) -> User | None:
        """The user, or None where there is no such id."""
        ...

    async def by_token(self, token: str) -> User | None:
        """Whose bearer token this is; None where it is nobody's."""
        ...


class Comment(Struct, frozen=True, gc=False, kw_only=True):
    """What a user wrote about a product, in one locale."""

    id: int
    product_id: str
    user_id: str
    text: str
    created: datetime
    changed: datetime
    revision: int


class CommentPage(Struct, frozen=True, gc=False):
    """One page of comments, the oldest first, and the number of all."""

    items: tuple[Comment, ...]
    total: int
    age: float = 0.0


class Comments(Protocol):
    """The comments of one locale."""

    async def of_product(self, product_id: str, *, offset: int, limit: int) -> CommentPage:
        """The product's comments, the oldest first."""
        ...

    async def by_id(self, comment_id: int) -> Comment | None:
        """The comment, or None where there is none (any more)."""
        ...

    async def add(self, product_id: str, user_id: str, text: str) -> Comment:
        """Write a comment; it is stored when this returns."""
        ...

    async def edit(self, comment_id: int, revision: int, text: str) -> Comment | None:
        """Put new text in place of `revision`'s; None where that is not the present revision."""
        ...

    async def remove(self, comment_id: int, revision: int) -> bool:
        """Remove the comment if `revision` is the present one; whether that was done."""
        ...


class Rating(Struct, frozen=True, gc=False, kw_only=True):
    """How many stars, 1 to 5, one user gives one product."""

    product_id: str
    user_id: str
    stars: int
    changed: datetime
    revision: int


class RatingSummary(Struct, frozen=True, gc=False):
    """A product's ratings in short: how many, their mean (None where none), and how they divide.

    `histogram` maps "1" to "5" to the number of ratings with so many stars.
    """

    count: int
    mean: float | None
    histogram: Mapping[str, int]
    age: float = 0.0


class Ratings(Protocol):
    """The ratings of all locales."""

    async def of_product(self, product_id: str) -> RatingSummary:
        """The product's ratings in short."""
        ...

    async def by_user(self, product_id: str, user_id: str) -> Rating | None:
        """The user's own rating, or None."""
        ...

    async def put(
        self, product_id: str, user_id: str, stars: int, *, revision: int | None
    ) -> Rating | None:
        """Write the rating in place of `revision`'s, or as the first where `revision` is None.

        None where that is not the present revision.
        """
        ...

    async def remove(self, product_id: str, user_id: str, revision: int) -> bool:
        """Remove the rating if `revision` is the present one; whether that was done."""
        ...


class Collage(Struct, frozen=True, gc=False, kw_only=True):
    """An outfit composed of products, made by a user, in one locale."""

    id: int
    user_id: str
    title: str
    product_ids: tuple[str, ...]
    created: datetime
    changed: datetime
    revision: int


class CollagePage(Struct, frozen=True, gc=False):
    """One page of collages, the newest first, and the number of all."""

    items: tuple[Collage, ...]
    total: int
    age: float = 0.0


class Collages(Protocol):
    """The collages of one locale."""

    async def all(self, *, user_id: str | None, offset: int, limit: int) -> CollagePage:
        """The collages, the newest first; only the user's where one is named."""
        ...

    async def by_id(self, collage_id: int) -> Collage | None:
        """The collage, or None where there is none (any more)."""
        ...

    async def add(self, user_id: str, title: str, product_ids: tuple[str, ...]) -> Collage:
        """Make a collage; it is stored when this returns."""
        ...

    async def replace(
        self, collage_id: int, revision: int, title: str, product_ids: tuple[str, ...]
    ) -> Collage | None:
        """Put new content in place of `revision`'s; None where that is not the present one."""
        ...

    async def remove(self, collage_id: int, revision: int) -> bool:
        """Remove the collage if `revision` is the present one; whether that was done."""
        ...
