"""One row by its key through `ogrom.sources.sql`, as a typed value."""

import sys
from datetime import datetime

from _sql import measured
from msgspec import Struct

from ogrom.sources import sql


class Comment(Struct, frozen=True):
    """A row."""

    id: int
    product_id: str
    user_id: str
    text: str
    created: datetime
    changed: datetime
    revision: int


async def get(db, number):
    """As the shop asks."""
    return await db.one(
        Comment,
        "SELECT id, product_id, user_id, text, created, changed, revision FROM comments"
        " WHERE id = :id AND locale = :locale",
        id=number,
        locale="de-DE",
    )


measured(lambda: sql.connect(sys.argv[1]), get)
