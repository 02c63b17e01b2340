"""The shop, put together: sources by locale, routes by version and locale."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from math import ceil

from ogrom.http import Context, Cors, Resource, Routes, Service, ServiceUnavailable
from ogrom.serve import (
    Answering,
    App,
    AsgiApp,
    EventIds,
    JsonLog,
    Limits,
    LogHandler,
    Shipper,
    asgi,
    to_stdout,
)
from ogrom.sources import http, sql
from ogrom.sources import search as engines
from ogrom.sources.resilience import Shield
from shop import core
from shop.protocols import LOCALES, CannotTell, Product, ProductQuery, Products, Users
from shop.run.settings import Settings
from shop.sources.catalogue import generate
from shop.sources.collages import SqlCollages
from shop.sources.comments import SqlComments
from shop.sources.demo import DemoUser, fill_demo
from shop.sources.products import TantivyProducts
from shop.sources.products_elastic import ElasticProducts
from shop.sources.ratings import SqlRatings
from shop.sources.schema import STEPS
from shop.sources.users import SqlUsers
from shop.sources.users_http import HttpUsers, shield

NAME = "shop"


@asynccontextmanager
async def shop(
    settings: Settings,
    *,
    greet: Callable[[tuple[DemoUser, ...]], object] | None = None,
    shipper: Shipper | None = None,
) -> AsyncGenerator[App]:
    """The shop on its sources: SQLite and tantivy in `settings.state`, or what the settings name.

    An empty catalogue is filled with generated products, an empty database with invented users if
    `settings.invents`.

    Args:
        settings: how it runs.
        greet: is told the invented users, with their tokens.
        shipper: takes the log to logstash, where it goes there.
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as closers:
        catalogues, engine = await _catalogues(settings, closers)
        async with database(settings) as db:
            await sql.migrate(db, STEPS)
            demo = await _fill(db, next(iter(catalogues.values()))) if settings.invents else ()
            users, guard = await _users(settings, db, closers)
            if greet is not None:
                greet(() if settings.users else demo)
            finds = {f"search {each}": partial(_find, one) for each, one in catalogues.items()}
            pings = {"sql": partial(_ping, db)}
            yield App(
                service=_guarded(settings, _service(settings, db, catalogues, users)),
                # What has a server of its own may fail alone: all others stay up.
                checks={**({} if settings.db else pings), **({} if engine else finds)},
                optional={
                    **(pings if settings.db else {}),
                    **(finds if engine else {}),
                    **({"users": guard.check} if guard else {}),
                    **({"logstash": shipper.check} if shipper else {}),
                },
                metrics=tuple(
                    each.metrics for each in (db, guard, shipper, engine) if each is not None
                ),
                name=NAME,
                release=settings.release,
            )


def database(settings: Settings) -> AbstractAsyncContextManager[sql.Db]:
    """Where that is kept which people write."""
    return sql.connect(settings.db.reveal() if settings.db else settings.state / "shop.sqlite")


async def _catalogues(
    settings: Settings, stack: AsyncExitStack
) -> tuple[Mapping[str, Products], engines.Engine | None]:
    """The catalogue of each locale: in the search engine that is named, or the embedded one."""
    if settings.search is None:
        embedded: dict[str, Products] = {}
        for locale in settings.locales:
            kept = TantivyProducts.open(settings.state / "products" / locale, locale)
            stack.callback(kept.close)
            kept.fill(generate(settings.products, locale))
            embedded[locale] = kept
        return embedded, None
    engine = await stack.enter_async_context(engines.connect(settings.search))
    shared = {locale: ElasticProducts(engine, locale) for locale in settings.locales}
    with suppress(engines.Unavailable):  # it is served from when it is there; until then 503
        for locale, products in shared.items():
            await products.look()
            if settings.products:
                await products.fill(generate(settings.products, locale))
    return dict[str, Products](shared), engine


async def _users(
    settings: Settings, db: sql.Db, stack: AsyncExitStack
) -> tuple[Users, Shield | None]:
    """Who knows the users: the identity API, behind its shield, or our own database."""
    if not settings.users:
        return SqlUsers(db), None
    client = await stack.enter_async_context(
        http.connect(settings.users, name="identity API", token=settings.users_token, timeout=2)
    )
    guard = shield()
    stack.push_async_callback(guard.close)
    return HttpUsers(client, guard), guard


def _service(
    settings: Settings, db: sql.Db, catalogues: Mapping[str, Products], users: Users
) -> Service:
    ratings = SqlRatings(db)
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
        refusals={sql.Unavailable: _unavailable, CannotTell: _cannot_tell},
    )


def _guarded(settings: Settings, service: Service) -> Answering:
    """The service; with traces for who has the secret, where there is one."""
    if not settings.trace:
        return service
    from ogrom.trace import Guarded  # nothing of it is loaded where nobody asked for it

    return Guarded(service, settings.trace.reveal())


def _unavailable(_: sql.Unavailable) -> ServiceUnavailable:
    return ServiceUnavailable("A source of data does not answer. Try again later.", retry_after=2)


def _cannot_tell(error: CannotTell) -> ServiceUnavailable:
    """The client need not know why, but when to come back."""
    detail = "Who somebody is cannot be told at this moment. Try again later."
    return ServiceUnavailable(detail, retry_after=ceil(error.retry_after))


def _home(locales: tuple[str, ...]) -> Resource[None]:
    def show(_: Context, __: None) -> object:
        return {"name": NAME, "versions": {"v1": {each: f"/v1/{each}" for each in locales}}}

    return Resource(name="home", cache_control="public, max-age=3600", handle_ok=show)


async def _fill(db: sql.Db, products: Products) -> tuple[DemoUser, ...]:
    found: tuple[Product, ...] = ()
    with suppress(engines.Unavailable):
        found = (await products.search(ProductQuery(per_page=100, sort="name"))).items
    return await fill_demo(db, [product.id for product in found], LOCALES)


async def _ping(db: sql.Db) -> None:
    await db.one(int, "SELECT 1")


async def _find(products: Products) -> None:
    await products.search(ProductQuery(per_page=1))


def application(
    settings: Settings | None = None,
    *,
    limits: Limits | None = None,
    greet: Callable[[tuple[DemoUser, ...]], object] | None = None,
) -> AsgiApp:
    """The shop as an ASGI application, for any server: `uvicorn --factory shop.run:application`."""
    chosen = settings or Settings.from_env()
    log, shipper = _log(chosen)

    @asynccontextmanager
    async def logged() -> AsyncGenerator[App]:
        handler = LogHandler(log)
        logging.getLogger().addHandler(handler)
        try:
            async with shop(chosen, greet=greet, shipper=shipper) as app:
                yield app
        finally:
            logging.getLogger().removeHandler(handler)
            log.close()
            if shipper is not None:
                await asyncio.to_thread(shipper.close)

    return asgi(logged, limits=limits, log=log)


def _log(settings: Settings) -> tuple[JsonLog, Shipper | None]:
    """The log: standard output, and logstash where that is wanted."""
    if settings.logstash is None:
        return JsonLog(NAME, settings.release), None
    host, port = settings.logstash
    stamp = EventIds()

    def tell(level: str, message: str) -> None:
        log.put({"@timestamp": time.time(), "log.level": level, "message": message})

    def write(lines: bytes) -> None:
        stamped = stamp(lines)
        shipper.put(stamped)
        to_stdout(stamped)

    shipper = Shipper(host, port, settings.state / "log", tell=tell)
    log = JsonLog(NAME, settings.release, write=write)
    return log, shipper.start()
