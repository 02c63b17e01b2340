"""Clients that end their side, that leave, or that do not read, and what becomes of their requests."""

import contextlib
import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from support.wire import answers, echo, request, until_end

pytestmark = pytest.mark.slow

JSON = "Content-Type: application/json"
LIMITS = {"head_seconds": 20, "content_seconds": 4, "answer_seconds": 20}


@pytest.fixture(scope="module")
def server():
    """Ours."""
    with echo(limits=LIMITS) as served:
        yield served


def counted(server, what):
    """A line of the metrics, waited for."""
    deadline = time.monotonic() + 30
    while what not in (told := server.metrics()):
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


ENDED = {
    "an answer that is there at once": (request("/echo/a"), [200]),
    "an answer that takes a while": (request("/wait/300"), [200]),
    "several, some of which take a while": (
        request("/wait/50") + request("/echo/a") + request("/wait/50") + request("/none"),
        [200, 200, 200, 404],
    ),
    "content": (request("/echo/a", JSON, method="POST", content=b"x"), [200]),
    "HTTP/1.0": (request("/wait/50", version="1.0"), [200]),
    "more than is answered in a turn": (request("/echo/a") * 100, [200] * 100),
    "a head without an end": (request("/wait/50") + request("/echo/a")[:-1], [200]),
    "content without an end": (
        request("/wait/50") + request("/echo/a", JSON, method="POST", content=b"xyz")[:-1], [200],
    ),
    "chunks without an end": (
        request("/echo/a", JSON, "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n", [],
    ),
    "nothing": (b"", []),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDED)
def test_who_ends_its_side_gets_its_answers(server, case):
    """As `printf … | nc` does (RFC 9112, section 9.6): all that was asked whole, then the end."""
    sent, expected = ENDED[case]
    assert expected == [each.status for each in server.ask(sent)]


def test_who_ends_its_side_later_gets_its_answer(server):
    """When the request is long under way; in between it may hear that it is being worked on."""
    with server.connect() as client:
        client.sendall(request("/wait/4000"))
        time.sleep(0.2)
        client.shutdown(socket.SHUT_WR)
        received = until_end(client)
    assert b'{"waited":4000}' == answers(received)[0].content
    assert received.count(b"HTTP/1.1 102 ") <= 2


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_who_leaves_is_not_worked_for(server, how):
    """Whether it closes its socket, or dies."""
    with server.connect() as client:
        client.sendall(request("/wait/15000"))
        counted(server, "ogrom_requests_in_flight 2")  # it, and the one that asks
        if how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    begun = time.monotonic()
    counted(server, "ogrom_requests_in_flight 1")
    assert time.monotonic() - begun < 14, "it was worked for to the end"


def test_a_head_that_says_nothing_of_its_end_is_waited_for(server):
    """In two parts, seconds apart."""
    whole = request("/echo/a", "Connection: close")
    assert [200] == [each.status for each in answers(server.raw(whole[:9], whole[9:], pause=2))]


def test_who_does_not_read_is_cut_and_holds_no_memory():
    """Twenty clients ask twenty times for 8 MB and read none of it: one answer each is made and waits,
    until they are cut.
    """
    with echo(limits={"content_seconds": 1}) as server, contextlib.ExitStack() as stack:
        pid = server.process.pid
        others = sockets(pid)
        most = 0.0
        for _ in range(20):
            client = stack.enter_context(server.connect())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(request(f"/many/{8 << 20}") * 20)
        deadline = time.monotonic() + 60
        while sockets(pid) > others or resident(pid) > 150e6:
            most = max(most, resident(pid))
            assert [200] == [each.status for each in server.ask(request("/echo/a"))]
            assert time.monotonic() < deadline, "who does not read is kept"
        assert most < 500e6, "more than one answer each was made"


def sockets(pid):
    """How many a process has open."""
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += str(entry.readlink()).startswith("socket:")
    return found


def resident(pid):
    """Bytes of memory that a process has, by the kernel."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_who_reads_slowly_gets_it_all(server):
    """8 MB in small bites."""
    size = 8 << 20
    with server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(request(f"/many/{size}", "Connection: close"))
        received = bytearray()
        while data := client.recv(1 << 16):
            received += data
            if len(received) < 1 << 20:
                time.sleep(0.02)
    (answer,) = answers(bytes(received))
    assert size == len(answer.content)


def test_more_requests_at_once_than_are_kept_are_all_answered(server):
    """A client that sends 20,000 without waiting has to wait itself, and is never forgotten."""
    data = request("/echo/a") * 20_000 + request("/echo/a", "Connection: close")
    with server.connect() as client:
        sending = threading.Thread(target=client.sendall, args=(data,))
        sending.start()
        received = until_end(client)
        sending.join()
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 20_001


def test_content_that_is_passed_over_ends_no_patience():
    """Once it has come whole, the connection may wait for its next request as long as any."""
    with (
        echo(limits={"content_seconds": 1, "head_seconds": 1}) as server,
        server.connect() as client,
    ):
        refused = request("/closed/a", JSON, method="POST", content=b"x" * 100)
        client.sendall(refused[:-50])
        assert client.recv(4096).startswith(b"HTTP/1.1 403 ")
        client.sendall(refused[-50:])
        time.sleep(4)
        client.sendall(request("/echo/a", "Connection: close"))
        assert [200] == [each.status for each in answers(until_end(client))]


def test_content_that_is_passed_over_has_its_time():
    """A connection is not held by content that never comes."""
    with echo(limits={"content_seconds": 1}) as server, server.connect() as client:
        client.sendall(request("/closed/a", JSON, method="POST", content=b"x" * 100)[:-50])
        assert client.recv(4096).startswith(b"HTTP/1.1 403 ")
        assert b"" == until_end(client)
