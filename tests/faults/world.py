"""The shop on a real MariaDB or MySQL, OpenSearch, identity API and rsyslog, each of which can be broken."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import opensearch
import pytest
import rsyslog
from opensearch import Node
from support.database import Missing, Server, fresh
from support.server import free_port

ROOT = Path(__file__).parents[2]
IDENTITY = ROOT / "tests" / "support" / "identity.py"
SECRET = "demo-secret"
RELEASE = "abc1234"


class Identity:
    """The identity API as a process of its own, with a switch."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is well."""
        self._process = subprocess.Popen(
            [sys.executable, str(IDENTITY), str(self.port)],
            env=dict(os.environ),
            stderr=subprocess.DEVNULL,  # it complains of clients that do not wait for it
        )
        until(lambda: self.switch("ok"))

    def switch(self, mode: str) -> bool:
        """Make it slow, garbage, failing, or well again."""
        ask = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/control?mode={mode}", method="POST"
        )
        with suppress(OSError), urllib.request.urlopen(ask, timeout=5):
            return True
        return False

    def kill(self) -> None:
        """As the power does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class World:
    """The four services, and the shop on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Server(folder / "database")
        self.node = Node(folder / "opensearch")
        self.identity = Identity()
        self.receiver = rsyslog.Rsyslog(folder / "rsyslog")
        self.db_url = ""
        self.search_url = ""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.stdout = folder / "stdout.jsonl"
        self.stderr = folder / "stderr.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the services."""
        self.database.start(tls=False)
        self.db_url = fresh(self.database.url())
        self.search_url = f"{self.node.start()}/faults"
        self.identity.start()
        self.receiver.start()

    def serve(self, *, products: int = 1_000) -> None:
        """Start the shop, and wait until it listens."""
        env = {
            **os.environ,
            "OGROM_DB": self.db_url,
            "OGROM_DEMO": "1",
            "OGROM_SEARCH": self.search_url,
            "OGROM_PRODUCTS": str(products),
            "OGROM_LOCALES": "de-DE",
            "OGROM_USERS": self.identity.url,
            "OGROM_USERS_TOKEN": SECRET,
            "OGROM_LOGSTASH": f"tcp://127.0.0.1:{self.receiver.port}",
            "OGROM_RELEASE": RELEASE,
        }
        state = self.folder / "state"
        command = [sys.executable, "-m", "shop.run", "serve", "--port", str(self.port)]
        with self.stdout.open("ab") as out, self.stderr.open("ab") as err:
            self.process = subprocess.Popen(
                [*command, "--state", str(state)], stdout=out, stderr=err, env=env
            )

        def listens() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.stderr.read_text()
            with suppress(OSError):
                self.ready()
                return True
            return False

        until(listens, 90)

    def stop(self) -> None:
        """End everything, however it may be."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.identity.kill()
        if self.receiver.pid() is not None:
            self.signal_receiver(signal.SIGCONT)
        self.receiver.kill()
        self.node.stop()
        self.database.stop()

    def ready(self) -> dict[str, object]:
        """What `/-/ready` says."""
        with urllib.request.urlopen(f"{self.url}/-/ready", timeout=15) as answer:
            return json.load(answer)

    def figures(self) -> dict[str, float]:
        """What `/-/metrics` says, by name and labels."""
        with urllib.request.urlopen(f"{self.url}/-/metrics", timeout=15) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def megabytes(self) -> float:
        """How much memory the shop has."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024

    # What breaks and mends.

    def signal_database(self, number: signal.Signals) -> None:
        os.kill(self.database.pid(), number)

    def kill_database(self) -> None:
        self.signal_database(signal.SIGKILL)
        self.database._child.wait()

    def signal_node(self, number: signal.Signals) -> None:
        os.kill(self.node.state[0], number)

    def kill_node(self) -> None:
        self.signal_node(signal.SIGKILL)
        self.node.stop()

    def start_node(self) -> None:
        self.node.start(int(self.search_url.rpartition(":")[2].partition("/")[0]))

    def signal_receiver(self, number: signal.Signals) -> None:
        os.kill(self.receiver.pid(), number)

    # What came of it.

    def logged(self) -> tuple[dict[str, set[str]], int]:
        """The event ids of each request's lines, and how many lines those are, at the receiver."""
        found: dict[str, set[str]] = {}
        count = 0
        if self.receiver.lines.exists():
            for line in self.receiver.lines.read_bytes().splitlines():
                with suppress(ValueError):  # cut off by a kill
                    fields = json.loads(line)
                    if "http.request.id" in fields:
                        count += 1
                        found.setdefault(fields["http.request.id"], set()).add(fields["event.id"])
        return found, count

    def all_logs(self) -> Iterator[Path]:
        """Every file that somebody might read."""
        yield from (self.stdout, self.stderr, self.receiver.lines, self.receiver.bad)
        yield from (self.folder / "state" / "log").rglob("*.log")


def until(so: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@contextmanager
def a_world(folder: Path) -> Iterator[World]:
    """The services, started; where a program is missing the test is skipped, by CI it fails."""
    world = World(folder)
    with ExitStack() as ending:
        ending.callback(world.stop)
        try:
            rsyslog.find()
            world.start()
        except (Missing, opensearch.Missing, rsyslog.Missing) as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"faults: {error}")
        yield world
