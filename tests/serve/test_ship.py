"""Log lines come to a real rsyslog, through its deaths and through ours."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rsyslog

from ogrom.serve import EventIds, Shipper

WRITER = """
import sys, time
from pathlib import Path
from ogrom.serve import Shipper
ship = Shipper("127.0.0.1", int(sys.argv[1]), Path(sys.argv[2]), resend=2).start()
for number in range(5000):
    ship.put(b'{"event.id":"killed-%d"}\\n' % number)
while ship._lines:
    time.sleep(0.01)
time.sleep(0.3)
print("kept", flush=True)
time.sleep(60)
"""


@pytest.fixture
def receiver(tmp_path):
    """Not started yet."""
    try:
        rsyslog.find()
    except rsyslog.Missing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    made = rsyslog.Rsyslog(tmp_path / "rsyslog")
    yield made
    made.kill()


def ids(receiver) -> set[str]:
    """The events that have come."""
    if not receiver.lines.exists():
        return set()
    whole, _, _ = receiver.lines.read_bytes().rpartition(b"\n")  # it may be writing
    lines = whole.splitlines()
    return {json.loads(line)["event.id"] for line in lines}


def wait_for(receiver, wanted: set[str]) -> None:
    """Until all are there."""
    end = time.monotonic() + 60
    while not wanted <= ids(receiver):
        assert time.monotonic() < end, f"{len(wanted - ids(receiver))} are missing"
        time.sleep(0.1)


@pytest.mark.slow
def test_no_line_is_lost_while_the_receiver_comes_and_goes(receiver, tmp_path):
    """Down at first, killed mid-stream, and our own process killed: each event arrives."""
    writer = [sys.executable, "-c", WRITER, str(receiver.port), str(tmp_path / "spool")]
    with subprocess.Popen(writer, stdout=subprocess.PIPE) as process:  # nobody listens
        assert b"kept\n" == process.stdout.readline()
        process.kill()
    told: list[str] = []
    ship = Shipper(
        "127.0.0.1",
        receiver.port,
        tmp_path / "spool",
        resend=2,
        tell=lambda _, text: told.append(text),
    ).start()
    try:
        for number in range(15_000):
            if number == 3_000:
                receiver.start()
            elif number == 9_000:
                receiver.kill()
            elif number == 12_000:
                receiver.start()
            ship.put(b'{"event.id":"%d"}\n' % number)
            if number % 20 == 0:
                time.sleep(0.004)
        wanted = {str(n) for n in range(15_000)} | {f"killed-{n}" for n in range(5_000)}
        wait_for(receiver, wanted)
    finally:
        whole = ship.close()
    assert (True, 0, 15_000) == (whole, ship.dropped, ship.taken)
    assert any("is away" in text for text in told)
    assert not list((tmp_path / "spool").iterdir())


def test_past_the_limit_lines_are_dropped_and_counted(tmp_path):
    """What came first is kept; whoever runs it is told."""
    told: list[str] = []
    ship = Shipper(
        "127.0.0.1", 9, tmp_path, most=1000, patience=0.2, tell=lambda _, text: told.append(text)
    ).start()
    for _ in range(30):
        ship.put(b"x" * 99 + b"\n")
        time.sleep(0.06 if _ % 3 == 0 else 0)
    end = time.monotonic() + 20
    while not any("dropped" in text for text in told) and time.monotonic() < end:
        time.sleep(0.02)
    assert not ship.close()
    assert 0 < ship.dropped <= 30
    assert 1000 >= ship.spooled
    assert any("dropped" in text for text in told)


@pytest.mark.slow
def test_what_is_missing_is_what_was_counted(receiver, tmp_path):
    """Past the limit while nobody listens: of all lines put, those that do not arrive are the dropped."""
    many = 5_000
    ship = Shipper("127.0.0.1", receiver.port, tmp_path / "spool", most=60_000, resend=1).start()
    for number in range(many):
        ship.put(b'{"event.id":"%d"}\n' % number)
        if number % 100 == 0:
            time.sleep(0.01)
    end = time.monotonic() + 30
    while not ship.dropped or ship._lines:
        assert time.monotonic() < end
        time.sleep(0.05)
    receiver.start()
    while ship.spooled:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert ship.close()
    wait_for(receiver, {"0"})
    assert many - ship.dropped == len(ids(receiver))
    assert 0 < ship.dropped < many
    assert ship.taken == many


def test_every_line_gets_an_id_of_its_own():
    """Also where several come at once."""
    lines = EventIds()(b'{"a":1}\n{"a":2}\n').splitlines()
    assert 2 == len({json.loads(line)["event.id"] for line in lines})


def test_what_was_sent_and_not_read_is_sent_again(tmp_path):
    """The first connection is taken, never read, and reset; the second gets all of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        ship = Shipper("127.0.0.1", server.getsockname()[1], tmp_path, resend=5).start()
        wanted = [b'{"event.id":"%d"}\n' % number for number in range(500)]
        for line in wanted:
            ship.put(line)
        first, _ = server.accept()
        with first:
            end = time.monotonic() + 30
            while ship.spooled < sum(map(len, wanted)) and time.monotonic() < end:
                time.sleep(0.01)
            first.settimeout(30)
            assert first.recv(1, socket.MSG_PEEK)
        second, _ = server.accept()
        with second, second.makefile("rb") as lines:
            second.settimeout(30)
            assert wanted == [lines.readline() for _ in wanted]
        ship.close()
    assert ship.resent > 0


