"""The shop as a real process: started, stopped, killed, and written to by several at once."""

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import suppress

import aiohttp
import pytest
from support.server import Server

pytestmark = pytest.mark.slow

ANNA = {"Authorization": "Bearer demo-anna"}


@pytest.fixture(scope="module")
def server(serving, tmp_path_factory):
    """One shop for the tests that leave it alive."""
    with serving(tmp_path_factory.mktemp("served") / "state") as running:
        yield running


def raw(server: Server, request: bytes, *, wait: float = 20) -> bytes:
    """What comes back for these very bytes, until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # answered before it was read
            connection.sendall(request)
        received = b""
        with suppress(TimeoutError, ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
                connection.settimeout(1)
        return received


async def product_id(session: aiohttp.ClientSession, server: Server) -> str:
    """Some product."""
    async with session.get(f"{server.url}/v1/de-DE/products?per_page=1") as answer:
        return (await answer.json())["items"][0]["id"]


async def test_it_tells_that_it_is_live_and_ready_and_which_release_it_is(server):
    """The balancer asks these two."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/-/live") as live:
            assert "live" == (await live.json())["status"]
        async with session.get(f"{server.url}/-/ready") as ready:
            assert 200 == ready.status
            assert (await ready.json())["checks"]["sql"].startswith(("ok", "breaker closed"))
            assert "abc1234" == ready.headers["Ogrom-Release"]


async def test_compressed_answers_are_really_compressed(server):
    """The client unpacks what the server has packed."""
    url = f"{server.url}/v1/de-DE/products"
    async with aiohttp.ClientSession(auto_decompress=True) as session:
        for coding in ("gzip", "br", "identity"):
            async with session.get(url, headers={"Accept-Encoding": coding}) as answer:
                assert coding == answer.headers.get("Content-Encoding", "identity")
                assert 20 == len((await answer.json())["items"])


