"""Ogrom beside its peers over HTTP: what a request costs, how fast it is answered, and how rightly.

Run it as `make bench-servers`; ROUNDS=, SECONDS= (of each measurement) and PEERS= (comma-separated) make
it shorter. Every server has one worker on one processor, wrk the other one; in each round the
servers take turns, so that a busy machine slows all of them. What is reported is the median of the
rounds. CPU time is the server's own, all its threads and processes, as the kernel counts it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from _bench import RESULTS, report
from _further import FURTHER
from _questions import QUESTIONS, asked

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = int(os.environ.get("SECONDS", "3"))
CONNECTIONS = 16


class Peer(NamedTuple):
    """A server, and how it is started: a file of `peers/` with its arguments after the port."""

    name: str
    file: str
    arguments: tuple[str, ...] = ()
    ours: bool = False


def on(server: str, module: str) -> Peer:
    """An ASGI or RSGI application on a server of its own choice."""
    name = module.removesuffix("_app").replace("_raw", " with nothing on it")
    return Peer(f"{name}, {server}", "run_asgi.py", (module, server))


PEERS = (
    Peer("ceiling: constant bytes, uvloop and httptools", "ceiling.py", ours=True),
    Peer("ogrom", "ogrom_app.py", ours=True),
    on("uvicorn", "asgi_raw"),
    on("granian", "rsgi_raw"),
    on("granian", "blacksheep_app"),
    on("granian", "starlette_app"),
    on("uvicorn", "falcon_app"),
    Peer("aiohttp", "aiohttp_app.py"),
    Peer("sanic", "sanic_app.py"),
    Peer("robyn", "robyn_app.py"),
    on("uvicorn", "litestar_app"),
    on("uvicorn", "fastapi_app"),
)
CEILING, OGROM = PEERS[0].name, PEERS[1].name

PRODUCT = "/products/g000007"
CASES = {
    "GET": (PRODUCT, ""),
    "304": (PRODUCT, "wrk.headers['If-None-Match'] = '\"rg000007\"'"),
    "search": ("/products?q=rot", ""),
    "POST": (
        f"{PRODUCT}/comments",
        """wrk.method = "POST"; wrk.body = '{"text":"nice","stars":3}'
        wrk.headers["Content-Type"] = "application/json"
        """,
    ),
}


class Load(NamedTuple):
    """What one run of wrk saw."""

    requests: int
    rate: float
    p50: float
    p99: float
    errors: int


class Running:
    """A server that runs: its processes are those of its session."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, started: float) -> None:
        self.process = process
        self.port = port
        self.started = started

    def processes(self) -> Iterator[int]:
        """The process and all that it has started."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
                except (OSError, IndexError):
                    continue
                if session == self.process.pid:
                    yield int(entry.name)

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        ticks = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICK

    def memory(self) -> float:
        """Resident MB, of all its processes."""
        return sum(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6
            for pid in self.processes()
        )


@contextmanager
def running(peer: Peer) -> Generator[Running]:
    """The peer on a free port, from its first answer on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    python = sys.executable if peer.ours else str(PEERS_PYTHON)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [python, str(HERE / "peers" / peer.file), str(port), *peer.arguments],
        cwd=HERE / "peers",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),
    )
    try:
        _wait(process, port, peer)
        yield Running(process, port, time.perf_counter() - begun)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, peer: Peer) -> None:
    for _ in range(1500):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{PRODUCT}", timeout=2) as answer:
                answer.read()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
    raise SystemExit(
        f"{peer.name} did not start: run it by hand, python bench/peers/{peer.file} 9000"
    )


def load(port: int, case: str, *, seconds: int = SECONDS, rate: float | None = None) -> Load:
    """Requests by wrk, as fast as they are answered or about `rate` a second."""
    path, script = CASES[case]
    connections = CONNECTIONS
    if rate is not None:  # each connection waits 5 to 15 ms before every request
        connections = max(1, round(rate / 100))
        script += "\nfunction delay() return math.random(5, 15) end"
    file = RESULTS / "wrk.lua"
    file.write_text(script + "\n")
    done = subprocess.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(file)),
            f"http://127.0.0.1:{port}{path}",
        ],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}),
    ).stdout
    return Load(
        requests=int(_found(r"(\d+) requests in", done)),
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", done)),
        p50=_milliseconds(_found(r"50%\s+(\S+)", done)),
        p99=_milliseconds(_found(r"99%\s+(\S+)", done)),
        errors=sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", done)))
        + int(_found(r"Non-2xx or 3xx responses: (\d+)", done, "0")),
    )


