"""The ASGI adapter, driven by hand: scopes and messages in, messages out."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from msgspec import Struct

from ogrom.http import Accepted, Resource, Service
from ogrom.metrics import text
from ogrom.serve import App, AsgiApp, JsonLog, Limits, asgi
from ogrom.serve._shared import Shared

FAST = Limits(content_seconds=0.05, answer_seconds=0.1, target=100, head=500, content=50)


class Note(Struct):
    """What the notes take."""

    text: str


async def keep(ctx, _):
    """Reads the content, and does nothing with it."""
    ctx.body(Note)
    return Accepted()


async def dawdle(_):
    """Takes too long."""
    await asyncio.sleep(5)


async def fail(_):
    """Is broken."""
    raise LookupError("a secret")


SERVICE = Service(
    {
        "/hello/{name}": Resource(name="hello", handle_ok=lambda ctx, _: {"hello": ctx["name"]}),
        "/notes": Resource(name="notes", body=Note, post=keep),
        "/slow": Resource(exists=dawdle),
        "/broken": Resource(name="broken", exists=fail),
    }
)


class Lines:
    """A log that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def request(self, request, response, *, seconds, client):
        """Keep it."""
        self.lines.append((request, response, seconds, client))

    def close(self):
        """Nothing waits."""


@asynccontextmanager
async def started(app: AsgiApp):
    """The application between ASGI's startup and shutdown."""
    inbox, outbox = asyncio.Queue(), asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert "lifespan.startup.complete" == (await outbox.get())["type"]
    yield app
    await inbox.put({"type": "lifespan.shutdown"})
    assert "lifespan.shutdown.complete" == (await outbox.get())["type"]
    await running


def make(checks=None, release="abc"):
    """What opens the application."""

    @asynccontextmanager
    async def opened():
        yield App(service=SERVICE, checks=checks or {}, release=release)

    return opened


async def call(app, method="GET", path="/hello/you", *, headers=None, messages=None, **scope):
    """One request: status, fields, content."""
    fields = [(b"host", b"a")] if headers is None else headers
    sent = []
    waiting = list(messages or [{"type": "http.request", "body": b"", "more_body": False}])

    async def receive():
        if not waiting:
            await asyncio.sleep(5)
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    whole = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": fields,
        "client": ("10.0.0.9", 1),
        **scope,
    }
    await app(whole, receive, send)
    if not sent:
        return None, {}, b""
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def test_a_request_becomes_a_response():
    """With the service's fields, the request's id and the release."""
    log = Lines()
    async with started(asgi(make(), log=log)) as app:
        status, fields, body = await call(app, headers=[(b"host", b"a"), (b"x-request-id", b"me")])
    assert (200, {"hello": "you"}) == (status, json.loads(body))
    assert (b"me", b"abc") == (fields[b"x-request-id"], fields[b"ogrom-release"])
    ((request, response, seconds, client),) = log.lines
    assert ("me", 200, "hello", "10.0.0.9") == (request.id, response.status, response.route, client)
    assert seconds > 0


async def test_an_id_that_could_harm_a_log_is_replaced():
    """Only plain characters, and not too many."""
    async with started(asgi(make())) as app:
        _, fields, _ = await call(app, headers=[(b"host", b"a"), (b"x-request-id", b"a\tb" * 99)])
    assert 16 == len(fields[b"x-request-id"])


async def test_the_path_is_the_raw_one_below_the_mount():
    """%2F stays in its segment; a server that sends no raw path gets the quoted one."""
    async with started(asgi(make())) as app:
        _, _, body = await call(app, path="/api/hello/a%2Fb", root_path="/api")
        assert {"hello": "a/b"} == json.loads(body)
        _, _, body = await call(app, path="/hello/ł", raw_path=None)
        assert {"hello": "ł"} == json.loads(body)


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (414, {"path": "/hello/" + "x" * 100}),
        (431, {"headers": [(b"host", b"a"), (b"x", b"y" * 500)]}),
        (400, {"headers": []}),
        (400, {"headers": [(b"host", b"a"), (b"host", b"b")]}),
        (503, {"path": "/slow"}),
        (404, {"path": "/none"}),
        (500, {"path": "/broken"}),
    ],
)
async def test_what_goes_no_further_is_told_why(status, request_):
    """As problem details, with the id that the log has, and no secret."""
    async with started(asgi(make(), limits=FAST)) as app:
        got, fields, body = await call(app, **request_)
    assert (status, b"application/problem+json") == (got, fields[b"content-type"])
    assert json.loads(body)["request_id"]
    assert b"secret" not in body


POST = {
    "method": "POST",
    "path": "/notes",
    "headers": [
        (b"host", b"a"),
        (b"content-type", b"application/json"),
        (b"transfer-encoding", b"chunked"),
    ],
}


def part(body: bytes, *, more: bool = True):
    """A message with a part of the content."""
    return {"type": "http.request", "body": body, "more_body": more}


async def test_content_comes_in_parts():
    """And is read when it is wanted."""
    async with started(asgi(make(), limits=FAST)) as app:
        status, _, _ = await call(
            app, **POST, messages=[part(b'{"text":'), part(b'"x"}', more=False)]
        )
    assert 202 == status


