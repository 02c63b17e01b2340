"""Users and their bearer tokens, kept in SQL: the stand-in for an identity provider."""

from hashlib import sha256

from ogrom.sources.sql import Queries
from shop.protocols import Profile, User

__all__ = ["SqlUsers", "add_user"]


class SqlUsers:
    """Who people are, and whose token this is."""

    def __init__(self, db: Queries) -> None:
        self._db = db

    async def by_id(self, user_id: str) -> User | None:
        """The user, or None where there is no such id."""
        return await self._db.one(
            User, "SELECT id, name, joined FROM users WHERE id = :id", id=user_id
        )

    async def profile(self, user_id: str) -> Profile | None:
        """The user, as new as can be; None where there is no such id."""
        user = await self.by_id(user_id)
        return None if user is None else Profile(user)

    async def by_token(self, token: str) -> User | None:
        """Whose bearer token this is; None where it is nobody's."""
        return await self._db.one(
            User,
            "SELECT users.id AS id, users.name AS name, users.joined AS joined"
            " FROM tokens JOIN users ON users.id = tokens.user_id WHERE tokens.sha256 = :sha256",
            sha256=_kept(token),
        )


async def add_user(tx: Queries, user: User, token: str) -> None:
    """Make a user known, with a bearer token; `Duplicate` if the id or the token is taken."""
    await tx.execute(
        "INSERT INTO users (id, name, joined) VALUES (:id, :name, :joined)",
        id=user.id,
        name=user.name,
        joined=user.joined,
    )
    await tx.execute(
        "INSERT INTO tokens (sha256, user_id) VALUES (:sha256, :user_id)",
        sha256=_kept(token),
        user_id=user.id,
    )


def _kept(token: str) -> str:
    """All that is kept of a token: whoever reads the table cannot act as anybody.

    A plain hash is enough for what nobody can guess, and found by its key, it is not compared.
    """
    return sha256(token.encode(errors="surrogatepass")).hexdigest()
