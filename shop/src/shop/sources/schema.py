"""The tables of the shop's own data, as steps that only ever go forward.

A row of `ratings` stays when its rating is removed, without stars: the next rating counts its
revisions on from there, so that nothing learnt about the old one passes for the new.
"""

from ogrom.sources.sql import Step

__all__ = ["STEPS", "possible"]

STEPS = (
    Step(
        1,
        "users, comments, ratings and collages",
        (
            """
            CREATE TABLE users (
                id VARCHAR(64) NOT NULL PRIMARY KEY,
                name VARCHAR(200) NOT NULL,
                joined DATETIME(6) NOT NULL
            )
            """,
            """
            CREATE TABLE tokens (
                sha256 CHAR(64) NOT NULL PRIMARY KEY,
                user_id VARCHAR(64) NOT NULL,
                FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
            )
            """,
            """
            CREATE TABLE comments (
                id SERIAL PRIMARY KEY,
                locale VARCHAR(16) NOT NULL,
                product_id VARCHAR(64) NOT NULL,
                user_id VARCHAR(64) NOT NULL,
                text TEXT NOT NULL,
                created DATETIME(6) NOT NULL,
                changed DATETIME(6) NOT NULL,
                revision INTEGER NOT NULL
            )
            """,
            "CREATE INDEX comments_of_product ON comments (locale, product_id)",
            """
            CREATE TABLE ratings (
                product_id VARCHAR(64) NOT NULL,
                user_id VARCHAR(64) NOT NULL,
                stars INTEGER CHECK (stars BETWEEN 1 AND 5),
                changed DATETIME(6) NOT NULL,
                revision INTEGER NOT NULL,
                PRIMARY KEY (product_id, user_id)
            )
            """,
            "CREATE INDEX ratings_by_stars ON ratings (product_id, stars)",
            """
            CREATE TABLE collages (
                id SERIAL PRIMARY KEY,
                locale VARCHAR(16) NOT NULL,
                user_id VARCHAR(64) NOT NULL,
                title VARCHAR(200) NOT NULL,
                product_ids TEXT NOT NULL,
                created DATETIME(6) NOT NULL,
                changed DATETIME(6) NOT NULL,
                revision INTEGER NOT NULL
            )
            """,
            "CREATE INDEX collages_of_locale ON collages (locale)",
            "CREATE INDEX collages_of_user ON collages (locale, user_id)",
        ),
    ),
)


def possible(*numbers: int) -> bool:
    """Whether an id or revision can be there at all: clients ask for any, SQL keeps 64 bits."""
    return all(0 < number < 2**63 for number in numbers)
