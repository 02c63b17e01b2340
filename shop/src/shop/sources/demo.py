"""Something to look at: invented users, ratings, comments and collages for an empty database.

The users' tokens are written here for anybody to read, so a database that others can reach is filled
with it only where somebody says so (`OGROM_DEMO=1`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from msgspec import Struct

from ogrom.sources.sql import Db, Queries
from shop.protocols import User
from shop.sources.users import SqlUsers, add_user

__all__ = ["DemoUser", "demo_users", "fill_demo"]

_MOST_PRODUCTS = 500  # a catalogue may have millions, and the service is waiting to start

_NAMES = {
    "anna": "Anna Brandt",
    "bram": "Bram de Wit",
    "claire": "Claire Morel",
    "daniel": "Daniel Hughes",
    "emma": "Emma Vogt",
    "femke": "Femke Smit",
    "hugo": "Hugo Lambert",
    "olivia": "Olivia Barnes",
}

_COMMENTS = {
    "de-DE": (
        "Sitzt wie angegossen und ist angenehm weich.",
        "Fällt etwas kleiner aus, ich habe eine Nummer größer genommen.",
        "Die Farbe ist in echt noch schöner als auf dem Bild.",
        "Nach fünf Wäschen noch wie neu.",
        "Für den Sommer ein wenig zu warm, sonst sehr gut.",
        "Die Nähte könnten sauberer sein.",
    ),
    "fr-FR": (
        "Très agréable à porter, la coupe est parfaite.",
        "Taille un peu petit, prenez une taille au-dessus.",
        "La couleur est encore plus belle en vrai.",
        "Toujours comme neuf après cinq lavages.",
        "Un peu trop chaud pour l'été, mais de bonne qualité.",
        "Les coutures pourraient être plus soignées.",
    ),
    "nl-NL": (
        "Zit als gegoten en voelt heerlijk zacht.",
        "Valt iets kleiner uit, ik heb een maat groter genomen.",
        "De kleur is in het echt nog mooier dan op de foto.",
        "Na vijf keer wassen nog steeds als nieuw.",
        "Voor de zomer net te warm, verder heel goed.",
        "De naden hadden netter gemogen.",
    ),
    "en-GB": (
        "Fits like a glove and feels lovely and soft.",
        "Comes up a little small, so I went one size up.",
        "The colour is even nicer than in the picture.",
        "Still like new after five washes.",
        "A touch too warm for summer, otherwise very good.",
        "The stitching could be neater.",
    ),
}

_COLLAGES = {
    "de-DE": ("Herbst im Park", "Ein Tag im Büro", "Abends am See", "Stadtbummel"),
    "fr-FR": ("Automne au parc", "Journée au bureau", "Soirée au bord du lac", "Flânerie en ville"),
    "nl-NL": ("Herfst in het park", "Dagje kantoor", "Avond aan het meer", "Rondje door de stad"),
    "en-GB": ("Autumn in the park", "A day at the office", "An evening by the lake", "About town"),
}

_OPENED = datetime(2025, 3, 1, 9, tzinfo=UTC)


class DemoUser(Struct, frozen=True):
    """A user to try the service as."""

    name: str
    token: str


def demo_users() -> dict[str, User]:
    """The invented users, by their tokens."""
    return {
        _token(user_id): User(user_id, name, _OPENED + timedelta(days=3 * number))
        for number, (user_id, name) in enumerate(_NAMES.items())
    }


async def fill_demo(
    db: Db, product_ids: Sequence[str], locales: Sequence[str]
) -> tuple[DemoUser, ...]:
    """Fill a database that knows no users, and no ratings yet; the demo users that it has.

    Called again it changes nothing, and in a database with users of its own it adds nothing. The
    same products give the same ratings, comments and collages.
    """

    async def fill(tx: Queries) -> tuple[DemoUser, ...]:
        if not await tx.one(int, "SELECT COUNT(*) FROM users"):
            for token, user in demo_users().items():
                await add_user(tx, user, token)
        users = SqlUsers(tx)
        tokens = [_token(user_id) for user_id in _NAMES]
        found = [(await users.by_token(token), token) for token in tokens]
        demo = tuple(DemoUser(user.name, token) for user, token in found if user is not None)
        # Ratings never lose their rows, so what somebody removed does not come back by this.
        if demo and not await tx.one(int, "SELECT COUNT(*) FROM ratings"):
            chosen = product_ids[:_MOST_PRODUCTS]
            await _rate(tx, chosen)
            for locale in locales:
                await _comment(tx, locale, chosen)
                await _compose(tx, locale, chosen)
        return demo

    return await db.transact(fill)


async def _rate(tx: Queries, product_ids: Sequence[str]) -> None:
    for product_id in product_ids:
        for user_id in _NAMES:
            dice = _dice("rating", product_id, user_id)
            if dice % 3 == 0:
                await tx.execute(
                    "INSERT INTO ratings (product_id, user_id, stars, changed, revision)"
                    " VALUES (:product_id, :user_id, :stars, :changed, 1)",
                    product_id=product_id,
                    user_id=user_id,
                    stars=(5, 4, 4, 5, 3, 5, 4, 2, 3, 1)[dice // 3 % 10],  # people are kind
                    changed=_moment(dice),
                )


async def _comment(tx: Queries, locale: str, product_ids: Sequence[str]) -> None:
    texts = _COMMENTS.get(locale, ())
    written = [
        (_moment(dice), product_id, user_id, texts[dice // 7 % len(texts)])
        for product_id in product_ids
        for user_id in _NAMES
        if texts and (dice := _dice("comment", locale, product_id, user_id)) % 7 == 0
    ]
    for created, product_id, user_id, text in sorted(written):
        await tx.execute(
            "INSERT INTO comments"
            " (locale, product_id, user_id, text, created, changed, revision)"
            " VALUES (:locale, :product_id, :user_id, :text, :created, :created, 1)",
            locale=locale,
            product_id=product_id,
            user_id=user_id,
            text=text,
            created=created,
        )


async def _compose(tx: Queries, locale: str, product_ids: Sequence[str]) -> None:
    user_ids = tuple(_NAMES)
    made = [
        (_moment(dice), user_ids[dice % len(user_ids)], title, dice)
        for title in _COLLAGES.get(locale, ())
        if product_ids and (dice := _dice("collage", locale, title))
    ]
    for created, user_id, title, dice in sorted(made):
        start, step = dice % len(product_ids), 1 + dice // 11 % 7
        worn = (product_ids[(start + step * n) % len(product_ids)] for n in range(3 + dice % 3))
        await tx.execute(
            "INSERT INTO collages"
            " (locale, user_id, title, product_ids, created, changed, revision)"
            " VALUES (:locale, :user_id, :title, :product_ids, :created, :created, 1)",
            locale=locale,
            user_id=user_id,
            title=title,
            product_ids=tuple(dict.fromkeys(worn)),  # nobody wears one shirt twice
            created=created,
        )


def _token(user_id: str) -> str:
    return f"demo-{user_id}"


def _dice(*about: str) -> int:
    """A number that looks like chance and is always the same for the same thing."""
    return int.from_bytes(sha256("/".join(about).encode()).digest()[:8], "big")


def _moment(dice: int) -> datetime:
    return _OPENED + timedelta(days=30, minutes=dice // 1009 % 400_000)
