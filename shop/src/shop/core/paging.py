"""Pages of lists: the query that asks for one, the links to the others (RFC 8288), and how old they are."""

import re
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from msgspec import Meta, Struct

from ogrom.http import Context
from shop.protocols import PAGE_LIMIT


class Page(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list, counted from 1."""

    page: Annotated[int, Meta(ge=1, le=PAGE_LIMIT)] = 1
    per_page: Annotated[int, Meta(ge=1, le=100)] = 20

    def __post_init__(self) -> None:
        if self.page * self.per_page > PAGE_LIMIT:
            raise ValueError(f"page times per_page may be {PAGE_LIMIT:,} at most")

    @property
    def offset(self) -> int:
        """How many items come before."""
        return (self.page - 1) * self.per_page


# A query that names no page, as `urlencode` writes it: most are, and need not be written again.
_goes_on = re.compile(
    r"(?:(?!page=)[a-z_]+=(?:[A-Za-z0-9_.~+-]|%[0-9A-F]{2})*(?:&(?!\Z)|\Z))*"
).fullmatch


def links(ctx: Context, page: int, per_page: int, total: int) -> dict[str, str]:
    """The `Link` to the first, previous, next and last page, with the rest of the query kept."""
    last = max(1, min(-(-total // per_page), PAGE_LIMIT // per_page))
    targets = {"first": 1, "prev": page - 1, "next": page + 1, "last": last}
    rest = ctx.request.query
    if not _goes_on(rest):
        pairs = parse_qsl(rest, keep_blank_values=True)
        rest = urlencode([(name, value) for name, value in pairs if name != "page"])
    before = f"{ctx.request.path}?{rest}&" if rest else f"{ctx.request.path}?"
    found = [
        f'<{before}page={number}>; rel="{relation}"'
        for relation, number in targets.items()
        if 1 <= number <= last
    ]
    return {"Link": ", ".join(found)}


def age(seconds: float) -> dict[str, str]:
    """The `Age` of what was kept (RFC 9111, section 5.1); nothing where it has just been asked for."""
    return {"Age": str(int(seconds))} if seconds >= 1 else {}
