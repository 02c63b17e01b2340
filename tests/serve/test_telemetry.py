"""Each call of a source is a client span below the request's: with the real SDK, on real sources."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import databases
import pytest
import pytest_asyncio

from ogrom import tracing
from ogrom.http import Request, Resource, Service
from ogrom.serve._telemetry import served
from ogrom.sources import search, sql
from ogrom.sources._wire import _Connection

pytest.importorskip("opentelemetry.sdk.trace")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What ended, of a tracer that is configured while the test lasts."""
    made = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return made


async def asked(work: Any, exporter: InMemorySpanExporter) -> tuple[Any, list[Any]]:
    """The span of a request in which the work is done, and those below it, in the order they ended."""

    async def find(_: object) -> object:
        return await work()

    service = Service(
        {"/things/{id}": Resource(name="thing", exists=find, handle_ok=lambda *_: {})}
    )
    tracing.set(PARENT, "vendor=1")
    exporter.clear()
    request = Request(
        method="GET", path="/things/1", query="token=sesame", headers={"host": "[::1]:80"}, id="i"
    )
    response = await served(service)(request)
    *calls, own = exporter.get_finished_spans()
    assert response.status == own.attributes["http.response.status_code"]
    assert all(each.parent.span_id == own.context.span_id for each in calls)
    assert all(each.kind is trace.SpanKind.CLIENT for each in calls)
    return own, calls


@pytest_asyncio.fixture
async def db(where: Path | str) -> AsyncIterator[sql.Db]:
    """A database with a table, SQLite and MariaDB in turn."""
    async with sql.connect(where) as made:
        async with made.schema_change() as change:
            await change.execute(
                "CREATE TABLE notes (id INTEGER PRIMARY KEY, text VARCHAR(50) NOT NULL)"
            )
        yield made


async def test_a_request_is_a_span_of_the_trace_that_it_brought(exporter):
    """Named by its route; its query is not told, for it may have secrets in it."""

    async def nothing() -> object:
        return {}

    own, calls = await asked(nothing, exporter)
    assert "GET /things/{id}" == own.name
    assert trace.SpanKind.SERVER is own.kind
    assert ("b" * 16, "a" * 32) == (f"{own.parent.span_id:x}", f"{own.context.trace_id:x}")
    assert {
        "http.request.method": "GET", "url.path": "/things/1", "url.scheme": "http",
        "http.route": "/things/{id}", "http.response.status_code": 200,
        "server.address": "[::1]", "server.port": 80,
    } == dict(own.attributes)  # fmt: skip
    assert [] == calls
    assert f"{own.context.span_id:016x}" == tracing.current().parent  # what is logged and streamed
    assert tracing.listener() is not None


async def test_what_is_raised_makes_the_request_a_failure(exporter):
    """With the exception's kind, and without its message."""

    async def broken() -> object:
        raise ValueError("sesame")

    own, _ = await asked(broken, exporter)
    assert trace.StatusCode.ERROR is own.status.status_code
    assert "ValueError" == own.attributes["error.type"]
    assert "sesame" not in own.to_json()


async def test_statements_are_spans(db, where, exporter):
    """The text with the names of its parameters, never with their values; what it is about; where it is."""

    async def work() -> object:
        await db.execute("INSERT INTO notes (id, text) VALUES (:id, :text)", id=7, text="sesame")
        return await db.all(str, "SELECT text FROM notes WHERE id = :id", id=7)

    own, (insert, select) = await asked(work, exporter)
    assert trace.StatusCode.UNSET is own.status.status_code
    assert ("INSERT notes", "SELECT notes") == (insert.name, select.name)
    told = dict(select.attributes)
    expected = databases.product().name if str(where).startswith("mysql") else "sqlite"
    assert expected == told["db.system.name"]
    assert "SELECT text FROM notes WHERE id = :id" == told["db.query.text"]
    assert ("SELECT", "notes") == (told["db.operation.name"], told["db.collection.name"])
    assert told["db.namespace"]
    assert told["db.namespace"] in str(where)
    assert ("server.address" in told) == (str(where).startswith("mysql"))
    assert "sesame" not in insert.to_json() + select.to_json()


