"""The shop's own data behind their shield, on a MariaDB that goes and comes back: in this process."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.database import fresh

from ogrom.http import Service
from ogrom.http.testing import Reply, ask_async
from ogrom.serve import App
from ogrom.sources.http import Secret
from ogrom.sources.sql import Unavailable
from shop.run import Settings, shop

pytestmark = pytest.mark.slow

TOKEN = "Bearer demo-anna"
BASE = "/v1/de-DE"


@pytest.fixture
def own(tmp_path, database):
    """A server that a test may stop."""
    server = type(database)(tmp_path / "own")
    server.start(tls=False)
    yield server
    server.stop()


@pytest.fixture
async def app(tmp_path, own) -> AsyncIterator[App]:
    settings = Settings(
        state=tmp_path / "state", locales=("de-DE",), products=30, demo=True,
        db=Secret(fresh(own.url())),
    )  # fmt: skip
    async with shop(settings) as app:
        yield app


async def get(service: Service, path: str, **fields: str) -> Reply:
    return await ask_async(service, f"GET {BASE}/{path}", **fields)


async def test_lists_are_kept_and_what_is_written_is_never_guessed(app: App, own) -> None:
    """Lists and sums that were asked for stand in, with their age; all else is 503, with when to come
    back; and everything works again by itself.
    """
    service = app.service
    product = (await get(service, "products?per_page=1")).json()["items"][0]["id"]
    lists = (f"products/{product}/ratings", f"products/{product}/comments", "collages")
    before = [(await get(service, path)).json() for path in lists]
    collage = f"collages/{before[2]['items'][0]['id']}"
    assert 200 == (await get(service, collage)).status
    assert "age" not in (await get(service, "collages")).headers

    await asyncio.to_thread(own.stop)
    await asyncio.sleep(1.1)
    for path, was in zip(lists, before, strict=True):
        kept = await get(service, path)
        assert (200, was) == (kept.status, kept.json())
        assert int(kept.headers["age"]) >= 1
    gone = [
        await get(service, collage),
        await get(service, "collages?page=1&per_page=7"),
        await get(service, f"products/{product}/ratings/mine", authorization=TOKEN),
        await ask_async(
            service,
            f"POST {BASE}/products/{product}/comments",
            authorization=TOKEN,
            json={"text": "a"},
        ),
    ]
    for reply in gone:
        assert 503 == reply.status
        assert int(reply.headers["retry-after"]) >= 1
    assert 200 == (await get(service, f"products/{product}")).status
    async with asyncio.timeout(30):
        while await is_well(app):
            await asyncio.sleep(0.05)

    await asyncio.to_thread(own.start, tls=False)
    async with asyncio.timeout(30):
        while (await get(service, collage)).status != 200:
            await asyncio.sleep(0.05)
        while not await is_well(app):
            await asyncio.sleep(0.05)
    assert "age" not in (await get(service, "collages")).headers


async def is_well(app: App) -> bool:
    """Whether nothing is said against the database."""
    try:
        await app.optional["sql"]()
    except Unavailable:
        return False
    return True


async def test_whoever_writes_reads_it_back(app: App) -> None:
    """At once, and as often as one likes: nothing that was kept stands in while the database answers."""
    service = app.service
    product = (await get(service, "products?per_page=1")).json()["items"][0]["id"]
    path = f"products/{product}/comments?per_page=100"
    total = (await get(service, path)).json()["total"]
    for number in range(1, 21):
        written = await ask_async(
            service,
            f"POST {BASE}/products/{product}/comments",
            authorization=TOKEN,
            json={"text": str(number)},
        )
        assert 201 == written.status
        lists = await asyncio.gather(*(get(service, path) for _ in range(3)))
        assert {total + number} == {each.json()["total"] for each in lists}
