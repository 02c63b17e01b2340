"""One OpenSearch node on this machine, for tests and for `make run`: `start`, `stop`, `status`.

What is fetched for it, and which engine it is in truth, engines.py says. It listens on a free port of
the loopback address alone, without a password. `start` prints its URL.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import engines
import local
from engines import CACHE, CannotStart, Missing

__all__ = ["CannotStart", "Missing", "Node", "jars"]

jars = engines.fetch

PATIENCE = 120.0
PORTS = range(9201, 9300)
"""The runner takes none beyond these."""


class Node:
    """A node that we started in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state = folder / "node.json"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> tuple[int, str] | None:
        """Its process and its URL; None where it does not run."""
        pid, url = self._told()
        return (pid, url) if self._runs(pid) else None

    def _told(self) -> tuple[int, str]:
        try:
            told = json.loads(self._state.read_text())
        except (OSError, ValueError):
            return 0, ""
        return told["pid"], told["url"]

    def _runs(self, pid: int) -> bool:
        # A number may be another's by now.
        return any(Path(one).is_relative_to(self.folder) for one in local.command(pid))

    def start(self, port: int | None = None) -> str:
        """Its URL once it answers: at this port, the one that it had, or a free one.

        Raises:
            CannotStart: it cannot be had, or what it said last.
        """
        if running := self.state:
            return running[1]
        before = int(self._told()[1].rpartition(":")[2] or 0)
        port = port or (before if before and local.is_free(before) else _free_port())
        command = engines.command(self.folder, port)
        log = self.folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._child = process
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.poll() is None:
            # Where the port was taken in the meantime the runner goes on to the next.
            said = re.search(r"HttpServerTransport.*address \{([^}]+)\}", log.read_text("utf-8"))
            if said and _ready(f"http://{said[1]}"):
                url = f"http://{said[1]}"
                self._state.write_text(json.dumps({"pid": process.pid, "url": url}))
                return url
            time.sleep(0.1)
        if process.poll() is None:
            process.kill()
        process.wait()
        raise CannotStart(f"It did not start. It said:\n{log.read_text('utf-8')[-2000:]}")

    def stop(self) -> None:
        """End it, if it runs, by its process's number and no other way."""
        if running := self.state:
            os.kill(running[0], signal.SIGCONT)
            os.kill(running[0], signal.SIGTERM)
            for _ in range(400):
                if not self._runs(running[0]):
                    break
                time.sleep(0.05)
            else:
                os.kill(running[0], signal.SIGKILL)
        if self._child is not None:
            self._child.wait()


def _free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        if local.is_free(port):
            return port
    raise CannotStart(f"No port from {PORTS[0]} to {PORTS[-1]} is free.")


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_cluster/health", timeout=5) as answer:
            health = json.load(answer)
    except (OSError, ValueError):
        return False
    is_whole: bool = health["number_of_nodes"] >= engines.nodes()
    return is_whole and health["status"] in ("green", "yellow")


def main() -> None:
    """Do as the first argument says."""
    node = Node(CACHE / "node")
    match sys.argv[1:]:
        case ["start"]:
            try:
                print(node.start())
            except CannotStart as error:
                print(f"OpenSearch: {error}", file=sys.stderr)
                sys.exit(3 if isinstance(error, Missing) else 1)
        case ["stop"]:
            node.stop()
        case ["status"]:
            running = node.state
            print(f"{running[1]} (process {running[0]})" if running else "OpenSearch does not run.")
            sys.exit(0 if running else 1)
        case _:
            sys.exit("start, stop or status?")


if __name__ == "__main__":
    main()
