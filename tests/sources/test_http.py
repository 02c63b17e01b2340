"""Somebody else's API, by a real server that does all that can be wrong."""

import asyncio
import json
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from msgspec import Struct
from support.certificate import certified

from ogrom import deadline
from ogrom.sources.http import (
    BadAnswer,
    Busy,
    Misuse,
    Secret,
    TimedOut,
    Unavailable,
    address,
    connect,
)


class User(Struct, frozen=True):
    id: str
    name: str


def answer(status: int, body: str = "", kind: str = "application/json", **fields: str):
    """A handler that says just this."""

    async def handle(_: web.Request) -> web.Response:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        return web.Response(status=status, text=body, content_type=kind, headers=headers)

    return handle


async def echo(request: web.Request) -> web.Response:
    """What came, as a user's name."""
    came = {
        "method": request.method,
        "path": request.raw_path,
        "fields": dict(request.headers),
        "content": await request.text(),
    }
    return web.json_response({"id": "echo", "name": json.dumps(came)})


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def drip(request: web.Request) -> web.StreamResponse:
    """A head in time, and content that never ends."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(300):
        await response.write(b" ")
        await asyncio.sleep(0.1)
    return response


async def broken_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "application/json", "Content-Length": "1000"}
    )
    await response.prepare(request)
    await response.write(b'{"id":')
    request.transport.close()
    return response


@pytest.fixture
async def api() -> AsyncIterator[str]:
    """The API's base."""
    application = web.Application()
    for path, handler in {
        "/api/users/anna": answer(200, '{"id": "anna", "name": "Anna", "more": 1}'),
        "/api/users/new": answer(200, '{"id": "new", "name": "N"}', "application/vnd.x+json"),
        "/api/none": answer(404),
        "/api/gone": answer(410),
        "/api/empty": answer(200),
        "/api/garbage": answer(200, "{<html>" + "x" * 500),
        "/api/latin": answer(200, '{"id": 7, "name": "x"}'),
        "/api/html": answer(200, "<p>", "text/html"),
        "/api/huge": answer(200, " " * 5_000),
        "/api/moved": answer(302, Location="/api/users/anna"),
        "/api/wrong": answer(422),
        "/api/unauthorized": answer(401),
        "/api/forbidden": answer(403),
        "/api/busy": answer(429, Retry_After="7"),
        "/api/closed": answer(503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
        "/api/failing": answer(500),
        "/api/slow": slow,
        "/api/drip": drip,
        "/api/broken": broken_off,
    }.items():
        application.router.add_route("*", path, handler)
    application.router.add_route("*", "/api/echo{rest:.*}", echo)
    async with served(application) as base:
        yield f"{base}/api"


@asynccontextmanager
async def served(
    application: web.Application, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0]
    yield f"{'https' if tls else 'http'}://{host}:{port}"
    await runner.cleanup()


async def test_what_is_there_and_what_is_not(api: str) -> None:
    """Fields that we do not know are ignored; 404 and 410 are absence."""
    async with connect(api) as client:
        assert User("anna", "Anna") == await client.get("/users/anna", User)
        assert User("new", "N") == await client.get("/users/new", User)
        assert await client.get("/none", User) is None
        assert await client.get("/gone", User) is None


@pytest.mark.parametrize(
    ("path", "error", "complaint"),
    [
        ("/empty", BadAnswer, "no User"),
        ("/garbage", BadAnswer, r"no User .*: \{<html>x+…$"),
        ("/latin", BadAnswer, "no User"),
        ("/html", BadAnswer, "text/html, not JSON: <p>"),
        ("/huge", BadAnswer, "more than 4000 bytes"),
        ("/moved", BadAnswer, "redirects are not followed"),
        ("/broken", BadAnswer, "broke off"),
        ("/wrong", Misuse, "422"),
        ("/unauthorized", Unavailable, "credentials"),
        ("/forbidden", Unavailable, "credentials"),
        ("/busy", Busy, "429"),
        ("/closed", Busy, "503"),
        ("/failing", Unavailable, "500: something is wrong over there"),
        ("/slow", TimedOut, r"did not answer within 0\.3 s"),
        ("/drip", TimedOut, r"did not answer within 0\.3 s"),
    ],
)
async def test_what_goes_wrong(api: str, path: str, error: type[Exception], complaint: str) -> None:
    """By who must act; the message names the source and what was asked, and no parameter."""
    async with connect(api, name="people", timeout=0.3, most=4_000) as client:
        with pytest.raises(error, match=complaint) as caught:
            await client.get(path, User, query={"key": "s3cret"})
    assert error is type(caught.value)
    assert f"GET {api}{path}" in str(caught.value)
    assert "people" in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_when_to_come_back(api: str) -> None:
    """In seconds, where it was said so; a date is not understood, and harmless."""
    async with connect(api) as client:
        for path, seconds in (("/busy", 7), ("/closed", None)):
            with pytest.raises(Busy) as caught:
                await client.get(path, User)
            assert seconds == caught.value.retry_after


async def test_a_deadline_that_is_sooner(api: str) -> None:
    """It is kept, and says little about the API."""
    async with connect(api, timeout=20) as client:
        with deadline.within(0.1), pytest.raises(TimedOut) as caught:
            await client.get("/slow", User)
        assert caught.value.early


async def test_what_is_sent(api: str) -> None:
    """The token, the trace, what was named besides; parameters and forms are encoded."""

    async def sent(found: User | None) -> dict:
        assert found is not None
        return json.loads(found.name)

    async with connect(api, token=Secret("s3cret"), headers={"X-Team": "shop"}) as client:
        came = await sent(await client.get("/echo/a%2Fb", User, query={"q": "ä b", "n": 1}))
        assert "/api/echo/a%2Fb?q=%C3%A4+b&n=1" == came["path"]
        assert ("Bearer s3cret", "shop") == (
            came["fields"]["Authorization"],
            came["fields"]["X-Team"],
        )
        assert "traceparent" in came["fields"]
        came = await sent(await client.post("/echo", User, form={"token": "a&b"}))
        assert ("POST", "token=a%26b") == (came["method"], came["content"])
        assert "application/x-www-form-urlencoded" == came["fields"]["Content-Type"]
        came = await sent(await client.post("/echo", User, json={"a": [1]}))
        assert '{"a":[1]}' == came["content"]
        assert "s3cret" not in repr(client)


async def test_nobody_there() -> None:
    """Refused, or no such name: whoever runs the other side has to look."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        async with connect(f"http://u:s3cret@127.0.0.1:{port}/api") as client:
            with pytest.raises(Unavailable, match="cannot be reached") as caught:
                await client.get("/users/anna", User)
    assert "s3cret" not in str(caught.value)


async def test_whom_nobody_vouches_for(tmp_path: Path) -> None:
    """A certificate of no known authority is as good as none; by SSL_CERT_FILE it is known."""
    certificate, context = certified(tmp_path)
    application = web.Application()
    application.router.add_get("/users/anna", answer(200, '{"id": "anna", "name": "Anna"}'))
    async with served(application, context) as base:
        async with connect(base) as client:
            with pytest.raises(Unavailable, match=r"does not prove who it is.*SSL_CERT_FILE"):
                await client.get("/users/anna", User)
        asks = (
            "import asyncio, sys\n"
            "from ogrom.sources.http import connect\n"
            "async def ask():\n"
            "    async with connect(sys.argv[1]) as client:\n"
            "        print(await client.get('/users/anna', dict))\n"
            "asyncio.run(ask())\n"
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", asks, base), env={**os.environ, "SSL_CERT_FILE": str(certificate)},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate()
    assert b"'name': 'Anna'" in said


async def test_what_is_not_http() -> None:
    """Somebody else listens there."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(BadAnswer, match="no HTTP"):
                await client.get("/", User)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begin"),
        ("host/api", "begin"),
        ("ftp://host", "begin"),
        ("https://", "host"),
        ("https://u:s3cret@host:port/api", "port"),
        ("https://u:s3cret@host/api?key=1", "[?]|quer|after"),
    ],
)
def test_an_address_that_cannot_be_right(url: str, why: str) -> None:
    """It says why, and shows no secret."""
    with pytest.raises(ValueError, match=why) as caught:
        address(url)
    assert "s3cret" not in str(caught.value)


async def test_an_address_that_cannot_be_right_names_whose_it_is():
    """A service has several."""
    with pytest.raises(ValueError, match=r"^The address of seller: it does not begin with http"):
        async with connect("ftp://x:secret@seller.example", name="seller"):
            pass
