"""Bearer tokens (RFC 6750): whoever only reads need not say who they are."""

from collections.abc import Awaitable, Callable

from ogrom.http import Context, Unauthorized
from shop.protocols import CannotTell, User, Users

CHALLENGE = 'Bearer realm="shop"'
READS = frozenset({"GET", "HEAD", "OPTIONS"})


def bearer(users: Users, *, reads: bool = True) -> Callable[[Context], Awaitable[User | bool]]:
    """Asks whose token it is; the user is `ctx.principal(User)`.

    While nobody can tell whose it is, what needs no token can still be read.

    Args:
        users: who knows.
        reads: whether one may read without a token.
    """

    async def authorized(ctx: Context) -> User | bool:
        field = ctx.request.headers.get("authorization")
        if field is None:
            return reads and ctx.method in READS
        scheme, _, token = field.partition(" ")
        if scheme.lower() != "bearer":
            return False
        try:
            user = await users.by_token(token.strip())
        except CannotTell:
            if reads and ctx.method in READS:
                return True
            raise
        if user is None:
            detail = "This token is nobody's, or no longer anybody's. Get a new one."
            raise Unauthorized(detail, challenge=f'{CHALLENGE}, error="invalid_token"')
        return user

    return authorized


def is_own(ctx: Context, owner_id: str) -> bool:
    """Whether the request reads, or comes from the owner of what it writes."""
    return ctx.method in READS or ctx.principal(User).id == owner_id
