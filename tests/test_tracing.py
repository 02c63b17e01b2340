"""A request's trace is handed on; where OpenTelemetry is installed, it is told of every call."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from support.server import free_port

from ogrom import tracing
from ogrom.http import Resource, Service
from ogrom.serve._telemetry import served
from shop.run.identity import SECRET, stand_in
from shop.sources.demo import demo_users

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
LISTENED = "opentelemetry.sdk.trace"


def sent(parent: str | None, state: str | None = None) -> dict[str, str]:
    """What a call sends, in a request that brought these fields."""

    def ask() -> dict[str, str]:
        tracing.set(parent, state)
        return tracing.fields()

    return copy_context().run(ask)


@pytest.mark.parametrize(
    ("parent", "flags"),
    [
        (PARENT, "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"cc-{TRACE}-{SPAN}-ff-what-will-be", "01"),
    ],
)
def test_a_trace_goes_on(parent, flags):
    """The same trace, a new span, and what is not ours along with it; of a later version what we know."""
    fields = sent(parent, "vendor=1")
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-{flags}", fields["traceparent"])
    assert SPAN not in fields["traceparent"]
    assert "vendor=1" == fields["tracestate"]


@pytest.mark.parametrize(
    "parent",
    [
        None,
        "",
        "nonsense",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
    ],
)
def test_what_is_no_trace_begins_one(parent):
    """Section 3.2.2; a state without its parent is nobody's."""
    fields = sent(parent, "vendor=1")
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", fields["traceparent"])
    assert TRACE not in fields["traceparent"]
    assert {"traceparent"} == fields.keys()


@pytest.mark.parametrize("state", ["a=" + "b" * 600, "a=\u00e4"])
def test_a_state_that_is_none_is_left_out(state):
    """Too long (section 3.3.1.5), or not of the letters that fields are made of."""
    assert {"traceparent"} == sent(PARENT, state).keys()


def test_where_nobody_listens_a_span_only_hands_on():
    """And an exception goes through."""

    def ask():
        tracing.set(PARENT, "vendor=1")
        with tracing.span("GET", {}) as span:
            span.note("http.response.status_code", 200)
            return span.fields()

    fields = copy_context().run(ask)
    assert fields["traceparent"].startswith(f"00-{TRACE}-")
    assert "vendor=1" == fields["tracestate"]
    with pytest.raises(ValueError, match="wrong"), tracing.span("GET", {}):
        raise ValueError("wrong")


def test_the_api_without_a_tracer_changes_nothing():
    """What answers is the very function that was given."""
    pytest.importorskip("opentelemetry.trace")

    service = Service({"/": Resource(name="home", handle_ok=lambda *_: {})})
    assert service.respond == served(service)


LISTENING = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from shop.run.cli import main