def _found(pattern: str, text: str, default: str | None = None) -> str:
    found = re.search(pattern, text)
    if found is None:
        if default is None:
            raise SystemExit(f"wrk said something unexpected:\n{text}")
        return default
    return found[1]


def _milliseconds(text: str) -> float:
    number, unit = float(text.rstrip("mus")), text.lstrip("0123456789.")
    return number * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[unit]


Figures = dict[str, list[float]]


def measure(peer: Peer, figures: Figures) -> None:
    """One round of one peer, added to its figures."""
    with running(peer) as server:
        figures.setdefault("start_s", []).append(server.started)
        load(server.port, "GET", seconds=1)  # warm
        best = 0.0
        for case in CASES:
            before = server.cpu()
            seen = load(server.port, case)
            figures.setdefault(f"{case}_us", []).append(
                (server.cpu() - before) / max(1, seen.requests) * 1e6
            )
            figures.setdefault(f"{case}_errors", []).append(seen.errors)
            if case == "GET":
                best = seen.rate
                figures.setdefault("rate", []).append(seen.rate)
        half = load(server.port, "GET", rate=best / 2)
        figures.setdefault("p50_half_ms", []).append(half.p50)
        figures.setdefault("p99_half_ms", []).append(half.p99)
        figures.setdefault("memory_mb", []).append(server.memory())


def questions(peer: Peer) -> tuple[dict[str, bool], dict[str, bool]]:
    """What it answers rightly, of the 28 questions and of the further ones."""
    if peer.name == CEILING:
        return {}, {}
    with running(peer) as server:
        return asked(server.port, QUESTIONS), asked(server.port, FURTHER)


def chosen() -> Sequence[Peer]:
    """All peers, or those that PEERS names by a part of their name; the ceiling and Ogrom always."""
    wanted = [each for each in os.environ.get("PEERS", "").split(",") if each]
    return [
        peer
        for peer in PEERS
        if peer.ours or not wanted or any(each in peer.name for each in wanted)
    ]


def main() -> None:
    """All peers in turn, so many rounds; then the table, and what it says of Ogrom."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk makes the load: apt-get install wrk")
    RESULTS.mkdir(exist_ok=True)
    peers = chosen()
    figures: dict[str, Figures] = {peer.name: {} for peer in peers}
    right = {peer.name: questions(peer) for peer in peers}
    for number in range(ROUNDS):
        for peer in peers:
            print(f"round {number + 1} of {ROUNDS}: {peer.name}", file=sys.stderr, flush=True)
            measure(peer, figures[peer.name])
    medians = {
        name: {key: median(values) for key, values in each.items()}
        for name, each in figures.items()
    }
    show(medians, right)


def show(
    medians: dict[str, dict[str, float]], right: dict[str, tuple[dict[str, bool], dict[str, bool]]]
) -> None:
    """Prints the table and the ratios, and writes the figures."""
    columns = [
        "CPU µs a request", *CASES, "requests/s", "p50 at half, ms", "p99 at half, ms",
        "memory, MB", "start, s", f"right of {len(QUESTIONS)}", f"of {len(FURTHER)} more", "errors",
    ]  # fmt: skip
    rows: list[list[object]] = []
    for name, each in sorted(medians.items(), key=lambda pair: pair[1]["GET_us"]):
        counts = [sum(answers.values()) if answers else "" for answers in right[name]]
        rows.append(
            [
                name,
                *(f"{each[f'{case}_us']:.1f}" for case in CASES),
                f"{each['rate']:,.0f}",
                f"{each['p50_half_ms']:.2f}",
                f"{each['p99_half_ms']:.2f}",
                f"{each['memory_mb']:.0f}",
                f"{each['start_s']:.2f}",
                *counts,
                f"{sum(each[f'{case}_errors'] for case in CASES):.0f}",
            ]
        )
    flat = {
        f"{name}: {key}": value for name, each in medians.items() for key, value in each.items()
    }
    report("servers", "Servers and frameworks, one worker each", columns, rows, flat)
    ours = medians[OGROM]
    for name, each in medians.items():
        if name != OGROM:
            ratios = ", ".join(
                f"{case} {ours[f'{case}_us'] / each[f'{case}_us']:.2f}" for case in CASES
            )
            print(f"Ogrom's CPU per request by that of {name}: {ratios}")
    for text, good in (right[OGROM][0] | right[OGROM][1]).items():
        if not good:
            print(f"Ogrom answers wrongly: {text}")


if __name__ == "__main__":
    main()
