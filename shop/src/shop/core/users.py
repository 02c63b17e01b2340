"""Users: who somebody is."""

from ogrom.http import Context, Resource, problem
from shop.protocols import User, Users


def user(source: Users) -> Resource[User]:
    """One user, found by id."""

    async def find(ctx: Context) -> User | None:
        return await source.by_id(ctx["user_id"])

    return Resource(
        name="user",
        exists=find,
        cache_control="public, max-age=60",
        handle_not_found=problem("There is no user with this id."),
    )
