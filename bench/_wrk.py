"""Load by wrk: as much as is answered, or about so much a second; from a processor of its own."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from _bench import undisturbed

CONNECTIONS = 16
DEBIAN = Path(__file__).resolve().parent.parent / "tools" / "debian.py"


class Ask(NamedTuple):
    """A request that is sent over and over."""

    method: str
    path: str
    fields: Mapping[str, str] = {}
    content: str = ""

    def script(self) -> str:
        """It in wrk's Lua."""
        lines = [f"wrk.method = {_lua(self.method)}"]
        lines += [f"wrk.headers[{_lua(name)}] = {_lua(held)}" for name, held in self.fields.items()]
        lines += [f"wrk.body = {_lua(self.content)}"] if self.content else []
        return "\n".join(lines)


class Each(NamedTuple):
    """GETs of several paths, in turn."""

    paths: tuple[str, ...]
    start: int = 0
    """Which comes first, counted from 0."""

    @property
    def path(self) -> str:
        """The first of them."""
        return self.paths[self.start]

    def script(self) -> str:
        """They in wrk's Lua."""
        listed = ", ".join(map(_lua, self.paths))
        return (
            f"local paths, n = {{{listed}}}, {self.start - 1}\n"
            "function request() n = n + 1; return wrk.format('GET', paths[n % #paths + 1]) end"
        )


def _lua(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Load(NamedTuple):
    """What one run of wrk saw; p50 and p99 are in milliseconds."""

    requests: int
    rate: float
    p50: float
    p99: float
    errors: int


@cache
def program() -> str:
    """Where wrk is; unpacked from Debian's package where it is not there.

    Raises:
        SystemExit: it cannot be had.
    """
    command = [sys.executable, str(DEBIAN), "wrk", "wrk"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit("wrk makes the load: apt-get install wrk")
    return done.stdout.strip()


def load(port: int, ask: Ask | Each, *, seconds: int, rate: float | None = None) -> Load:
    """Requests for some seconds, as fast as they are answered or about `rate` a second."""
    script, connections = ask.script(), CONNECTIONS
    if rate is not None:  # each connection waits 5 to 15 ms before every request
        connections = max(1, round(rate / 100))
        script += "\nfunction delay() return math.random(5, 15) end"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + "\n")
        file.flush()
        command = [program(), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        done = subprocess.run(
            [*command, "-s", file.name, f"http://127.0.0.1:{port}{ask.path}"],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: undisturbed(max(os.sched_getaffinity(0))),
        )
    return read(done.stdout)


def read(said: str) -> Load:
    """What wrk says at its end."""
    failed = re.findall(r"(?:connect|read|write|timeout) (\d+)", said)
    return Load(
        requests=int(_found(r"(\d+) requests in", said)),
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", said)),
        p50=_milliseconds(_found(r"\n +50%\s+(\S+)", said)),
        p99=_milliseconds(_found(r"\n +99%\s+(\S+)", said)),
        errors=sum(map(int, failed)) + int(_found(r"Non-2xx or 3xx responses: (\d+)", said, "0")),
    )


def _found(pattern: str, text: str, default: str | None = None) -> str:
    found = re.search(pattern, text)
    if found is not None:
        return found[1]
    if default is None:
        raise SystemExit(f"wrk said something unexpected:\n{text}")
    return default


def _milliseconds(text: str) -> float:
    number, unit = float(text.rstrip("mush")), text.lstrip("0123456789.")
    return number * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}[unit]