out = open(sys.argv.pop(1), "w", buffering=1)
exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\\n")
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
main()
"""
"""The shop, with somebody who listens."""


@asynccontextmanager
async def identity(heard: list[tuple[str, str, str]]) -> AsyncIterator[str]:
    """The identity API, which notes what comes; "bad" is a user that it fails on."""

    @web.middleware
    async def note(request, handler):
        fields = request.headers
        if request.path != "/users/-":  # asked for its own sake, when nobody else does
            heard.append((request.path, fields["traceparent"], fields.get("tracestate", "")))
        if request.path.endswith("/bad"):
            return web.json_response({}, status=500)
        return await handler(request)

    api = stand_in(demo_users())
    api.middlewares.insert(0, note)
    runner = web.AppRunner(api)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest.mark.slow
async def test_a_request_through_a_source(tmp_path: Path):
    """Each call is a span below the request's own; the identity API hears of just that span."""
    pytest.importorskip(LISTENED)
    heard: list[tuple[str, str, str]] = []
    port, spans_file = free_port(), tmp_path / "spans.jsonl"
    url = f"http://127.0.0.1:{port}"

    async def spans(path: str):
        """The span of the newest request for this path, and those below it, once it has ended."""
        async with asyncio.timeout(30):
            while True:
                told = [json.loads(line) for line in spans_file.read_text().splitlines() if line]
                own = [each for each in told if path == each["attributes"].get("url.path")]
                if own:
                    at = own[-1]["context"]["span_id"]
                    calls = [each for each in told if at == each["parent_id"]]
                    return own[-1], [e for e in calls if "url.full" in e["attributes"]], calls
                await asyncio.sleep(0.02)

    async with identity(heard) as api:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LISTENING, str(spans_file), "serve", "--port", str(port),
            env={
                **os.environ,
                "OGROM_STATE": str(tmp_path / "state"),
                "OGROM_PRODUCTS": "5",
                "OGROM_USERS": api,
                "OGROM_USERS_TOKEN": SECRET,
            },
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession() as session:

                async def get(path: str, **fields: str) -> int:
                    async with session.get(url + path, headers=fields) as answer:
                        return answer.status

                async with asyncio.timeout(60):
                    while True:
                        with suppress(aiohttp.ClientError):
                            await get("/-/live")
                            break
                        await asyncio.sleep(0.05)

                brought = {"traceparent": PARENT, "tracestate": "vendor=1"}
                assert 200 == await get("/v1/de-DE/users/anna", **brought)
                request, [span], _ = await spans("/v1/de-DE/users/anna")
                assert "SpanKind.SERVER" == request["kind"]
                assert "GET /v1/de-DE/users/{user_id}" == request["name"]
                assert f"0x{TRACE}" == request["context"]["trace_id"]
                assert f"0x{SPAN}" == request["parent_id"]
                assert 200 == request["attributes"]["http.response.status_code"]
                assert ("GET", "SpanKind.CLIENT") == (span["name"], span["kind"])
                assert f"0x{TRACE}" == span["context"]["trace_id"]
                assert "UNSET" == span["status"]["status_code"]
                host, at = api.removeprefix("http://").split(":")
                assert {
                    "http.request.method": "GET",
                    "url.full": f"{api}/users/anna",
                    "server.address": host,
                    "server.port": int(at),
                    "http.response.status_code": 200,
                } == span["attributes"]
                own = span["context"]["span_id"].removeprefix("0x")
                assert [("/users/anna", f"00-{TRACE}-{own}-01", "vendor=1")] == heard

                # One that brought no trace begins its own, and its calls are all part of that.
                heard.clear()
                token = {"Authorization": "Bearer demo-bram"}
                mine = "/v1/de-DE/products/none/ratings/mine"
                assert 404 == await get(mine, **token)
                request, told, _ = await spans(mine)
                assert request["parent_id"] is None
                assert ["/introspect", "/users/bram"] == [path for path, _, _ in heard]
                assert [each["context"]["span_id"][2:] for each in told] == [
                    parent.split("-")[2] for _, parent, _ in heard
                ]
                assert SECRET not in spans_file.read_text()
                assert "demo-bram" not in spans_file.read_text()

                # What fails is told as a failure, each attempt by itself.
                heard.clear()
                assert 503 == await get("/v1/de-DE/users/bad", **brought)
                request, told, _ = await spans("/v1/de-DE/users/bad")
                assert "ERROR" == request["status"]["status_code"]
                assert len(heard) == len(told) > 1
                for each in told:
                    assert "ERROR" == each["status"]["status_code"]
                    assert 500 == each["attributes"]["http.response.status_code"]
                    assert "500" == each["attributes"]["error.type"]

                # Embedded sources and the database are told of too; health checks are not.
                assert 200 == await get("/v1/de-DE/products?q=rote+Kleider")
                _, _, calls = await spans("/v1/de-DE/products")
                assert "search de-DE" in [each["name"] for each in calls]
                assert "rote" not in json.dumps(calls)
                assert 200 == await get("/-/ready")
                assert "/-/" not in spans_file.read_text()
        finally:
            process.terminate()
            await process.wait()
