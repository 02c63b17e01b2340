"""The shop's catalogue in a real OpenSearch: imported, asked over HTTP, gone, and back."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from msgspec.structs import replace

from ogrom.http import Service
from ogrom.http.testing import Reply, ask_async
from ogrom.serve import App
from ogrom.sources.search import Unavailable, address, connect
from shop.protocols import ProductQuery
from shop.run import Settings, SettingsError, shop
from shop.sources.importing import import_file
from shop.sources.products import TantivyProducts, schema
from shop.sources.products_elastic import ElasticProducts

pytestmark = pytest.mark.slow


def catalogue(path: Path, count: int) -> Path:
    rows = [f"p{n}\tRotes Kleid {n}\tschön aus Leder\t{n % 50}.95 EUR" for n in range(count)]
    path.write_text("\n".join(["id\tname_de\tdescription_de\tprice", *rows]), "utf-8")
    return path


async def test_an_import_is_the_same_in_both(node: Any, tmp_path: Path) -> None:
    """The same products, in the same order; run again it changes nothing; another file adds."""
    where = address(f"{node.start()}/t{token_hex(4)}")
    file = catalogue(tmp_path / "a.tsv", 120)
    report = await asyncio.to_thread(import_file, file, tmp_path, None, where)
    again = await asyncio.to_thread(import_file, file, tmp_path, None, where)
    await asyncio.to_thread(import_file, file, tmp_path)
    assert {"de-DE": 120} == report.stored
    assert ((), ("de-DE",)) == (report.unchanged, again.unchanged)
    more = tmp_path / "b.tsv"
    more.write_text("id\tname_de\nother\tBlauer Rock", "utf-8")
    await asyncio.to_thread(import_file, more, tmp_path, None, where)
    await asyncio.to_thread(import_file, more, tmp_path)
    embedded = TantivyProducts.open(tmp_path / "products" / "de-DE", "de-DE")
    async with connect(where) as engine:
        products = ElasticProducts(engine, "de-DE")
        for query in ("", "rote Kleider", "Rock", "Leder"):
            for sort in ("relevance", "-price", "name"):
                asked = ProductQuery(q=query, sort=sort, per_page=50)
                assert await embedded.search(asked) == await products.search(asked)
        assert await embedded.by_id("p7") == await products.by_id("p7") is not None
        assert await products.by_id("none") is None
        assert 121 == (await products.search(ProductQuery())).total
    embedded.close()


async def test_killed_and_run_again(node: Any, tmp_path: Path) -> None:
    """At any moment: the catalogue is as if it had not been. What was begun for a killed one, even
    after it was dead, is gone from the engine with the next import.
    """
    url = f"{node.start()}/t{token_hex(4)}"
    file, more = catalogue(tmp_path / "a.tsv", 6_000), catalogue(tmp_path / "b.tsv", 6_001)
    env = {**os.environ, "OGROM_STATE": str(tmp_path / "state"), "OGROM_SEARCH": url}
    command = [sys.executable, "-m", "shop.run", "import"]
    for seconds in (0.6, 1.0, 1.6, 2.4):
        process = subprocess.Popen([*command, str(file)], env=env, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    async with connect(url) as engine:
        products = ElasticProducts(engine, "de-DE")
        for each, count in ((file, "6,000"), (more, "6,001")):
            done = subprocess.run(
                [*command, str(each)], env=env, capture_output=True, text=True, timeout=240
            )
            assert 0 == done.returncode, done.stderr
            assert f"{count} products" in done.stdout
            await products.look()
            found = await products.search(ProductQuery(q="Kleid"))
            assert count == f"{found.total:,}"
        there = await engine.ask(dict[str, Any], "GET", f"{engine.where.prefix}-*")
        assert {products.revision, f"{engine.where.prefix}-about"} == set(there)


async def get(service: Service, path: str) -> Reply:
    return await ask_async(service, f"GET /v1/de-DE/{path}")


async def test_served_and_gone_and_back(own_node: Any, tmp_path: Path) -> None:
    """What was asked for lately is served on, with its age; the rest is 503 with Retry-After, all else
    stays up. A shop that begins without the engine is told apart, and both recover by themselves.
    """
    where = address(f"{own_node.start()}/t{token_hex(4)}")
    settings = Settings(state=tmp_path / "a", locales=("de-DE",), products=30, search=where)
    async with shop(settings) as app:
        listed = await get(app.service, "products")
        assert 30 == listed.json()["total"]
        assert "age" not in listed.headers
        one, other = (f"products/{each['id']}" for each in listed.json()["items"][:2])
        assert 200 == (await get(app.service, one)).status
        pid, _ = own_node.state
        os.kill(pid, signal.SIGKILL)
        try:
            await asyncio.to_thread(own_node.stop)
            async with asyncio.timeout(30):
                while await is_well(app):
                    await asyncio.sleep(0.05)
            for path in ("products", one):
                kept = await get(app.service, path)
                assert 200 == kept.status
                assert int(kept.headers["age"]) >= 1
                assert "no-cache" in kept.headers["cache-control"]
            for path in ("products?q=neu", other):
                gone = await get(app.service, path)
                assert 503 == gone.status
                assert int(gone.headers["retry-after"]) >= 1
            assert 200 == (await get(app.service, "collages")).status
            late = Settings(state=tmp_path / "b", locales=("de-DE",), search=where)
            async with shop(late) as begun_without:
                assert not await is_well(begun_without)
                assert 503 == (await get(begun_without.service, "products")).status
                assert 200 == (await get(begun_without.service, "collages")).status
                port = int(where.url.rpartition(":")[2])
                await asyncio.to_thread(own_node.start, port)
                for each in (app, begun_without):
                    async with asyncio.timeout(60):
                        while (await get(each.service, other)).status != 200:
                            await asyncio.sleep(0.1)
                    assert 30 == (await get(each.service, "products")).json()["total"]
                    async with asyncio.timeout(30):
                        while not await is_well(each):
                            await asyncio.sleep(0.1)
        finally:
            await asyncio.to_thread(own_node.start)


async def test_another_schema_s_catalogue_while_the_engine_was_down(
    own_node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that begins without the engine makes the catalogue its own when that is there; until
    it has, products are 503, and not none.
    """
    where = address(f"{own_node.start()}/t{token_hex(4)}")
    before = Settings(state=tmp_path / "a", locales=("de-DE",), products=30, search=where)
    async with shop(before) as app:
        assert 30 == (await get(app.service, "products")).json()["total"]
    next_schema = replace(schema("de-DE"), text={"name": 3.0, "facts": 1.5, "description": 1.0})
    monkeypatch.setattr("shop.sources.products_elastic.schema", lambda _: next_schema)
    port = int(where.url.rpartition(":")[2])
    await asyncio.to_thread(own_node.stop)
    try:
        late = Settings(state=tmp_path / "b", locales=("de-DE",), products=0, search=where)
        async with shop(late) as app:
            await asyncio.to_thread(own_node.start, port)
            async with asyncio.timeout(60):
                while (found := await get(app.service, "products")).status != 200:
                    await asyncio.sleep(0.02)
            assert 30 == found.json()["total"]
    finally:
        await asyncio.to_thread(own_node.start)


async def is_well(app: App) -> bool:
    """Whether nothing is said against the engine."""
    try:
        await app.optional["search"]()
    except Unavailable:
        return False
    return True


def test_a_shared_engine_is_not_filled_unasked() -> None:
    """With generated products: only where their number is said."""
    url = "http://me:s3cret@host:9200/shop"
    assert 0 == Settings.from_env({"OGROM_SEARCH": url}).products
    assert 5 == Settings.from_env({"OGROM_SEARCH": url, "OGROM_PRODUCTS": "5"}).products
    assert "s3cret" not in repr(Settings.from_env({"OGROM_SEARCH": url}))
    with pytest.raises(SettingsError, match=r"OGROM_SEARCH: .*http://user:secret@host") as wrong:
        Settings.from_env({"OGROM_SEARCH": "http://me:s3cret@host:port/shop"})
    assert "s3cret" not in str(wrong.value)
