"""Content that is made while it is sent: by our own server as a real process, and by the ASGI adapter."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from serve import streamed

from ogrom.serve import asgi

slow = pytest.mark.slow

STREAMED = Path(__file__).parent / "streamed.py"
PAGE = 4096
PATIENCE = 30
"""For so many seconds a busy machine may take for one step."""
HELD = 32 << 20
"""So many bytes a server may hold of what nobody reads."""


@pytest.fixture(scope="module")
def server():
    """A server that streams: its address and its process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        number = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, str(STREAMED), f"fd:{number}"], pass_fds=[number]
        )
        try:
            yield listener.getsockname(), process
        finally:
            process.kill()
            process.wait()


def ask(address, path, *, method="GET", version="1.1", fields="Connection: close\r\n"):
    """A connection on which something was asked."""
    client = socket.create_connection(address, timeout=PATIENCE)
    client.sendall(f"{method} {path} HTTP/{version}\r\nHost: a\r\n{fields}\r\n".encode())
    return client


def told(address, path, **how):
    """Head and content of an answer, up to the connection's end; whether that was a clean one."""
    found, clean = b"", True
    with ask(address, path, **how) as client:
        try:
            while data := client.recv(65536):
                found += data
        except ConnectionResetError:
            clean = False
    head, _, content = found.partition(b"\r\n\r\n")
    return head, content, clean


def seen(address):
    """What the producers say of themselves."""
    return json.loads(told(address, "/seen")[1])


def until(condition, wanted):
    """Wait for it, for as long as a busy machine may take."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not in {PATIENCE} s: {wanted}"
        time.sleep(0.05)


def stands(address, process, resident):
    """How many pieces were made when no more are, for nobody takes them."""
    end = time.monotonic() + PATIENCE
    last, made = -1, seen(address)["made"]
    while last != made:  # the buffers of two kernels fill
        held = memory(process.pid) - resident
        assert held < HELD, f"the producer is not stopped: {held >> 20} MB are held unread"
        assert time.monotonic() < end, f"the producer is not stopped in {PATIENCE} s"
        time.sleep(0.3)
        last, made = made, seen(address)["made"]
    return made


@slow
def test_pieces_are_sent_in_chunks(server):
    """An empty piece is none, for it would be the end; each has a deadline of its own."""
    head, content, clean = told(server[0], "/numbers")
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert b"\r\nContent-Type: text/plain\r\n" in head
    assert (b"1\r\n1\r\n1\r\n2\r\n1\r\n3\r\n0\r\n\r\n", True) == (content, clean)


@slow
def test_the_connection_goes_on_after_a_stream(server):
    """What was asked meanwhile is answered, in its order; what is not modified is not made."""
    again = 'GET /numbers HTTP/1.1\r\nHost: a\r\nIf-None-Match: "n"\r\n\r\n'
    last = "GET /seen HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    _, content, clean = told(
        server[0],
        "/numbers",
        fields=f"\r\n{again}GET /plain HTTP/1.1\r\nHost: b\r\n\r\n{last[:-2]}",
    )
    assert clean
    assert ["304", "200", "200"] == re.findall(r"HTTP/1.1 (\d+)", content.decode())


@slow
def test_a_length_that_is_known_is_told(server):
    """And then there are no chunks."""
    head, content, _ = told(server[0], "/plain")
    assert b"\r\nContent-Length: 2\r\n" in head
    assert b"Transfer-Encoding" not in head
    assert b"ab" == content


@slow
def test_other_fields_and_the_negotiated_type(server):
    """From an `Answer` around it."""
    head, content, _ = told(server[0], "/named")
    assert b"\r\nX-Name: n\r\n" in head
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert b"2\r\n{}\r\n0\r\n\r\n" == content


@slow
def test_http_1_0_gets_it_up_to_the_end_of_the_connection(server):
    """It knows no chunks (RFC 9112, section 6.1)."""
    head, content, clean = told(
        server[0], "/numbers", version="1.0", fields="Connection: keep-alive\r\n"
    )
    assert b"Transfer-Encoding" not in head
    assert b"\r\nConnection: close\r\n" in head + b"\r\n"
    assert (b"123", True) == (content, clean)


@slow
def test_head_makes_nothing(server):
    """The producer is closed unread."""
    before = seen(server[0])
    head, content, _ = told(server[0], "/flood", method="HEAD")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"" == content
    assert before["made"] == seen(server[0])["made"]


@slow
def test_who_does_not_read_stops_the_producer(server):
    """Memory stays bounded; the client that takes nothing for 2 seconds is cut, and it is closed."""
    address, process = server
    before = seen(address)
    resident = memory(process.pid)
    with ask(address, "/flood") as client:
        client.recv(1000)
        until(lambda: seen(address)["made"] > before["made"], "a piece is made")
        last = stands(address, process, resident)
        assert memory(process.pid) - resident < HELD
        until(lambda: seen(address)["closed"] == before["closed"] + 1, "the producer is closed")
        assert seen(address)["made"] == last


@slow
def test_who_reads_slowly_is_served_on(server):
    """Longer than a client that takes nothing would be."""
    with ask(server[0], "/flood") as client:
        end = time.monotonic() + 2.5 * streamed.LIMITS.content_seconds
        while time.monotonic() < end:
            assert client.recv(256 << 10)
            time.sleep(0.1)


@slow
def test_a_client_that_leaves_ends_it(server):
    """And is counted as one."""
    address, _ = server
    before = seen(address)
    with ask(address, "/trickle") as client:
        assert client.recv(1000)
    until(lambda: seen(address)["closed"] == before["closed"] + 1, "the producer is closed")
    counted = b'route="trickle",method="GET",status="499"'
    until(lambda: counted in told(address, "/-/metrics")[1], "it is counted")


@slow
def test_one_that_fails_before_its_first_piece_is_an_error(server):
    """500, with the problem in words; one that takes too long, 503; one with a wrong length, 500."""
    for path, status in (("/broken/0", b"500"), ("/slow/0", b"503"), ("/short", b"200")):
        head, content, _ = told(server[0], path)
        assert head.startswith(b"HTTP/1.1 " + status), path
        assert b"secret" not in content


@slow
@pytest.mark.parametrize("path", ["/broken/2", "/slow/2", "/short", "/long"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_one_that_fails_later_is_cut(server, path, version):
    """The client notices: the last chunk is missing, or the connection is reset."""
    _, content, clean = told(server[0], path, version=version)
    assert not clean
    assert not content.endswith(b"0\r\n\r\n")
    assert b"ogrom_responses_cut_total 0" not in told(server[0], "/-/metrics")[1]


def memory(pid):
    """Resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


