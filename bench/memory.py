"""What memory the shop takes: after it has started, while it answers, and what of it is whose.

Run it as `make bench-memory`; REQUESTS= is how many are sent. The shop serves a catalogue that was
imported ($CATALOGUE, see bench/search.py), from embedded sources. Memory is what the kernel calls resident:
`RSS` with all that is mapped, `own` without the pages of files (`RssAnon`), which workers share. All code
is compiled before, as a release's is: to compile takes memory that is not given back.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from _bench import report
from search import data

ROOT = Path(__file__).resolve().parents[1]
REQUESTS = int(os.environ.get("REQUESTS", "50000"))
LOCALES = "de-DE"
SHOWN = (1, 10, 25, 50, 75, 100)

IMPORTS: Sequence[tuple[str, str]] = (
    ("Python", ""),
    ("asyncio, uvloop", "asyncio, uvloop"),
    ("msgspec", "msgspec"),
    ("ogrom.http", "ogrom.http"),
    ("ogrom.serve", "ogrom.serve"),
    ("ogrom.sources.sql", "ogrom.sources.sql"),
    ("ogrom.sources.search", "ogrom.sources.search"),
    ("ogrom.sources.http", "ogrom.sources.http"),
    ("shop.run", "shop.run"),
    ("shop.run.cli", "shop.run.cli"),
)
"""What `shop serve` imports, in an order in which each is charged with what only it brings."""

STEPS = """
import sys
from pathlib import Path
def now():
    lines = dict(x.split(":", 1) for x in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[name].split()[0]) / 1000 for name in ("VmRSS", "RssAnon")]
for name in sys.argv[1:]:
    if name:
        exec(f"import {name}")
    print(*now())
"""


def memory(pid: int) -> tuple[float, float]:
    """MB: resident, and what of it is the process's own."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    rss, own = (int(fields[name].split()[0]) / 1000 for name in ("VmRSS", "RssAnon"))
    return rss, own


def environment(folder: Path) -> dict[str, str]:
    """Python keeps what it compiles, in that folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "compiled"), "OGROM_LOCALES": LOCALES}


def imports(env: dict[str, str]) -> list[tuple[str, float, float]]:
    """What each import adds: MB, and how much of it is the process's own."""
    command = [sys.executable, "-c", STEPS, *(modules for _, modules in IMPORTS)]
    said = ""
    for _ in range(2):  # the first time it compiles
        said = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    measured = [tuple(map(float, line.split())) for line in said.splitlines()]
    before = (0.0, 0.0)
    found: list[tuple[str, float, float]] = []
    for (name, _), (rss, own) in zip(IMPORTS, measured, strict=True):
        found.append((name, rss - before[0], own - before[1]))
        before = rss, own
    return found


@contextmanager
def shop(state: Path, env: dict[str, str]) -> Generator[tuple[int, int]]:
    """The shop on that state: its process's id and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "shop.run",
        "serve",
        "--port",
        str(port),
        "--state",
        str(state),
    ]
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise SystemExit("The shop did not start: run it by hand, shop serve")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        yield process.pid, port
    finally:
        process.kill()
        process.wait()


def driven(pid: int, port: int, count: int) -> tuple[list[tuple[int, float, float]], str]:
    """Send so many requests: how many were answered, RSS and own MB, each hundredth; the statuses."""
    script = ROOT / "tests" / "support" / "shopping.py"
    command = [sys.executable, str(script), str(port), str(count)]
    samples: list[tuple[int, float, float]] = []
    statuses = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        for line in load.stdout:
            said = json.loads(line)
            samples.append((said["answered"], *memory(pid)))
            statuses = ", ".join(
                f"{number:,} × {status}" for status, number in said["statuses"].items()
            )
    if load.returncode:
        raise SystemExit("The load ended before its time.")
    return samples, statuses


def main() -> None:
    """Import, start, ask, look."""
    catalogue = data("CATALOGUE", "fashion12k.tsv")
    with TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        env = environment(Path(folder))
        parts = imports(env)
        command = [
            sys.executable,
            "-m",
            "shop.run",
            "import",
            str(catalogue),
            "--state",
            str(state),
        ]
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        with shop(state, env) as (pid, port):
            started = memory(pid)
            begun = time.perf_counter()
            samples, statuses = driven(pid, port, REQUESTS)
            seconds = time.perf_counter() - begun
    rows: list[tuple[object, ...]] = [("started", *started)]
    figures = {"started_rss_mb": started[0], "started_own_mb": started[1]}
    for percent in SHOWN:
        answered, rss, own = samples[min(percent, len(samples)) - 1]
        rows.append((f"{answered:,} requests ({percent} %)", rss, own))
        figures[f"at_{percent}_rss_mb"] = rss
        figures[f"at_{percent}_own_mb"] = own
    rows += [(f"of it import {name}", rss, own) for name, rss, own in parts]
    figures |= {f"import_{name}_rss_mb": rss for name, rss, _ in parts}
    report(
        "memory",
        f"One worker of the shop, {catalogue.name} ({statuses}; {REQUESTS / seconds:,.0f} requests/s)",
        ("", "RSS, MB", "own, MB"),
        rows,
        figures,
    )


if __name__ == "__main__":
    main()
