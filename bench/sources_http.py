"""What an answer from a source costs, through the shop's whole stack, beside FastAPI's usual one.

Run it as `make bench-sources`; ROUNDS=, SECONDS= (of each measurement) and PRODUCTS= say how much. A comment
comes from SQLite or MariaDB (SQL_SERVER=mysql: MySQL), a product and a search from the embedded engine or
OpenSearch; the peer asks the same data by SQLAlchemy (aiosqlite, asyncmy; tuned) and opensearch-py, on uvicorn. To
OpenSearch it sends the very searches that the shop does. SQLite's full text stands for the embedded
engine, as what one has without another server. Each server is one process on one processor, wrk
on another, with 16 connections, before all else where they may; they take turns in each round. The time is the CPU's, user and
system, of the server's process alone. Each writes its log as it comes: the shop JSON lines, uvicorn its access log.

OpenSearch takes most of the time of both processors, and with it the caches. So what it answers is also played
back by a small server on wrk's processor: then the servers cost what they do where the engine has a machine of
its own.
"""

import asyncio
import importlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote_plus, urlsplit

import msgspec
from _bench import report, undisturbed
from _running import PEERS_PYTHON, Running
from _wrk import Each, load

from ogrom.sources import sql
from ogrom.sources._building import NUMBER
from ogrom.sources.search import Address, address, connect
from shop.protocols import FACETS, ProductQuery
from shop.run import Settings, shop
from shop.sources.catalogue import generate
from shop.sources.importing import store
from shop.sources.products_elastic import ElasticProducts

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tools"))
DATABASE = importlib.import_module("databases").product().title
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = int(os.environ.get("SECONDS", "3"))
PRODUCTS = int(os.environ.get("PRODUCTS", "20000"))
LOCALE = "de-DE"
OURS, PEER = "ogrom", "FastAPI, SQLAlchemy, opensearch-py"
WANTED = 0.25
AGAIN = ", asked before"
"""The shop keeps what an engine said for a minute; without this, nothing is asked for twice."""

ROWS = (
    ("comment", "embedded", "SQLite"),
    ("comment", "real", DATABASE),
    ("product", "embedded", "SQLite, in the index"),
    ("product", "real", "OpenSearch"),
    ("product" + AGAIN, "real", "OpenSearch"),
    ("search", "embedded", "tantivy; FTS5"),
    ("search", "real", "OpenSearch"),
    ("search" + AGAIN, "real", "OpenSearch"),
    ("search", "played", "OpenSearch, played back"),
)

PRICE = 10_000_000
"""More than anything costs: it makes two searches differ, and not what is found."""

QUERIES = {
    f"{colour}e {garment}{ending}": f"{colour}* {garment.lower()}*"
    for colour in ("rot", "blau", "grün", "schwarz", "weiß", "gelb")
    for garment, ending in (("Kleid", "er"), ("Jacke", "n"), ("Hose", "n"), ("Hemd", "en"))
}
"""What people ask, and how one would ask SQLite's full text for it."""

SEARCHES = tuple(
    f"/v1/{LOCALE}/products?q={quote_plus(query)}&price_max={most}"
    for most in range(PRICE, PRICE + 3_000)
    for query in QUERIES
)
PATHS = {
    "comment": tuple(f"/v1/{LOCALE}/comments/{number}" for number in range(1, 201)),
    "product": tuple(f"/v1/{LOCALE}/products/g{n:06d}" for n in range(1, PRODUCTS + 1)),
    "search": SEARCHES,
    "product" + AGAIN: tuple(f"/v1/{LOCALE}/products/g{n:06d}" for n in range(1, 201)),
    "search" + AGAIN: SEARCHES[: len(QUERIES)],
}


async def fill(env: Mapping[str, str]) -> None:
    """The shop's own demo: it fills what is empty when it starts. And comments that are in German."""
    settings = Settings.from_env(env)
    async with shop(settings):
        pass
    where = settings.db.reveal() if settings.db else settings.state / "shop.sqlite"
    async with sql.connect(where) as db:
        await db.execute("UPDATE comments SET locale = :locale WHERE id <= 200", locale=LOCALE)


async def searches(where: Address) -> tuple[str, dict[str, Any]]:
    """The index that is live, and what the shop sends to it for each query."""
    bodies: dict[str, Any] = {}
    async with connect(where) as engine:
        products = ElasticProducts(engine, LOCALE)
        real = engine.ask
        sent: list[Any] = []

        async def noting(into: Any, method: str, path: str, body: Any = None, **more: Any) -> Any:
            sent.append(body)
            return await real(into, method, path, body, **more)

        for query in QUERIES:
            await products.search(ProductQuery(q=query, price_max=PRICE))
            engine.ask = noting  # type: ignore[method-assign]
            await products.search(
                ProductQuery(q=query, price_max=PRICE)
            )  # by now it knows how many words
            engine.ask = real  # type: ignore[method-assign]
            bodies[query] = next(body for body in sent if body)
            sent.clear()
        return products.revision, bodies


def words(path: Path) -> None:
    """The same products in SQLite's full text."""
    db = sqlite3.connect(path)
    columns = [name for name in FACETS if name != "size"]
    db.execute(
        f"CREATE VIRTUAL TABLE words USING fts5(id UNINDEXED, body UNINDEXED, name, description,"
        f" {', '.join(columns)}, price UNINDEXED, tokenize='unicode61 remove_diacritics 2')"
    )
    db.execute("CREATE TABLE sizes (id TEXT, value TEXT, PRIMARY KEY (id, value)) WITHOUT ROWID")
    for one in generate(PRODUCTS, LOCALE):
        said = [getattr(one, name) for name in ("name", "description", *columns)]
        assert one.price
        marks = ", ".join("?" * (3 + len(said)))
        values = (one.id, msgspec.json.encode(one), *said, one.price.minor)
        db.execute(f"INSERT INTO words VALUES ({marks})", values)
        db.executemany("INSERT INTO sizes VALUES (?, ?)", [(one.id, size) for size in one.sizes])
    db.commit()
    db.execute("INSERT INTO words(words) VALUES ('optimize')")
    db.commit()
    db.close()


