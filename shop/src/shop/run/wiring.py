"""The shop, put together: sources by locale, routes by version and locale."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from math import ceil

from ogrom.http import Context, Cors, Resource, Routes, Service, ServiceUnavailable
from ogrom.serve import (
    Answering,
    App,
    AsgiApp,
    Check,
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
from shop.core.caching import HOUR, public
from shop.protocols import (
    LOCALES,
    CannotTell,
    Collages,
    Comments,
    Product,
    ProductQuery,
    Products,
    Ratings,
    Users,
)
from shop.run.settings import Settings
from shop.sources.catalogue import generate
from shop.sources.collages import SqlCollages
from shop.sources.comments import SqlComments
from shop.sources.demo import DemoUser, fill_demo
from shop.sources.guarded import (
    GuardedCollages,
    GuardedComments,
    GuardedRatings,
    GuardedUsers,
    catalogue_shield,
    database_shield,
    guarded,
)
from shop.sources.products import TantivyProducts
from shop.sources.products_elastic import ElasticProducts
from shop.sources.ratings import SqlRatings
from shop.sources.schema import STEPS
from shop.sources.users import SqlUsers
from shop.sources.users_http import WATCH, HttpUsers, shield

NAME = "shop"

ANSWER_SECONDS = 10.0
"""By when a request has its answer, whatever its sources do."""

_SOON = 2.0
"""Seconds after which it may be worth asking again, where nobody says."""


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
    settings.make_state()
    async with AsyncExitStack() as closers:
        searching = await _catalogues(settings, closers)
        catalogues = searching.catalogues
        writing = await _database(settings, next(iter(catalogues.values())), closers)
        users, identity = await _users(settings, writing, closers)
        if greet is not None:
            greet(() if settings.users else writing.demo)
        shields = [each for each in (searching.shield, writing.shield, identity) if each]
        told = [writing.db, *shields, shipper, searching.engine]
        yield App(
            service=_guarded(settings, _service(settings, writing, catalogues, users)),
            # What has a server of its own may fail alone: all others stay up.
            checks={**writing.checks, **searching.checks},
            optional={
                **{each.name: each.check for each in shields},
                **({"logstash": shipper.check} if shipper else {}),
            },
            metrics=tuple(each.metrics for each in told if each is not None),
            name=NAME,
            release=settings.release,
        )


def database(settings: Settings, *, wanted: bool = True) -> AbstractAsyncContextManager[sql.Db]:
    """Where that is kept which people write."""
    where = settings.db.reveal() if settings.db else settings.state / "shop.sqlite"
    return sql.connect(where, wanted=wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Searching:
    """The catalogue of each locale; and the engine with its shield, where it is not embedded."""

    catalogues: Mapping[str, Products]
    engine: engines.Engine | None = None
    shield: Shield | None = None
    checks: Mapping[str, Check] = field(default_factory=dict[str, Check])


async def _catalogues(settings: Settings, closers: AsyncExitStack) -> _Searching:
    if settings.search is None:
        embedded: dict[str, Products] = {}
        for locale in settings.locales:
            kept = TantivyProducts.open(settings.state / "products" / locale, locale)
            closers.callback(kept.close)
            kept.fill(generate(settings.products, locale))
            embedded[locale] = kept
        finds = {f"search {each}": partial(_find, one) for each, one in embedded.items()}
        return _Searching(catalogues=embedded, checks=finds)
    engine = await closers.enter_async_context(engines.connect(settings.search))
    shared = {locale: ElasticProducts(engine, locale) for locale in settings.locales}

    async def prepare() -> None:
        for locale, products in shared.items():
            await products.look()
            if settings.products:
                await products.fill(generate(settings.products, locale))

    shield = catalogue_shield()
    closers.push_async_callback(shield.close)
    await shield.prepare(prepare)
    shield.watch(engine.ping)
    catalogues = guarded(dict[str, Products](shared), shield)
    return _Searching(catalogues=catalogues, engine=engine, shield=shield)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writing:
    """Where that is kept which people write; with a shield, where that is a server."""

    db: sql.Db
    shield: Shield | None = None
    checks: Mapping[str, Check] = field(default_factory=dict[str, Check])
    demo: tuple[DemoUser, ...] = ()


async def _database(settings: Settings, products: Products, closers: AsyncExitStack) -> _Writing:
    db = await closers.enter_async_context(database(settings, wanted=False))
    demo: tuple[DemoUser, ...] = ()

    async def prepare() -> None:
        nonlocal demo
        await sql.migrate(db, STEPS)
        if settings.invents:
            demo = await _fill(db, products)

    ping = partial(_ping, db)
    if settings.db is None:
        await prepare()
        return _Writing(db=db, checks={"sql": ping}, demo=demo)
    shield = database_shield()
    closers.push_async_callback(shield.close)
    await shield.prepare(prepare)
    shield.watch(ping)
    return _Writing(db=db, shield=shield, demo=demo)


async def _users(
    settings: Settings, writing: _Writing, closers: AsyncExitStack
) -> tuple[Users, Shield | None]:
    """Who knows the users: the identity API, behind its shield, or our own database."""
    if not settings.users:
        own = SqlUsers(writing.db)
        return (GuardedUsers(own, writing.shield) if writing.shield else own), None
    client = await closers.enter_async_context(
        http.connect(settings.users, name="identity API", token=settings.users_token, timeout=2)
    )
    guard = shield()
    closers.push_async_callback(guard.close)
    users = HttpUsers(client, guard)
    guard.watch(users.ping, WATCH)
    return users, guard


def _service(
    settings: Settings, writing: _Writing, catalogues: Mapping[str, Products], users: Users
) -> Service:
    routes: Routes = {
        "/": _home(settings.locales),
        "/v1": {
            f"/{locale}": core.api(each, locale, fresh=settings.fresh)
            for locale, each in _sources(writing, catalogues, users).items()
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

    return Guarded(service, settings.trace.reveal(), folder=settings.state / "traces")


def _sources(
    writing: _Writing, catalogues: Mapping[str, Products], users: Users
) -> dict[str, core.Sources]:
    """All that each locale's endpoints need."""
    db, guard = writing.db, writing.shield
    ratings: Ratings = SqlRatings(db)
    if guard is not None:
        ratings = GuardedRatings(ratings, guard)
    found: dict[str, core.Sources] = {}
    for locale, products in catalogues.items():
        comments: Comments = SqlComments(db, locale)
        collages: Collages = SqlCollages(db, locale)
        if guard is not None:
            comments = GuardedComments(comments, guard, locale)
            collages = GuardedCollages(collages, guard, locale)
        found[locale] = core.Sources(
            products=products, ratings=ratings, comments=comments, collages=collages, users=users
        )
    return found


