"""Users: who somebody is."""

from ogrom.http import Context, Resource, aged, problem
from shop.protocols import Profile, Users


def user(source: Users) -> Resource[Profile]:
    """One user, found by id; with the age of the news, where it was kept."""

    async def find(ctx: Context) -> Profile | None:
        return await source.profile(ctx["user_id"])

    def show(_: Context, found: Profile) -> object:
        return aged(found.user, age=found.age, fresh=found.fresh)

    return Resource(
        name="user",
        exists=find,
        handle_ok=show,
        handle_not_found=problem("There is no user with this id."),
    )
