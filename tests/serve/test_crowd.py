"""Thousands of connections at once, most of which mean no good, and a stop in the middle of work."""

import contextlib
import resource
import selectors
import signal
import socket
import subprocess
import threading
import time

import pytest
from support.wire import Served, answers, echo, request, until_end

pytestmark = pytest.mark.slow

IDLE, LORISES, WANTED = 5_000, 500, 6_000
HEAD_SECONDS, IDLE_SECONDS = 5, 15
LATE = 60
"""For so many seconds a busy machine may be late."""


@pytest.fixture
def descriptors():
    """As many open files as this takes, here and in the server that inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < WANTED:
        pytest.skip(f"at most {hard} files may be open here, and {WANTED} are wanted: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, WANTED), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Regular(threading.Thread):
    """Somebody who asks for something again and again, now on a new connection, now on the old one."""

    def __init__(self, server: Served) -> None:
        super().__init__()
        self.server, self.over = server, threading.Event()
        self.statuses: list[int] = []
        self.slowest = 0.0

    def run(self) -> None:
        """Until it is over."""
        while not self.over.wait(0.01):
            begun = time.monotonic()
            try:
                found = self.server.ask(request("/echo/a") * 3)
            except (OSError, AssertionError):
                self.statuses.append(0)
                continue
            self.statuses += [each.status for each in found]
            self.slowest = max(self.slowest, time.monotonic() - begun)


def test_a_crowd_of_idle_and_slow_clients_leaves_others_served(descriptors):
    """5,000 who have heard their answer and 500 who send a byte a second: the latter are cut off when
    their head has taken too long, the former when they have idled too long, and not before.
    """
    limits = {"head_seconds": HEAD_SECONDS, "idle_seconds": IDLE_SECONDS}
    with echo(limits=limits) as server, contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        regular = Regular(server)
        regular.start()
        stack.callback(regular.join)
        stack.callback(regular.over.set)
        begun: dict[socket.socket, float] = {}
        lorises: list[socket.socket] = []
        for number in range(IDLE + LORISES):
            before = time.monotonic()
            client = stack.enter_context(server.connect())
            begun[client] = before
            if number < IDLE:
                client.sendall(request("/echo/a"))
                assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            else:
                lorises.append(client)
                client.sendall(b"GET /echo/a HTTP/1.1\r\nX: ")
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
        seconds: dict[socket.socket, float] = {}
        said = dict.fromkeys(lorises, b"")
        last = time.monotonic()
        end = last + IDLE_SECONDS + LATE
        while len(seconds) < len(begun):
            now = time.monotonic()
            assert now < end, f"{len(begun) - len(seconds)} were never closed"
            if now - last >= 1:
                last = now
                for each in lorises:
                    if each not in seconds:
                        with contextlib.suppress(OSError):
                            each.send(b"y")
            for key, _ in selector.select(0.2):
                client = key.fileobj
                assert isinstance(client, socket.socket)
                try:
                    data = client.recv(4096)
                except ConnectionResetError:
                    data = b""
                if client in said:
                    said[client] += data
                if not data:
                    seconds[client] = time.monotonic() - begun[client]
                    selector.unregister(client)
        regular.over.set()
        regular.join()
        assert {200} == set(regular.statuses)
        assert len(regular.statuses) > 30
        cut = [seconds[each] for each in lorises]
        idled = [took for each, took in seconds.items() if each not in said]
        assert HEAD_SECONDS <= min(cut) <= max(cut) < HEAD_SECONDS + LATE
        assert IDLE_SECONDS <= min(idled) <= max(idled) < IDLE_SECONDS + LATE
        assert all([408] == [each.status for each in answers(found)] for found in said.values())
        print(
            f"\n{len(regular.statuses):,} requests answered, the slowest 3 in {regular.slowest:.3f} s;"
            f" cut after {min(cut):.1f} to {max(cut):.1f} s, idle for {min(idled):.1f} to {max(idled):.1f} s"
        )


@contextlib.contextmanager
def served(kind, tmp_path, **limits):
    """A server that listens in one of the three ways."""
    if kind == "unix":
        where = f"unix:{tmp_path}/s"
    elif kind == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as probe:
            where = f"127.0.0.1:{probe.getsockname()[1]}"
    else:
        where = ""
    with echo(where=where, limits=limits) as server:
        yield server


WAYS = ["unix", "tcp", "inherited"]


@contextlib.contextmanager
def in_flight(server, target):
    """A connection with a request that is being answered."""
    with server.connect() as client:
        client.sendall(request(target))
        deadline = time.monotonic() + 30
        while "ogrom_requests_in_flight 2" not in server.metrics():  # it, and the one that asks
            assert time.monotonic() < deadline
        yield client


@pytest.mark.parametrize("kind", WAYS)
def test_a_stop_answers_what_is_in_flight(kind, tmp_path):
    """And tells each client that its connection ends; an idle one is closed; the end is a good one."""
    with served(kind, tmp_path) as server, server.connect() as idle:
        idle.sendall(request("/echo/a"))
        assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        with in_flight(server, "/wait/3000") as client:
            server.process.send_signal(signal.SIGTERM)
            if kind != "inherited":  # another has that socket, and takes what comes
                late = server.ask(request("/-/ready"))[0]
                while late.status == 200:  # until it has heard of it
                    late = server.ask(request("/-/ready"))[0]
                assert (503, True) == (late.status, late.ends)
            found = answers(until_end(client))
        assert [(200, True)] == [(each.status, each.ends) for each in found]
        assert b"" == until_end(idle)
        assert 0 == server.process.wait(timeout=30)


@pytest.mark.parametrize("kind", WAYS)
def test_a_second_signal_ends_it_at_once(kind, tmp_path):
    """Who waits is cut off."""
    with served(kind, tmp_path) as server, in_flight(server, "/wait/600000") as client:
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.5)
        server.process.send_signal(signal.SIGTERM)
        assert 0 == server.process.wait(timeout=25), "it would have waited for 30 s"
        assert b"" == until_end(client)


@pytest.mark.parametrize("kind", WAYS)
def test_a_stop_waits_for_so_long_and_no_longer(kind, tmp_path):
    """`drain_seconds`."""
    with (
        served(kind, tmp_path, drain_seconds=1) as server,
        in_flight(server, "/wait/600000") as client,
    ):
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert 0 == server.process.wait(timeout=25)
        assert time.monotonic() - begun >= 1
        assert b"" == until_end(client)


def test_a_stop_cuts_off_who_does_not_read(tmp_path):
    """After `drain_seconds` too."""
    with served("unix", tmp_path, drain_seconds=1) as server, server.connect() as client:
        client.sendall(request(f"/many/{8 << 20}") * 3)
        assert client.recv(1)
        server.process.send_signal(signal.SIGTERM)
        assert 0 == server.process.wait(timeout=25)