SENDER = """
import sys
from pathlib import Path
from ogrom.serve import Shipper
name, port, folder, many = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
ship = Shipper("127.0.0.1", port, folder, resend=2).start()
for number in range(many):
    ship.put(b'{"event.id":"%s-%d"}\\n' % (name.encode(), number))
print("put", flush=True)
sys.stdin.readline()
print(ship.close(), flush=True)
"""
"""An instance of a service that logs a little, and ends when it is told to."""


def sender(name: str, port: int, folder: Path, many: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", SENDER, name, str(port), str(folder), str(many)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"put\n"
    return process


@pytest.mark.slow
def test_two_instances_share_a_folder(receiver, tmp_path):
    """Neither touches the other's lines while it lives. One that is killed leaves its lines to the
    other, which sends them without being started again, or losing its connection. Nothing is left.
    """
    receiver.start()
    folder = tmp_path / "spool"
    first = sender("first", receiver.port, folder, 2_000)
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as mute:  # it takes the connection, and reads nothing
        second = sender("second", mute.getsockname()[1], folder, 2_000)
        first_ids = {f"first-{n}" for n in range(2_000)}
        wait_for(receiver, first_ids)
        assert first_ids == ids(receiver)
        end = time.monotonic() + 30
        while b"second-1999" not in b"".join(each.read_bytes() for each in folder.rglob("*.log")):
            assert time.monotonic() < end
            time.sleep(0.05)
        second.kill()
        second.communicate()
    wait_for(receiver, first_ids | {f"second-{n}" for n in range(2_000)})
    said, _ = first.communicate(b"\n", timeout=60)
    assert b"True\n" == said
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_a_receiver_that_is_frozen(receiver, tmp_path):
    """The connection is open, and nothing is read: no line is lost, whoever logs does not wait, and it
    is told once more is on its way than the receiver's machine takes; then all arrives.
    """
    receiver.start()
    ship = Shipper("127.0.0.1", receiver.port, tmp_path / "spool", resend=2, tick=0.01).start()
    pid = receiver.pid()
    many = 60_000
    try:
        ship.put(b'{"event.id":"0"}\n')
        wait_for(receiver, {"0"})
        os.kill(pid, signal.SIGSTOP)
        longest = 0.0
        for number in range(1, many):
            began = time.perf_counter()
            ship.put(b'{"event.id":"%d","message":"%s"}\n' % (number, b"x" * 200))
            longest = max(longest, time.perf_counter() - began)
            if number % 200 == 0:
                time.sleep(0.01)
        end = time.monotonic() + 60
        while not ship.stuck:
            assert time.monotonic() < end
            time.sleep(0.1)
        with pytest.raises(ConnectionError, match="takes nothing"):
            asyncio.run(ship.check())
        os.kill(pid, signal.SIGCONT)
        wait_for(receiver, {str(number) for number in range(many)})
        assert "connected" in asyncio.run(ship.check())
    finally:
        os.kill(pid, signal.SIGCONT)
        whole = ship.close()
    assert (True, 0, 1) == (whole, ship.dropped, ship.connections)
    print(f"the longest put: {longest * 1e6:.0f} µs")
