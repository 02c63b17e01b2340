"""The shop on its own server: shop_app.py PORT STATE runs the real one, on SQLite and tantivy in STATE;
without STATE its endpoints are on dictionaries, so that what the sources cost is seen.
"""

import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _data import port
from msgspec.structs import replace

from ogrom.http import Cors, Service
from ogrom.serve import App, JsonLog, serve
from shop import core
from shop.protocols import (
    Comment,
    CommentPage,
    FacetValue,
    Product,
    ProductPage,
    ProductQuery,
    Profile,
    User,
)
from shop.run import Settings
from shop.run.wiring import logged
from shop.sources.catalogue import generate

LOCALE = "de-DE"


class Products:
    """The catalogue in a dictionary: a search is a slice of it."""

    revision = "r1"

    def __init__(self) -> None:
        self._all = {
            product.id: replace(product, revision=f"r{product.id}")
            for product in generate(1_000, LOCALE)
        }
        self._ids = list(self._all)
        self._facets = {"category": (FacetValue("Kleider", 107), FacetValue("Blazer", 40))}

    async def search(self, query: ProductQuery) -> ProductPage:
        """Twenty products, other ones for another query."""
        start = len(query.q) * 7
        items = tuple(self._all[each] for each in self._ids[start : start + query.per_page])
        return ProductPage(items, len(self._all), self._facets)

    async def by_id(self, product_id: str) -> Product | None:
        """The product, or None."""
        return self._all.get(product_id)


class Users:
    """The one user that there is."""

    _anna = User("anna", "Anna Brandt", datetime(2025, 3, 1, tzinfo=UTC))

    async def by_token(self, token: str) -> User | None:
        """Whose bearer token this is."""
        return self._anna if token == "demo-anna" else None

    async def by_id(self, user_id: str) -> User | None:
        """The user, or None."""
        return self._anna if user_id == "anna" else None

    async def profile(self, user_id: str) -> Profile | None:
        """The user, as new as can be."""
        return Profile(self._anna) if user_id == "anna" else None


class Comments:
    """The comments in a dictionary. What is not measured is not there."""

    def __init__(self) -> None:
        self._all: dict[int, Comment] = {}

    async def of_product(self, product_id: str, *, offset: int, limit: int) -> CommentPage:
        """The product's comments."""
        found = [each for each in self._all.values() if each.product_id == product_id]
        return CommentPage(tuple(found[offset : offset + limit]), len(found))

    async def add(self, product_id: str, user_id: str, text: str) -> Comment:
        """Write a comment."""
        now, number = datetime.now(UTC), len(self._all) + 1
        made = Comment(
            id=number,
            product_id=product_id,
            user_id=user_id,
            text=text,
            created=now,
            changed=now,
            revision=1,
        )
        self._all[number] = made
        return made


@asynccontextmanager
async def on_dictionaries():
    """The endpoints of one locale."""
    unasked: Any = None
    comments: Any = Comments()
    sources = core.Sources(
        products=Products(), ratings=unasked, comments=comments, collages=unasked, users=Users()
    )
    routes = {"/v1": {f"/{LOCALE}": core.api(sources, LOCALE)}}
    yield App(service=Service(routes, cors=Cors(origins=("*",))))


if __name__ == "__main__":
    where = f"127.0.0.1:{port()}"
    if len(sys.argv) > 2:
        make, log = logged(Settings(state=Path(sys.argv[2]), products=1_000))
        serve(make, where, log=log)
    else:
        serve(on_dictionaries, where, log=JsonLog("shop", ""))
