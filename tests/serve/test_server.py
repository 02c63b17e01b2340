"""Our own server as a real process: raw bytes in, status lines and effects out."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HOST = b"Host: a\r\n"
GET = b"GET /hello/you HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /notes HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
NOTE = b'{"text":"a"}'
SIZED = POST + b"Content-Length: %d\r\n\r\n" % len(NOTE) + NOTE
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + NOTE[:5] + b"\r\n7;x=y\r\n" + NOTE[5:]

SERVED = Path(__file__).parent / "served.py"


def start(where, **kwargs):
    """The server of `served.py`, on a socket that already listens."""
    return subprocess.Popen([sys.executable, str(SERVED), where], **kwargs)


@pytest.fixture
def listener():
    """A socket that listens on a free port."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen(2048)
        yield made


@pytest.fixture
def server(listener):
    """A server that is up, its port and its process."""
    process = start(f"fd:{listener.fileno()}", pass_fds=[listener.fileno()])
    try:
        assert b"200" in talk(listener, [b"GET /-/live HTTP/1.0\r\n\r\n"])
        yield process
    finally:
        process.kill()
        process.wait()


def connect(listener):
    """A connection to whoever serves it."""
    return socket.create_connection(listener.getsockname(), timeout=20)


def talk(listener, parts, *, wait=20.0):
    """All that comes back for these parts, sent one after the other, until the server ends it."""
    with connect(listener) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(wait)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                client.sendall(part)
        found = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while data := client.recv(65536):
                found += data
        return found


def statuses(answer):
    """The statuses of all answers."""
    return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


LAST = b"GET /hello/end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

CASES = {
    "a product": (GET, [200]),
    "three at once": (GET * 3, [200] * 3),
    "more than are answered in a turn": (GET * 100, [200] * 100),
    "no content": (b"HEAD /hello/you HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
    "a method that nobody knows": (b"BREW /hello/you HTTP/1.1\r\n" + HOST + b"\r\n", [501]),
    "sized content": (SIZED, [202]),
    "chunked content": (CHUNKED + b"\r\n0\r\nX-Trailer: a\r\n\r\n", [202]),
    "slow ones keep their order": (
        b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n" + GET, [200, 200],
    ),
    "empty lines before a request": (b"\r\n\r\n" + GET, [200]),
    "a field that cannot be sent": (b"GET /bad-field HTTP/1.1\r\n" + HOST + b"\r\n", [500]),
    "HTTP/1.0 that stays": (
        b"GET /hello/you HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [200],
    ),
}  # fmt: skip

ENDED = {
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "length and chunks": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
    ),
    "two lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "a signed length": (POST + b"Content-Length: +5\r\n\r\nhello", 400),
    "chunked is not last": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "a hidden coding": (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "bare LF": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "a chunk that is longer": (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
    "too much, by its length": (POST + b"Content-Length: 99999\r\n\r\n", 413),
    "too much, in chunks": (
        POST + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n" + b"x" * 4095 + b"\r\n0\r\n\r\n", 413,
    ),
    "a long target": (b"GET /" + b"a" * 600 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a request line without end": (b"GET /" + b"a" * 3000, 414),
    "fields without end": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 3000, 431),
    "a head that stops": (b"GET / HTTP/1.1\r\nHo", 408),
    "content that stops": (POST + b"Content-Length: 12\r\n\r\n{", 408),
    "who takes too long": (b"GET /forever HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 503),
}  # fmt: skip


@pytest.mark.parametrize("cut", ["whole", "byte by byte"])
def test_requests_are_answered_in_their_order(server, listener, cut):
    """However their bytes arrive; one connection for each case, which is there for one more."""
    for name, (sent, expected) in CASES.items():
        whole = sent + LAST
        parts = [whole] if cut == "whole" else [whole[n : n + 1] for n in range(len(whole))]
        if len(parts) > 3_000:
            continue
        answer = talk(listener, parts)
        assert [*expected, 200] == statuses(answer), name
        assert answer.endswith(b'{"hello":"end"}'), name
    assert server.poll() is None


@pytest.mark.parametrize("name", ENDED)
def test_what_cannot_be_taken_ends_the_connection(server, listener, name):
    """One answer that says so; what follows is never taken for a request."""
    sent, status = ENDED[name]
    stops = status == 408 or (len(sent) > 3_000 and not sent.endswith(b"\r\n"))
    answer = talk(listener, [sent if stops else sent + GET])
    assert [status] == statuses(answer)
    assert b"\r\nConnection: close\r\n" in answer
    assert server.poll() is None


def test_content_is_asked_for_when_it_is_needed(server, listener):
    """100 Continue, then the answer; an unknown path is answered without it."""
    head = b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nConnection: close\r\n"
    head += b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(NOTE)
    with connect(listener) as client:
        client.sendall(b"POST /notes" + head)
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == client.recv(1000)
        client.sendall(NOTE)
        assert [202] == statuses(client.recv(65536))
    assert [404] == statuses(talk(listener, [b"POST /none" + head]))


def test_metrics_tell_of_requests(server, listener):
    """By route, method and status."""
    talk(listener, [GET + LAST])
    found = talk(listener, [b"GET /-/metrics HTTP/1.0\r\n\r\n"])
    assert b'ogrom_requests_total{route="hello",method="GET",status="200"} 2' in found
    assert b"ogrom_request_duration_seconds_count 2" in found


def test_a_client_that_leaves_cancels_its_work(server, listener):
    """And another is served."""
    with connect(listener) as client:
        client.sendall(b"GET /forever HTTP/1.1\r\n" + HOST + b"\r\n")
        deadline = time.monotonic() + 20
        gauge = b"ogrom_requests_in_flight 2"  # it, and the one that asks
        while gauge not in talk(listener, [b"GET /-/metrics HTTP/1.0\r\n\r\n"]):
            assert time.monotonic() < deadline
    gone = b'status="499"} 1'
    while gone not in talk(listener, [b"GET /-/metrics HTTP/1.0\r\n\r\n"]):
        assert time.monotonic() < deadline


def test_idle_and_slow_clients_leave_others_served(server, listener):
    """A thousand who say nothing, and two hundred who never end their head."""
    with contextlib.ExitStack() as stack:
        for number in range(1_200):
            client = stack.enter_context(connect(listener))
            if number < 200:
                client.sendall(b"GET / HTTP/1.1\r\nX")
        assert [200] == statuses(talk(listener, [LAST]))
    assert server.poll() is None


def test_a_hand_over_loses_no_request(listener):
    """Three generations leave while the next has the same socket, under load from elsewhere."""
    where = f"fd:{listener.fileno()}"
    old = start(where, pass_fds=[listener.fileno()])
    load = None
    try:
        assert b"200" in talk(listener, [b"GET /-/live HTTP/1.0\r\n\r\n"])
        script = Path(__file__).parents[1] / "support" / "load.py"
        command = [sys.executable, str(script), "--port", str(listener.getsockname()[1])]
        command += ["--request", "GET /hello/you", "--request", "GET /slow", "--seconds", "60"]
        load = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert load.stdout is not None
        assert b"started\n" == load.stdout.readline()
        for _ in range(3):
            new = start(where, pass_fds=[listener.fileno()])
            time.sleep(1)
            old.send_signal(signal.SIGTERM)
            assert 0 == old.wait(timeout=40)
            old = new
        load.send_signal(signal.SIGTERM)
        out, _ = load.communicate(timeout=60)
        result = json.loads(out)
        assert 0 == result["failed"] < result["ok"], result
    finally:
        for each in (old, load):
            if each is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
                each.wait()