def _unavailable(error: sql.Unavailable) -> ServiceUnavailable:
    detail = "A source of data does not answer. Try again later."
    return ServiceUnavailable(detail, retry_after=ceil(error.retry_after or _SOON))


def _cannot_tell(error: CannotTell) -> ServiceUnavailable:
    """The client need not know why, but when to come back."""
    detail = "Who somebody is cannot be told at this moment. Try again later."
    return ServiceUnavailable(detail, retry_after=ceil(error.retry_after))


def _home(locales: tuple[str, ...]) -> Resource[None]:
    def show(_: Context, __: None) -> object:
        return {"name": NAME, "versions": {"v1": {each: f"/v1/{each}" for each in locales}}}

    return Resource(name="home", cache_control=public(HOUR), handle_ok=show)


async def _fill(db: sql.Db, products: Products) -> tuple[DemoUser, ...]:
    found: tuple[Product, ...] = ()
    with suppress(engines.Unavailable):
        found = (await products.search(ProductQuery(per_page=100, sort="name"))).items
    return await fill_demo(db, [product.id for product in found], LOCALES)


async def _ping(db: sql.Db) -> None:
    await db.one(int, "SELECT 1")


async def _find(products: Products) -> None:
    await products.search(ProductQuery(per_page=1))


def application(settings: Settings | None = None, *, limits: Limits | None = None) -> AsgiApp:
    """The shop as an ASGI application, for any server: `uvicorn --factory shop.run:application`."""
    make, log = logged(settings or Settings.from_env())
    return asgi(make, limits=limits or Limits(answer_seconds=ANSWER_SECONDS), log=log)


def logged(
    settings: Settings, *, greet: Callable[[tuple[DemoUser, ...]], object] | None = None
) -> tuple[Callable[[], AbstractAsyncContextManager[App]], JsonLog]:
    """What opens the shop, with its log; and the log, which `serve` and `asgi` tell of requests."""
    log, shipper = _log(settings)

    @asynccontextmanager
    async def opened() -> AsyncGenerator[App]:
        handler = LogHandler(log)
        logging.getLogger().addHandler(handler)
        if shipper is not None:
            shipper.start()
        try:
            async with shop(settings, greet=greet, shipper=shipper) as app:
                yield app
        finally:
            logging.getLogger().removeHandler(handler)
            log.close()
            if shipper is not None:
                await asyncio.to_thread(shipper.close)

    return opened, log


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
        for line in stamped.splitlines(keepends=True):
            shipper.put(line)
        to_stdout(stamped)

    shipper = Shipper(host, port, settings.state / "log", tell=tell)
    log = JsonLog(NAME, settings.release, write=write)
    return log, shipper
