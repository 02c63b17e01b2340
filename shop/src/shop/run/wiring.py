"""The shop, put together: sources by locale, routes by version and locale."""

from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial

from ogrom.http import Context, Cors, Resource, Routes, Service, ServiceUnavailable
from ogrom.serve import App, AsgiApp, JsonLog, Limits, asgi
from ogrom.sources import sql
from shop import core
from shop.protocols import LOCALES, ProductQuery
from shop.run.settings import Settings
from shop.sources.catalogue import generate
from shop.sources.collages import SqlCollages
from shop.sources.comments import SqlComments
from shop.sources.demo import DemoUser, fill_demo
from shop.sources.products import TantivyProducts
from shop.sources.ratings import SqlRatings
from shop.sources.schema import STEPS
from shop.sources.users import SqlUsers

NAME = "shop"


@asynccontextmanager
async def shop(
    settings: Settings, *, greet: Callable[[tuple[DemoUser, ...]], object] | None = None
) -> AsyncGenerator[App]:
    """The shop on its embedded sources: SQLite and tantivy, in `settings.state`.

    An empty catalogue is filled with generated products, an empty database with invented users.

    Args:
        settings: how it runs.
        greet: is told the invented users, with their tokens.
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        catalogues = {
            locale: stack.enter_context(
                closing(TantivyProducts.open(settings.state / "products" / locale, locale))
            )
            for locale in settings.locales
        }
        for locale, products in catalogues.items():
            products.fill(generate(settings.products, locale))
        async with sql.connect(settings.state / "shop.sqlite") as db:
            await sql.migrate(db, STEPS)
            users = await _fill(db, next(iter(catalogues.values())))
            if greet is not None:
                greet(users)
            yield App(
                service=_service(settings, db, catalogues),
                checks={
                    "sql": partial(_ping, db),
                    **{
                        f"search {each}": partial(_find, found)
                        for each, found in catalogues.items()
                    },
                },
                name=NAME,
                release=settings.release,
            )


def _service(settings: Settings, db: sql.Db, catalogues: dict[str, TantivyProducts]) -> Service:
    users, ratings = SqlUsers(db), SqlRatings(db)
    routes: Routes = {
        "/": _home(settings.locales),
        "/v1": {
            f"/{locale}": core.api(
                core.Sources(
                    products=products,
                    ratings=ratings,
                    comments=SqlComments(db, locale),
                    collages=SqlCollages(db, locale),
                    users=users,
                ),
                locale,
            )
            for locale, products in catalogues.items()
        },
    }
    return Service(
        routes,
        cors=Cors(origins=settings.origins) if settings.origins else None,
        refusals={sql.Unavailable: _unavailable},
    )


def _unavailable(_: sql.Unavailable) -> ServiceUnavailable:
    return ServiceUnavailable("The database does not answer.", retry_after=2)


def _home(locales: tuple[str, ...]) -> Resource[None]:
    def show(_: Context, __: None) -> object:
        return {"name": NAME, "versions": {"v1": {each: f"/v1/{each}" for each in locales}}}

    return Resource(name="home", cache_control="public, max-age=3600", handle_ok=show)


async def _fill(db: sql.Db, products: TantivyProducts) -> tuple[DemoUser, ...]:
    found = await products.search(ProductQuery(per_page=100, sort="name"))
    return await fill_demo(db, [product.id for product in found.items], LOCALES)


async def _ping(db: sql.Db) -> None:
    await db.one(int, "SELECT 1")


async def _find(products: TantivyProducts) -> None:
    await products.search(ProductQuery(per_page=1))


def application(
    settings: Settings | None = None,
    *,
    limits: Limits | None = None,
    greet: Callable[[tuple[DemoUser, ...]], object] | None = None,
) -> AsgiApp:
    """The shop as an ASGI application, for any server: `uvicorn --factory shop.run:application`."""
    chosen = settings or Settings.from_env()
    log = JsonLog(NAME, chosen.release)
    return asgi(lambda: shop(chosen, greet=greet), limits=limits, log=log)
