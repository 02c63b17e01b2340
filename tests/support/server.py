"""A real server in a process of its own, on a free port of this machine."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Server:
    """A running shop, and how to reach and end it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    def kill(self) -> None:
        """As the power does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As a deployment does; the exit status."""
        self.process.terminate()
        return self.process.wait(timeout=60)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def shop_server(state: Path, **env: str) -> Iterator[Server]:
    """`shop serve` on that state folder; ended, if it still runs, when the block is left."""
    port = free_port()
    log = state.parent / f"{state.name}-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "shop.run", "serve", "--port", str(port), "--state", str(state)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OGROM_PRODUCTS": "60", "OGROM_RELEASE": "abc1234", **env},
        )
    server = Server(process, port, log)
    try:
        _wait(server)
        yield server
    finally:
        if process.poll() is None:
            server.kill()


def _wait(server: Server) -> None:
    end = time.monotonic() + 120  # on a busy machine; none waits longer than it has to
    while time.monotonic() < end and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/-/ready", timeout=5) as answer:
                answer.read()
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{server.log.read_text()}")