@contextmanager
def running(name: str, env: Mapping[str, str], settings: Path) -> Generator[Running]:
    """One of the two on a free port, from its first answers on."""
    port = _free_port()
    command = {
        OURS: [sys.executable, "-m", "shop.run", "serve", "--port", str(port)],
        PEER: [str(PEERS_PYTHON), str(HERE / "peers" / "sources_fastapi.py"), str(port), str(settings)],
    }[name]  # fmt: skip
    log = settings.with_suffix(".log")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            env={**os.environ, **env},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            preexec_fn=lambda: undisturbed(0),
        )
    try:
        for paths in PATHS.values():
            _wait(process, f"http://127.0.0.1:{port}{paths[-1]}", log)
        yield Running(process, port, 0.0)
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def played(env: Mapping[str, str]) -> Generator[dict[str, str]]:
    """The same environment, with the engine's answers played back."""
    real, port = urlsplit(env["OGROM_SEARCH"]), _free_port()
    command = [sys.executable, str(HERE / "peers" / "playback.py"), str(port), env["OGROM_SEARCH"]]
    process = subprocess.Popen(command, preexec_fn=lambda: undisturbed(1))
    try:
        url = real._replace(netloc=f"127.0.0.1:{port}").geturl()
        yield {**env, "OGROM_SEARCH": url}
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    said = ""
    for _ in range(400):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if json.load(answer):
                    return
        except (urllib.error.URLError, OSError) as error:
            said = str(error)
            time.sleep(0.05)
    raise SystemExit(f"{url}: {said}\n{log.read_text()[-2000:]}")


def cost(server: Running, case: str) -> float:
    """CPU µs of one request of this case."""
    paths = PATHS[case]
    warm = load(server.port, Each(paths), seconds=1)
    before = server.cpu()
    seen = load(server.port, Each(paths, start=warm.requests % len(paths)), seconds=SECONDS)
    if seen.errors:
        raise SystemExit(f"{case}: {seen.errors} of {seen.requests} requests failed")
    if case in ("product", "search") and warm.requests + seen.requests > len(paths):
        print(f"{case}: some was asked for twice", file=sys.stderr)
    return (server.cpu() - before) / max(1, seen.requests) * 1e6


def prepared(folder: Path, kind: str, env: Mapping[str, str]) -> Path:
    """Fill what the shop has, and write down for the peer where that is."""
    asyncio.run(fill(env))
    told: dict[str, Any] = {"db": env.get("OGROM_DB", str(folder / "state" / "shop.sqlite"))}
    if kind != "embedded":
        where = address(env["OGROM_SEARCH"])
        told["search"] = where.url
        told["price"] = NUMBER + "price"
        told["index"], told["bodies"] = asyncio.run(searches(where))
    else:
        [documents] = store(folder / "state", LOCALE).glob("*/documents.db")
        words(folder / "words.db")
        told |= {"documents": str(documents), "words": str(folder / "words.db"), "matches": QUERIES}
    settings = folder / "settings.json"
    settings.write_bytes(msgspec.json.encode(told))
    return settings


def measured(folder: Path, real: Mapping[str, str]) -> dict[tuple[str, str, str], float]:
    """The medians, by kind of sources, case and server."""
    found: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    with played(real) as playing:
        kinds = {
            kind: _ready(folder / kind, kind, of)
            for kind, of in (("embedded", {}), ("real", real), ("played", playing))
        }
        for number in range(ROUNDS):
            for kind, (env, settings) in kinds.items():
                for name in (OURS, PEER):
                    told = f"round {number + 1} of {ROUNDS}: {kind}, {name}"
                    print(told, file=sys.stderr, flush=True)
                    with running(name, env, settings) as server:
                        # The peer keeps nothing, so it need not be asked twice.
                        for case in dict.fromkeys(case for case, of, _ in ROWS if of == kind):
                            if name == PEER and case.endswith(AGAIN):
                                continue
                            found[kind, case, name].append(cost(server, case))
    return {key: median(values) for key, values in found.items()}


def _ready(place: Path, kind: str, of: Mapping[str, str]) -> tuple[dict[str, str], Path]:
    """The environment of a kind of sources, and the peer's settings; all is filled."""
    place.mkdir()
    env = {
        **of,
        "OGROM_STATE": str(place / "state"),
        "OGROM_LOCALES": LOCALE,
        "OGROM_PRODUCTS": str(PRODUCTS),
    }
    return env, prepared(place, kind, env)


def main() -> None:
    """Start the servers, measure, tell."""
    tool: Any = importlib.import_module("sources")
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        with tool.used(folder / "sources"):
            tool.start(folder / "sources", ["database", "opensearch"])
            costs = measured(folder, tool.environment(folder / "sources"))
    rows: list[list[object]] = []
    for case, kind, source in ROWS:
        ours, peers = costs[kind, case, OURS], costs[kind, case.removesuffix(AGAIN), PEER]
        rows.append([case, source, f"{ours:.0f}", f"{peers:.0f}", f"{ours / peers:.2f}"])
    report(
        "sources_http",
        f"CPU µs of a GET, median of {ROUNDS} rounds",
        ("what", "from", OURS, PEER, f"ours by theirs (wanted: {WANTED})"),
        rows,
        {f"{kind} {case} {name} µs": value for (kind, case, name), value in costs.items()},
    )


if __name__ == "__main__":
    main()
