"""A thousand equal requests at once, over a thousand connections, to a shop on a real search engine."""

import asyncio
import json
import os
import re
import resource
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.real import Real
from support.server import Server, shop_server

pytestmark = pytest.mark.slow

MANY = 1_000


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    """A connection is an open file here, and another in the shop."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} open files are needed: raise the hard limit, `ulimit -Hn {wanted}`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def got(url: str) -> str:
    """What is there."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read(), "utf-8")


def asked(engine: str) -> tuple[int, int]:
    """How many searches the engine has made, and how many documents it has got, by its own count."""
    prefix = engine.rpartition("/")
    told = json.loads(got(f"{prefix[0]}/{prefix[2]}-de-de-*/_stats/search,get"))["_all"]["total"]
    return told["search"]["query_total"], told["get"]["total"]


def counted(shop: Server, name: str) -> int:
    """The sum of a metric of the shop."""
    text = got(f"{shop.url}/-/metrics")
    return sum(
        int(found) for found in re.findall(rf"^{name}(?:{{.*}})? (\d+)$", text, re.MULTILINE)
    )


async def all_at_once(shop: Server, path: str) -> set[bytes]:
    """Every different answer, but for its request's id and date. All requests are there before the
    first is read: the shop is stopped while they are sent.
    """
    lines = f"GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode()
    async with asyncio.timeout(120):
        opened = [await asyncio.open_connection("127.0.0.1", shop.port) for _ in range(MANY)]
        os.kill(shop.process.pid, signal.SIGSTOP)
        try:
            for _, writer in opened:
                writer.write(lines)
            await asyncio.gather(*(writer.drain() for _, writer in opened))
        finally:
            os.kill(shop.process.pid, signal.SIGCONT)
        answers = await asyncio.gather(*(reader.read() for reader, _ in opened))
        for _, writer in opened:
            writer.close()
    return {re.sub(rb"(?im)^(x-request-id|date): .*\r\n", b"", answer) for answer in answers}


async def test_the_engine_is_asked_once(real: Real, tmp_path: Path) -> None:
    """For a search and for a product: by the engine's own counters, and all are answered alike.

    The search has one word: where few have all of several, one answer takes three searches.
    """
    env = {**real.fresh(), "OGROM_PRODUCTS": "120", "OGROM_LOCALES": "de-DE"}
    with shop_server(tmp_path / "state", **env) as shop:
        for path, searches, documents in (
            ("/v1/de-DE/products?q=Kleider", 1, 0),
            ("/v1/de-DE/products/g000007", 0, 1),
        ):
            before = asked(env["OGROM_SEARCH"])
            joined = counted(shop, "ogrom_source_shared_total")
            answers = await all_at_once(shop, path)
            after = asked(env["OGROM_SEARCH"])

            assert 1 == len(answers), path
            assert answers.pop().startswith(b"HTTP/1.1 200 OK\r\n")
            assert (searches, documents) == (after[0] - before[0], after[1] - before[1]), path
            # The rest have joined that call; were some read too late for that, it was kept for them.
            assert counted(shop, "ogrom_source_shared_total") - joined > MANY / 2