async def through_asgi(path, *, method="GET", leaves_after=None, takes=None):
    """All messages of one request to the ASGI adapter, and what it raised."""
    sent, left, inbox = [], asyncio.Event(), asyncio.Queue()
    app = asgi(streamed.opened, limits=streamed.LIMITS)
    lifespan = asyncio.create_task(app({"type": "lifespan"}, inbox.get, asyncio.Queue().put))
    await inbox.put({"type": "lifespan.startup"})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked = [{"type": "http.request", "body": b""}]

    async def receive():
        if asked:
            return asked.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if leaves_after is not None and len(sent) > leaves_after:
            left.set()
            await asyncio.sleep(takes or 0)

    raised = None
    try:
        await app(
            {
                "type": "http", "http_version": "1.1", "method": method, "path": path,
                "raw_path": path.encode(), "query_string": b"", "headers": [(b"host", b"a")],
            },
            receive,
            send,
        )  # fmt: skip
    except Exception as error:
        raised = error
    await inbox.put({"type": "lifespan.shutdown"})
    with suppress(asyncio.CancelledError):
        await lifespan
    return sent, raised


async def test_asgi_sends_pieces():
    """`more_body`, and at the end none."""
    sent, raised = await through_asgi("/numbers")
    assert raised is None
    assert 200 == sent[0]["status"]
    assert [b"1", b"2", b"3", b""] == [each["body"] for each in sent[1:]]
    assert [True, True, True, False] == [each.get("more_body", False) for each in sent[1:]]
    sent, _ = await through_asgi("/numbers", method="HEAD")
    assert [b""] == [each["body"] for each in sent[1:]]


async def test_asgi_fails_as_the_server_does():
    """An error before the first piece; later it is raised, and the host cuts the connection."""
    sent, raised = await through_asgi("/broken/0")
    assert (500, None) == (sent[0]["status"], raised)
    sent, raised = await through_asgi("/broken/2")
    assert isinstance(raised, LookupError)
    assert sent[-1]["more_body"]


async def test_asgi_ends_it_when_the_client_leaves():
    """The producer is closed."""
    before = streamed.SEEN["closed"]
    sent, raised = await through_asgi("/flood", leaves_after=3, takes=30)
    assert raised is None
    assert len(sent) == 4
    assert before + 1 == streamed.SEEN["closed"]
