"""The shop as a process on a MariaDB that is wrong, stopped, and there again."""

import asyncio
import os
import re
import subprocess
import sys
import time

import aiohttp
import pytest
from support.database import fresh
from support.server import shop_server

pytestmark = pytest.mark.slow

ANNA = {"Authorization": "Bearer demo-anna"}


@pytest.fixture
def own(tmp_path, database):
    """A server that a test may stop."""
    server = type(database)(tmp_path / "own")
    server.start(tls=False)
    yield server
    server.stop()


def shop(*arguments, **env):
    """The shop's command, run to its end."""
    command = [sys.executable, "-m", "shop.run", *arguments]
    given = {**os.environ, "OGROM_PRODUCTS": "5", **env}
    return subprocess.run(
        command, env=given, capture_output=True, text=True, timeout=60, check=False
    )


WRONG = {
    "mysql://u:s3cret@127.0.0.1:1/": "OGROM_DB: .*name the database",
    "mysql://ogrom:s3cret@{place}/ogrom": "Access denied.*Look at user and password",
    "mysql://{login}@{place}/s3cret_none": "Unknown database.*Make the database",
}


@pytest.mark.parametrize("url", WRONG)
@pytest.mark.parametrize("what", [("serve", "--port", "0"), ("migrate",)])
def test_a_wrong_one_stops_it(tmp_path, database, url, what):
    """With one line that says which and why, and not the password."""
    login, _, rest = database.url().removeprefix("mysql://").partition("@")
    url_given = url.format(login=login, place=rest.partition("/")[0])
    done = shop(*what, OGROM_DB=url_given, OGROM_STATE=str(tmp_path))
    said = done.stdout + done.stderr
    assert 1 == done.returncode
    assert 1 == sum("Error: " in line for line in said.splitlines())
    assert re.search(WRONG[url], said)
    assert "s3cret" not in said.replace("s3cret_none", "")
    assert login.partition(":")[2] not in said
    assert "Traceback" not in said


def test_migrating_wants_the_server(tmp_path):
    """One that is out of reach is an error here, though not for the service."""
    url = "mysql://u:s3cret@127.0.0.1:1/d"
    done = shop("migrate", OGROM_DB=url, OGROM_STATE=str(tmp_path))
    assert 1 == done.returncode
    assert "127.0.0.1:1: Can't connect" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


async def test_begun_without_it(tmp_path, own):
    """The service starts, degraded, makes the schema as soon as the server is there, and goes on."""
    url = fresh(own.url())
    await asyncio.to_thread(own.stop)
    with shop_server(tmp_path / "state", OGROM_DB=url, OGROM_DEMO="1") as server:
        async with aiohttp.ClientSession(headers=ANNA) as session:

            async def get(path):
                async with session.get(server.url + path) as answer:
                    return answer.status, dict(answer.headers), await answer.json()

            status, _, said = await get("/-/ready")
            assert (200, "degraded") == (status, said["status"])
            assert "not ready yet" in said["checks"]["sql"]
            assert 200 == (await get("/v1/de-DE/products"))[0]
            status, fields, _ = await get("/v1/de-DE/collages")
            assert (503, True) == (status, int(fields["Retry-After"]) >= 1)
            await asyncio.to_thread(own.start, tls=False)
            async with asyncio.timeout(60):
                while (found := await get("/v1/de-DE/collages"))[0] != 200:
                    await asyncio.sleep(0.05)
            assert found[2]["total"] > 0
            made = {"title": "a", "product_ids": [found[2]["items"][0]["product_ids"][0]]}
            async with session.post(f"{server.url}/v1/de-DE/collages", json=made) as answer:
                assert 201 == answer.status
            async with asyncio.timeout(30):
                while (await get("/-/ready"))[2]["status"] != "ready":
                    await asyncio.sleep(0.05)
        server.stop()  # by now all of the log is written
        log = server.log.read_text()
        assert "sql is ready now" in log
        assert own.known()["password"] not in log


def test_migrating_by_hand(database):
    """The first time there is something to do."""
    url = fresh(database.url())
    first, second = (shop("migrate", OGROM_DB=url) for _ in range(2))
    assert "Step 1: users" in first.stdout
    assert second.stdout.startswith("0 of ")


async def test_a_shared_database_gets_no_demo(tmp_path, database):
    """A token that anybody can read lets nobody in."""
    url = fresh(database.url())
    with shop_server(tmp_path / "state", OGROM_DB=url, OGROM_DEMO="") as server:
        async with aiohttp.ClientSession(headers=ANNA) as session:
            answer = await session.post(
                f"{server.url}/v1/de-DE/collages", json={"title": "a", "product_ids": []}
            )
            assert 401 == answer.status


async def test_stopped_under_load(tmp_path, own):
    """Only what needs it fails, soon, with 503 and when to come back; then it works by itself, and
    every comment that was acknowledged is there.
    """
    with shop_server(tmp_path / "state", OGROM_DB=fresh(own.url()), OGROM_DEMO="1") as server:
        api = f"{server.url}/v1/de-DE"
        over = asyncio.Event()
        acknowledged, statuses, slowest, products = [], [], 0.0, []
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{api}/products?per_page=1") as answer:
                product_id = (await answer.json())["items"][0]["id"]
            comments = f"{api}/products/{product_id}/comments"

            async def write(name):
                nonlocal slowest
                number = 0
                while not over.is_set():
                    number += 1
                    began = time.monotonic()
                    text = f"{name}-{number}"
                    async with session.post(comments, json={"text": text}, headers=ANNA) as answer:
                        statuses.append(answer.status)
                        if answer.status == 201:
                            acknowledged.append((await answer.json())["id"])
                        elif answer.status == 503:
                            assert answer.headers["Retry-After"]
                            await asyncio.sleep(0.02)
                    slowest = max(slowest, time.monotonic() - began)

            async def browse():
                while not over.is_set():
                    async with session.get(f"{api}/products/{product_id}") as answer:
                        products.append(answer.status)
                    await asyncio.sleep(0.005)

            tasks = [asyncio.create_task(each) for each in (*(write(n) for n in "abcd"), browse())]
            await asyncio.sleep(0.5)
            await asyncio.to_thread(own.stop)
            await asyncio.sleep(2)
            async with session.get(f"{server.url}/-/ready") as answer:
                assert 200 == answer.status
                assert "ok" != (await answer.json())["checks"]["sql"]
            before = len(acknowledged)
            await asyncio.to_thread(own.start, tls=False)
            async with asyncio.timeout(30):
                while len(acknowledged) < before + 20:
                    await asyncio.sleep(0.02)
            over.set()
            await asyncio.gather(*tasks)

            assert {200} == {*products}
            assert {201, 503} == {*statuses}
            assert slowest < 15
            for number in acknowledged:
                async with session.get(f"{api}/comments/{number}") as answer:
                    assert 200 == answer.status
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.url}/-/metrics") as answer,
        ):
            assert "ogrom_sql_pool_connections_max" in await answer.text()
