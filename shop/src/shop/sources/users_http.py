"""Users of a third party's identity API, kept for a while, and behind a shield.

The API has two endpoints below its base, both asked with `Authorization: Bearer <our secret>`:

    GET /users/{id}      {"id": "anna", "name": "Anna Brandt", "joined": "2025-03-01T09:00:00Z"}, or 404
    POST /introspect     token=… as a form; {"active": true, "sub": "anna", "exp": 1790000000}, or
                         {"active": false}: token introspection, RFC 7662

Fields that we do not know are ignored. `sub` is a user's id; `exp`, where it is sent, ends the token
to the second, whatever is kept here.

**How long an answer holds.** A user is fresh for a minute, then given for five more while a new
answer is fetched, and for a day while the API is down. Whose token it is holds for ten seconds, and
for five minutes while the API is down: so long may a revoked token work, and not longer. That there
is no such user holds for five seconds. A token is kept as its SHA-256 alone.
"""

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from ogrom.sources.http import Client
from ogrom.sources.resilience import Aged, Breaker, Bulkhead, Cache, Retry, Shield, Unavailable
from shop.protocols import CannotTell, Profile, User

__all__ = ["OF_TOKENS", "OF_USERS", "WATCH", "HttpUsers", "shield"]

OF_USERS: Final = Cache(fresh=60, while_revalidate=300, on_error=86_400, absent=5, entries=50_000)
OF_TOKENS: Final = Cache(fresh=10, on_error=290, absent=5, entries=50_000)


WATCH: Final = 2.0
"""After so many seconds in which nobody asked, it is asked how it is: it is somebody else's."""


def shield(*, timeout: float = 2.0, clock: Callable[[], float] = time.monotonic) -> Shield:
    """The protection that the identity API gets.

    Args:
        timeout: how many seconds one attempt may take.
        clock: tells the time in seconds.
    """
    return Shield(
        "users",
        timeout=timeout,
        patience=2 * timeout,
        retry=Retry(attempts=3),
        breaker=Breaker(ratio=0.5, least=5, window=10, rest=2),
        bulkhead=Bulkhead(calls=32, queue=256, patience=1),
        clock=clock,
    )


class _Token(Struct, frozen=True):
    """What introspection says (RFC 7662, section 2.2), as far as we need it."""

    active: bool
    sub: str = ""
    exp: float | None = None


class HttpUsers:
    """Who people are, and whose token this is, as an identity API says.

    Args:
        client: speaks to the API.
        shield: stands before it.
    """

    def __init__(self, client: Client, shield: Shield) -> None:
        async def user(user_id: str) -> User | None:
            found = await client.get(f"/users/{quote(user_id, safe='')}", User)
            return found if found is not None and found.id == user_id else None

        async def introspect(token: str) -> _Token | None:
            form = {"token": token, "token_type_hint": "access_token"}
            found = await client.post("/introspect", _Token, form=form)
            return found if found.active and found.sub else None

        self._client = client
        self._user = shield.protect(user, cache=OF_USERS)
        self._token = shield.protect(introspect, name="token", cache=OF_TOKENS, key=_hashed)

    async def ping(self) -> None:
        """See whether the API answers and takes our secret, by a user whom there is not."""
        await self._client.get("/users/-", User)

    async def by_id(self, user_id: str) -> User | None:
        """The user, or None where there is no such id; raises CannotTell."""
        return (await self._aged(user_id)).value

    async def profile(self, user_id: str) -> Profile | None:
        """The user with the age of the news, or None; raises CannotTell."""
        found = await self._aged(user_id)
        return None if found.value is None else Profile(found.value, found.age, found.fresh)

    async def by_token(self, token: str) -> User | None:
        """Whose bearer token this is; None where it is nobody's; raises CannotTell."""
        if not token or len(token) > _LONGEST or not token.isascii():
            return None
        try:
            found = await self._token(token)
        except Unavailable as error:
            raise _cannot_tell(error) from error
        if found is None or (found.exp is not None and found.exp <= time.time()):
            return None
        return await self.by_id(found.sub)

    async def _aged(self, user_id: str) -> Aged[User | None]:
        if not user_id or len(user_id) > _LONGEST:
            return Aged(None)
        try:
            return await self._user.aged(user_id)
        except Unavailable as error:
            raise _cannot_tell(error) from error


_LONGEST: Final = 4096
"""Longer ones are nobody's, and must not fill the cache."""


def _hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _cannot_tell(error: Unavailable) -> CannotTell:
    return CannotTell(str(error), retry_after=error.retry_after or 2.0)