async def test_a_transaction_has_a_beginning_and_an_end(db, exporter):
    """What is undone is told as undone."""

    async def work() -> object:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO notes (id, text) VALUES (1, 'a')")
            await tx.one(int, "SELECT COUNT(*) FROM notes")
        with suppress(ZeroDivisionError):
            async with db.transaction() as tx:
                raise ZeroDivisionError
        return await db.one(int, "SELECT COUNT(*) FROM notes")

    _, calls = await asked(work, exporter)
    assert [
        "BEGIN", "INSERT notes", "SELECT notes", "COMMIT", "BEGIN", "ROLLBACK", "SELECT notes",
    ] == [each.name for each in calls]  # fmt: skip
    assert all(each.status.is_unset for each in calls)


async def test_a_statement_that_fails_is_told_with_the_databases_number(db, where, exporter):
    """The kind of error, and not its message, which may quote the value."""

    async def work() -> object:
        for _ in range(2):
            await db.execute("INSERT INTO notes (id, text) VALUES (:id, 'sesame')", id=4711)

    own, (_, failed) = await asked(work, exporter)
    assert "Duplicate" == own.attributes["error.type"] == failed.attributes["error.type"]
    assert trace.StatusCode.ERROR is failed.status.status_code
    number = "1062" if str(where).startswith("mysql") else "1555"
    assert number == failed.attributes["db.response.status_code"]
    assert "4711" not in failed.to_json()


async def test_a_database_that_is_away_is_a_span_that_failed(exporter):
    """Though there was nobody to send the statement to."""
    async with sql.connect("mysql://u:sesame@127.0.0.1:1/shop", wanted=False) as away:

        async def work() -> object:
            return await away.one(int, "SELECT 1")

        _, (failed,) = await asked(work, exporter)
    assert "Unavailable" == failed.attributes["error.type"]
    assert ("127.0.0.1", 1) == (
        failed.attributes["server.address"], failed.attributes["server.port"],
    )  # fmt: skip
    assert "sesame" not in failed.to_json()


async def test_the_embedded_engine(exporter, tmp_path: Path):
    """What was asked for is people's words, and is not told."""
    schema = search.Schema(language="de", text={"name": 1.0})
    index = search.TantivyIndex(tmp_path / "products", schema)

    async def work() -> object:
        await index.get("1")
        return await index.search(search.Search(text="sesame", limit=1, offset=0))

    _, (got, found) = await asked(work, exporter)
    index.close()
    assert ("get products", "search products") == (got.name, found.name)
    assert {
        "db.system.name": "tantivy", "db.operation.name": "search", "db.collection.name": "products",
    } == dict(found.attributes)  # fmt: skip


@pytest.mark.slow
async def test_a_search_engine(node, exporter, monkeypatch):
    """A real OpenSearch; the trace goes on to it, as fields of the question."""
    async with search.connect(f"{node.start()}/t") as engine:
        await engine.ping()
        sent: list[str] = []
        exchange = _Connection.exchange

        async def noted(connection, raw, seconds):
            sent.append(raw.decode())
            return await exchange(connection, raw, seconds)

        monkeypatch.setattr(_Connection, "exchange", noted)

        async def work() -> object:
            await engine.ask(dict[str, Any], "POST", "_search?size=0", {"query": {"match_all": {}}})
            return await engine.ask(dict[str, Any], "GET", "nowhere/_doc/1?realtime=false")

        _, (found, failed) = await asked(work, exporter)
    assert ("search", "get nowhere") == (found.name, failed.name)
    told = dict(found.attributes)
    assert ("opensearch", "search", "200") == (
        told["db.system.name"], told["db.operation.name"], told["db.response.status_code"],
    )  # fmt: skip
    assert f"{engine.where.url}/_search" == told["url.full"]
    assert told["server.port"]
    assert "127.0.0.1" == told["server.address"]
    assert ("404", "nowhere") == (
        failed.attributes["error.type"], failed.attributes["db.collection.name"],
    )  # fmt: skip
    for span, raw in zip((found, failed), sent, strict=True):
        assert f"\r\ntraceparent: 00-{'a' * 32}-{span.context.span_id:016x}-01\r\n" in raw
        assert "\r\ntracestate: vendor=1\r\n" in raw


async def test_who_asks_outside_of_requests_is_told_of_nowhere(exporter, tmp_path: Path):
    """What a shield asks when nobody else does would be noise."""
    async with sql.connect(tmp_path / "a.db") as own:
        assert 1 == await own.one(int, "SELECT 1")
    assert () == exporter.get_finished_spans()
