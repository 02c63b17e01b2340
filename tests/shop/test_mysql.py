"""The shop as a process on a MariaDB that is wrong, stopped, and there again."""

import asyncio
import os
import re
import subprocess
import sys
import time

import aiohttp
import pytest
from support.mariadb import fresh
from support.server import shop_server

pytestmark = pytest.mark.slow

ANNA = {"Authorization": "Bearer demo-anna"}


@pytest.fixture
def own(tmp_path, mariadb):
    """A server that a test may stop."""
    server = type(mariadb)(tmp_path / "own")
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


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://u:s3cret@127.0.0.1:1/d", "127.0.0.1:1: Can't connect"),
        ("mysql://u:s3cret@127.0.0.1:1/", "OGROM_DB: .*name the database"),
    ],
)
@pytest.mark.parametrize("what", [("serve", "--port", "0"), ("migrate",)])
def test_a_wrong_one_stops_it(tmp_path, url, complaint, what):
    """With one line that says which and why, and not the password."""
    done = shop(*what, OGROM_DB=url, OGROM_STATE=str(tmp_path))
    said = done.stdout + done.stderr
    assert 1 == done.returncode
    assert 1 == sum("Error: " in line for line in said.splitlines())
    assert re.search(complaint, said)
    assert "s3cret" not in said
    assert "Traceback" not in said


def test_migrating_by_hand(mariadb):
    """The first time there is something to do."""
    url = fresh(mariadb.url())
    first, second = (shop("migrate", OGROM_DB=url) for _ in range(2))
    assert "Step 1: users" in first.stdout
    assert second.stdout.startswith("0 of ")


async def test_a_shared_database_gets_no_demo(tmp_path, mariadb):
    """A token that anybody can read lets nobody in."""
    url = fresh(mariadb.url())
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