async def test_too_much_content_and_too_slow_content():
    """413 as soon as it is too much, though no length was given; 408 when it does not come."""
    async with started(asgi(make(), limits=FAST)) as app:
        assert 413 == (await call(app, **POST, messages=[part(b"x" * 30), part(b"x" * 30)]))[0]
        assert 408 == (await call(app, **POST, messages=[part(b"x")]))[0]
        long = {**POST, "headers": [*POST["headers"], (b"content-length", b"51")]}
        assert 413 == (await call(app, **long, messages=[part(b"never read")]))[0]


async def test_a_client_that_leaves_gets_no_answer_and_a_line_in_the_log():
    """499, as logs commonly say."""
    log = Lines()
    async with started(asgi(make(), limits=FAST, log=log)) as app:
        status, _, _ = await call(app, **POST, messages=[{"type": "http.disconnect"}])
    assert (None, 499) == (status, log.lines[0][1].status)


async def test_health():
    """Live always; ready when all checks pass and no drain has begun; neither is logged."""
    ok = True

    async def check():
        if not ok:
            raise ConnectionError("no route to it")

    log = Lines()
    async with started(asgi(make({"db": check}), log=log)) as app:
        assert 200 == (await call(app, path="/-/live"))[0]
        status, fields, body = await call(app, path="/-/ready")
        assert (200, "ok") == (status, json.loads(body)["checks"]["db"])
        assert b"no-store" == fields[b"cache-control"]
        ok = False
        status, _, body = await call(app, path="/-/ready")
        assert (503, "ConnectionError: no route to it") == (
            status,
            json.loads(body)["checks"]["db"],
        )
        ok, app.draining = True, True
        status, fields, body = await call(app, path="/-/ready")
        assert (503, b"close") == (status, fields[b"connection"])
        assert "drain" in json.loads(body)["checks"]
        assert 404 == (await call(app, path="/-/else"))[0]
    assert log.lines == []


async def test_a_start_that_fails_says_so():
    """The server hears it and stops."""

    @asynccontextmanager
    async def broken():
        raise RuntimeError("no database")
        yield

    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    with pytest.raises(RuntimeError, match="no database"):
        await asgi(broken)({"type": "lifespan"}, receive, send)
    assert [{"type": "lifespan.startup.failed", "message": "no database"}] == sent


async def test_without_lifespan_nothing_is_served():
    """And the message says what the server lacks."""
    with pytest.raises(RuntimeError, match="lifespan"):
        await call(asgi(make()))


async def test_a_websocket_is_refused():
    """There are none here."""
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    await asgi(make())({"type": "websocket"}, receive, send)
    assert "websocket.close" == sent[0]["type"]


@pytest.mark.parametrize("name", ["target", "head", "content", "drain_seconds"])
def test_limits_are_above_zero(name):
    """A limit of 0 would let nothing in."""
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})


async def test_the_log_is_json_lines_with_the_error_s_stack():
    """The names are those of the Elastic Common Schema."""
    lines = []
    log = JsonLog("shop", "abc", write=lines.append)
    async with started(asgi(make(), log=log)) as app:
        await call(
            app,
            path="/broken",
            query_string=b"a=1",
            headers=[(b"host", b"a"), (b"user-agent", b"t")],
        )
    log.close()
    line = json.loads(lines[0])
    assert ("error", 500, "LookupError", "a secret") == (
        line["log.level"],
        line["http.response.status_code"],
        line["error.type"],
        line["error.message"],
    )
    assert "in fail" in line["error.stack_trace"]
    assert line["@timestamp"].endswith("Z")
    assert ("a=1", "t", "shop") == (
        line["url.query"],
        line["user_agent.original"],
        line["service.name"],
    )


def test_a_log_that_cannot_keep_up_drops_and_counts():
    """Nobody waits for it."""
    import threading

    gate, lines = threading.Event(), []

    def slow(line):
        gate.wait(5)
        lines.append(line)

    log = JsonLog("shop", "", write=slow, limit=2)
    for number in range(10):
        log.put({"@timestamp": float(number), "message": "x"})
    gate.set()
    log.close()
    told = [json.loads(line)["message"] for line in b"".join(lines).splitlines()]
    assert told.count("x") < 10
    assert any("log lines were dropped" in each for each in told)
    found = {each.name: each.samples[0].value for each in log.metrics()}
    dropped = 10 - told.count("x")
    assert {"ogrom_log_dropped_lines_total": dropped, "ogrom_log_waiting_lines": 0} == found


async def test_what_the_log_dropped_is_in_the_metrics():
    """Of an ASGI host; our own server tells the same."""

    def broken(_):
        raise BrokenPipeError

    log = JsonLog("shop", "", write=broken)
    log.put({"@timestamp": 1.0})
    log.close()
    limits = Limits()
    loop = asyncio.get_running_loop()

    @asynccontextmanager
    async def make():
        yield App(service=Service({"/": Resource(name="home", handle_ok=lambda *_: {})}))

    async with make() as app:
        shared = Shared(app, limits, log, loop)
        told = text(each for tell in shared.app.metrics for each in tell())
    assert log.dropped >= 1  # the line that tells of it is lost too
    assert f"\nogrom_log_dropped_lines_total {log.dropped}\n" in told


def test_a_log_whose_reader_is_gone_does_not_end_the_service():
    """A closed pipe is the reader's matter."""

    def broken(_):
        raise BrokenPipeError

    log = JsonLog("shop", "", write=broken)
    log.put({"@timestamp": 1.0})
    log.close()
