"""The shop's HTTP endpoints. Each is a value, gets its sources as arguments and knows no path."""

from dataclasses import dataclass

from ogrom.http import Routes
from shop.core.collages import collage, collages
from shop.core.comments import comment, comments
from shop.core.products import catalogue, product, products
from shop.core.ratings import own_rating, ratings
from shop.core.start import start
from shop.core.users import user
from shop.protocols import Collages, Comments, Products, Ratings, Users

__all__ = [
    "Sources",
    "api",
    "catalogue",
    "collage",
    "collages",
    "comment",
    "comments",
    "own_rating",
    "product",
    "products",
    "ratings",
    "start",
    "user",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """All the data that one locale's endpoints need."""

    products: Products
    ratings: Ratings
    comments: Comments
    collages: Collages
    users: Users


def api(sources: Sources, locale: str, *, fresh: int = 0) -> Routes:
    """The endpoints of one locale.

    Args:
        sources: where the data are.
        locale: whose they are.
        fresh: for how many seconds caches may give products without asking.
    """
    return {
        "": start(locale),
        "/catalogue": catalogue(sources.products, locale),
        "/products": {
            "": products(sources.products, locale, fresh=fresh),
            "/{product_id}": {
                "": product(sources.products, locale, fresh=fresh),
                "/ratings": {
                    "": ratings(sources.ratings, sources.products),
                    "/mine": own_rating(sources.ratings, sources.products, sources.users),
                },
                "/comments": comments(sources.comments, sources.products, sources.users, locale),
            },
        },
        "/comments/{comment_id:int}": comment(sources.comments, sources.users, locale),
        "/collages": {
            "": collages(sources.collages, sources.products, sources.users, locale),
            "/{collage_id:int}": collage(sources.collages, sources.products, sources.users, locale),
        },
        "/users/{user_id}": user(sources.users),
    }