def test_a_request_without_host_is_refused(server):
    """RFC 9112, section 3.2."""
    assert raw(server, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400")
    two = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    assert raw(server, two).startswith(b"HTTP/1.1 400")


def test_a_head_without_end_is_cut_off(server):
    """431 at the limit, with a connection that is closed."""
    flood = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * 100_000
    answer = raw(server, flood)
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"Connection: close" in answer
    long = b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    assert raw(server, long).startswith(b"HTTP/1.1 414")


def test_three_requests_in_one_packet_get_three_answers(server):
    """Pipelining, RFC 9112 section 9.3.2."""
    one = b"GET /v1/de-DE HTTP/1.1\r\nHost: a\r\n\r\n"
    assert 3 == raw(server, one * 3).count(b"HTTP/1.1 200")


def test_content_that_nobody_will_read_is_not_asked_for(server):
    """A client that waits for "100 Continue" hears 401 instead."""
    head = (
        b"POST /v1/de-DE/collages HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: 10\r\nExpect: 100-continue\r\n"
    )
    assert raw(server, head + b"\r\n").startswith(b"HTTP/1.1 401")
    welcome = raw(server, head + b"Authorization: Bearer demo-anna\r\n\r\n", wait=3)
    assert welcome.startswith(b"HTTP/1.1 100")


def test_too_much_content_is_refused_unread(server):
    """413 by its Content-Length."""
    head = (
        b"POST /v1/de-DE/collages HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer demo-anna\r\nContent-Length: 99999999\r\n\r\n"
    )
    assert raw(server, head).startswith(b"HTTP/1.1 413")


async def test_every_request_is_a_line_of_the_log(server):
    """JSON with the names of the Elastic Common Schema, and the request's id."""
    async with aiohttp.ClientSession() as session:
        fields = {"X-Request-Id": "my-own-id", "User-Agent": "test/1"}
        async with session.get(f"{server.url}/v1/de-DE?x=1", headers=fields) as answer:
            assert "my-own-id" == answer.headers["X-Request-Id"]
    for _ in range(600):
        lines = [
            json.loads(line) for line in server.log.read_text().splitlines() if line[:1] == "{"
        ]
        found = [line for line in lines if line["http.request.id"] == "my-own-id"]
        if found:
            break
        await asyncio.sleep(0.05)
    (line,) = found
    assert ("GET", "/v1/de-DE", "x=1") == (
        line["http.request.method"],
        line["url.path"],
        line["url.query"],
    )
    assert (200, "start", "abc1234") == (
        line["http.response.status_code"],
        line["ogrom.route"],
        line["service.version"],
    )
    assert line["event.duration"] > 0


def test_a_port_that_is_taken_says_what_to_do(server, tmp_path):
    """The message names another way, and the exit status is not zero."""
    command = [sys.executable, "-m", "shop.run", "serve", "--port", str(server.port)]
    done = subprocess.run(
        [*command, "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 1 == done.returncode
    assert "choose another port" in done.stderr


async def test_a_stop_lets_requests_in_flight_end(serving, tmp_path):
    """SIGTERM while content is still coming: the request is answered, then the process ends well."""
    with serving(tmp_path / "state") as running:
        async with aiohttp.ClientSession() as session:
            product = await product_id(session, running)
            draft = json.dumps({"title": "slow", "product_ids": [product]}).encode()

            async def slowly():
                yield draft[:10]
                await asyncio.sleep(0.2)
                running.process.terminate()
                await asyncio.sleep(0.5)
                yield draft[10:]

            url = f"{running.url}/v1/de-DE/collages"
            fields = {**ANNA, "Content-Type": "application/json"}
            async with session.post(url, data=slowly(), headers=fields) as answer:
                assert 201 == answer.status
                assert "close" == answer.headers["Connection"]
        assert 0 == running.process.wait(timeout=30)


async def test_of_two_writers_at_once_one_wins_and_the_other_hears_of_it(server):
    """Many rounds on one collage: one 200 and one 412 each, and the winner's words are there."""
    async with aiohttp.ClientSession(headers=ANNA) as session:
        product = await product_id(session, server)
        draft = {"title": "start", "product_ids": [product]}
        async with session.post(f"{server.url}/v1/de-DE/collages", json=draft) as made:
            url = server.url + made.headers["Location"]

        async def write(title: str, tag: str) -> tuple[int, str]:
            body = {"title": title, "product_ids": [product]}
            async with session.put(url, json=body, headers={"If-Match": tag}) as answer:
                await answer.read()
                return answer.status, title

        for number in range(30):
            async with session.get(url) as present:
                tag = present.headers["ETag"]
            outcomes = await asyncio.gather(
                *(write(f"round {number} writer {each}", tag) for each in range(4))
            )
            assert [200, 412, 412, 412] == sorted(status for status, _ in outcomes)
            winner = next(title for status, title in outcomes if status == 200)
            async with session.get(url) as after:
                assert winner == (await after.json())["title"]


async def test_acknowledged_writes_outlive_the_process(serving, tmp_path):
    """kill -9 while several clients write, three times over: all that was answered 201 is there."""
    acknowledged: list[str] = []
    state = tmp_path / "state"
    for more in (3, 12, 40):
        wanted = len(acknowledged) + more
        with serving(state) as running:
            async with aiohttp.ClientSession(headers=ANNA) as session:
                product = await product_id(session, running)
                url = f"{running.url}/v1/de-DE/products/{product}/comments"

                async def write(number: int, url: str = url, session=session) -> None:
                    for again in range(500):
                        text = f"writer {number}, comment {again}"
                        try:
                            async with session.post(url, json={"text": text}) as answer:
                                assert answer.status in (201, 503)  # a busy machine
                                if answer.status == 201:
                                    acknowledged.append(answer.headers["Location"])
                        except aiohttp.ClientError:
                            return

                writers = [asyncio.create_task(write(number)) for number in range(4)]
                async with asyncio.timeout(60):
                    while len(acknowledged) < wanted:
                        await asyncio.sleep(0.005)
                running.kill()
                await asyncio.gather(*writers)
    assert len(acknowledged) == len(set(acknowledged)) >= 55
    with serving(state) as running:
        async with aiohttp.ClientSession() as session:
            for place in acknowledged:
                async with session.get(running.url + place) as answer:
                    assert 200 == answer.status


async def test_the_whole_catalogue_is_streamed(server):
    """A JSON line for each product, each once; not made again where it is known."""
    url = f"{server.url}/v1/de-DE/catalogue"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/v1/de-DE/products?per_page=1") as answer:
            total = (await answer.json())["total"]
        async with session.get(url) as answer:
            assert ("application/jsonl", "chunked") == (
                answer.headers["Content-Type"],
                answer.headers["Transfer-Encoding"],
            )
            products = [json.loads(line) for line in (await answer.read()).splitlines()]
            tag = answer.headers["ETag"]
        assert total == len(products) == len({each["id"] for each in products})
        async with session.get(f"{server.url}{products[-1]['url']}") as answer:
            assert products[-1]["name"] == (await answer.json())["name"]
        async with session.get(url, headers={"If-None-Match": tag}) as answer:
            assert 304 == answer.status


async def test_workers_share_one_state(serving, tmp_path):
    """All fill an empty folder at once, and all answer; what one writes the others show."""
    with serving(tmp_path / "state", OGROM_WORKERS="3") as running:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(running.url, connector=connector) as session:
            wanted = [f'ogrom_worker_up{{worker="{number}"}} 1' for number in (1, 2, 3)]
            async with asyncio.timeout(60):
                while True:
                    async with session.get("/-/metrics") as answer:
                        metrics = await answer.text()
                    if all(each in metrics for each in wanted):
                        break
            async with session.get("/v1/de-DE/products?per_page=1") as answer:
                product = (await answer.json())["items"][0]["id"]
            draft = {"title": "Ours", "product_ids": [product]}
            async with session.post("/v1/de-DE/collages", json=draft, headers=ANNA) as answer:
                assert 201 == answer.status
                at = answer.headers["Location"]
            asked = [session.get(at) for _ in range(40)]
            for answer in await asyncio.gather(*asked):
                assert 200 == answer.status
                answer.release()
