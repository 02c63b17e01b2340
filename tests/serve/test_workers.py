"""Several processes on one socket: real ones, that are killed, told to end, and left alone."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WORKING = Path(__file__).parent / "working.py"


class Place:
    """Where workers are asked."""

    def __init__(self, address):
        self.address = address

    def ask(self, path, *, wait=30.0):
        """What comes back for one request on a connection of its own."""
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        with socket.socket(family) as client:
            client.settimeout(wait)
            client.connect(self.address)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            found = b""
            while data := client.recv(65536):
                found += data
        return found.partition(b"\r\n\r\n")[2]

    def pids(self):
        """The workers, by asking until all have answered; each asks nothing of the others."""
        metrics = self.ask("/-/metrics").decode()
        up = re.findall(r'ogrom_worker_up\{worker="(\d)"\} 1', metrics)
        found = set()
        end = time.monotonic() + 60
        while len(found) < len(up):
            assert time.monotonic() < end, (found, up)
            found.update(each for each in self._some() if each)
        return found

    def _some(self):
        found = []

        def one():
            with suppress(OSError, ValueError):
                found.append(int(self.ask("/slow")))

        several = [threading.Thread(target=one) for _ in range(12)]
        for each in several:
            each.start()
        for each in several:
            each.join()
        return found


def until(condition, *, seconds=60):
    """Wait for it, for as long as a busy machine may take."""
    end = time.monotonic() + seconds
    while True:
        with suppress(OSError, ValueError):
            if condition():
                return
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def workers(count, where=None, *more, fd=None):
    """A parent with its workers, all up: how to reach them, and the parent's process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    if fd is not None:
        address = fd.getsockname()
    elif where is not None:
        address = where.removeprefix("unix:")
    command = [sys.executable, str(WORKING), where or f"127.0.0.1:{address[1]}", str(count), *more]
    process = subprocess.Popen(
        command, pass_fds=[fd.fileno()] if fd else [], stderr=subprocess.PIPE, text=True
    )
    place = Place(address)
    try:
        if "broken" not in more:
            up = b'ogrom_worker_up{worker="%d"} 1'
            until(lambda: all(up % n in place.ask("/-/metrics") for n in range(1, count + 1)))
        yield place, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
        process.stderr.close()


def gone(pid):
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_worker_that_is_killed_is_started_again():
    """The others serve on meanwhile; the parent says what it did. SIGTERM ends all of them."""
    with workers(2) as (place, parent):
        before = place.pids()
        assert len(before) == 2
        assert parent.pid not in before
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        until(lambda: gone(victim))
        assert int(place.ask("/pid")) not in {victim, parent.pid}
        until(lambda: b'up{worker="1"} 1' in (m := place.ask("/-/metrics")) and b'"2"} 1' in m)
        after = place.pids()
        assert len(after) == 2
        assert len(before & after) == 1
        parent.send_signal(signal.SIGTERM)
        _, said = parent.communicate(timeout=60)
        assert 0 == parent.returncode
        assert "by signal 9; it is started again" in said
        until(lambda: all(map(gone, after)))
        with pytest.raises(ConnectionRefusedError):
            place.ask("/pid")


def test_metrics_are_those_of_all():
    """Each sample with its worker, whoever is asked; all requests are in them."""
    with workers(2) as (place, _):
        for _ in range(40):
            place.ask("/pid")
        counts = [
            sum(
                map(
                    int,
                    re.findall(r'ogrom_requests_total\{worker="\d",route="pid".*\} (\d+)', text),
                )
            )
            for text in (place.ask("/-/metrics").decode() for _ in range(4))
        ]
        assert [40] * 4 == counts
        assert 1 == place.ask("/-/metrics").count(b"# TYPE ogrom_requests_total")
        assert json.loads(place.ask("/-/ready"))["worker"] in {1, 2}


def test_what_is_in_flight_is_answered(tmp_path):
    """On a Unix socket; a request that takes its second gets its answer after SIGTERM."""
    with workers(2, f"unix:{tmp_path}/s") as (place, parent):
        answers = []
        slow = [
            threading.Thread(target=lambda: answers.append(place.ask("/slow"))) for _ in range(6)
        ]
        for each in slow:
            each.start()
        until(lambda: _in_flight(place) >= 6)
        parent.send_signal(signal.SIGTERM)
        for each in slow:
            each.join()
        assert 0 == parent.wait(timeout=60)
        assert all(int(each) > 0 for each in answers)
        assert len(answers) == 6


def _in_flight(place):
    found = re.findall(r"ogrom_requests_in_flight\{.*\} (\d+)", place.ask("/-/metrics").decode())
    return sum(map(int, found)) - 1  # the question itself


def test_a_second_signal_ends_it_at_once():
    """Though a request would take ten minutes."""
    with workers(2) as (place, parent), socket.create_connection(place.address) as client:
        client.sendall(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: _in_flight(place) >= 1)
        parent.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert parent.poll() is None
        parent.send_signal(signal.SIGTERM)
        assert 0 == parent.wait(timeout=30)


def test_workers_whose_parent_is_killed_end_too():
    """They answer what they have, and leave nobody on the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        with workers(2, f"fd:{listener.fileno()}", fd=listener) as (place, parent):
            found = place.pids()
            parent.kill()
            parent.wait()
            until(lambda: all(map(gone, found)))


def test_what_cannot_start_is_not_tried_for_ever():
    """The parent ends with the worker's status, and says so."""
    with workers(2, None, "broken") as (_, parent):
        _, said = parent.communicate(timeout=60)
        assert 1 == parent.returncode
        assert "before any had served" in said
        assert "no such source" in said
