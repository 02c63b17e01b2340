"""Deploys in a row, under load: what fails, how slow it gets, and how long it takes from a commit on.

Run it as `make bench-deploy`; DEPLOYS= and ROLLBACKS= make it shorter. It clones this repository to a
folder of its own, keeps a target there by `ogrom up`, commits, and deploys by `ogrom deploy`: the shop,
with HAProxy in front and two instances. Load comes from another process all the while, on
connections that are kept and on new ones, GET and POST, slow answers (large pages) among them.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from _bench import report

ROOT = Path(__file__).resolve().parent.parent
DEPLOYS = int(os.environ.get("DEPLOYS", "20"))
ROLLBACKS = int(os.environ.get("ROLLBACKS", "5"))
OGROM = (sys.executable, "-m", "ogrom.cli")
REQUESTS = (
    "GET /v1/de-DE/products?q=rote+Kleider",
    "GET /v1/en-GB/products?per_page=100",
    "GET /v1/de-DE/products/g000007",
    'POST /v1/de-DE/products/g000007/comments {"text":"nice"}',
)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*words: str, at: Path, env: Mapping[str, str]) -> str:
    """A command's output; ends all with its words where it fails."""
    done = subprocess.run(words, cwd=at, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def commit(at: Path, env: Mapping[str, str], number: int) -> None:
    """A new commit of the shop: a file that is part of its wheel changes."""
    file = at / "shop" / "src" / "shop" / "run" / "__init__.py"
    file.write_text(
        re.sub(r"\n# commit \d+\n|$", f"\n# commit {number}\n", file.read_text(), count=1)
    )
    mine = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    run("git", *mine, "commit", "-qam", f"commit {number}", at=at, env=env)


def events(text: str) -> list[dict[str, Any]]:
    """The lines that a command printed with --json."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def main() -> None:
    """Twenty deploys, five rollbacks, and the figures."""
    with tempfile.TemporaryDirectory(prefix="ogrom-bench-") as name:
        at = Path(name) / "shop"
        env = {**os.environ, "OGROM_HOME": f"{name}/home", "OGROM_STATE": f"{name}/state"}
        run("git", "clone", "-q", "--no-hardlinks", str(ROOT), str(at), at=ROOT, env=env)
        port = free_port()
        up = subprocess.Popen(
            [*OGROM, "up", "--listen", f"127.0.0.1:{port}", "--page", f"127.0.0.1:{free_port()}"],
            cwd=at,
            env=env,
            stdout=subprocess.DEVNULL,
        )
        try:
            time.sleep(1)
            run(*OGROM, "deploy", "HEAD", at=at, env=env)
            measure(at, env, port)
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(timeout=120)


def measure(at: Path, env: Mapping[str, str], port: int) -> None:
    """With the first release live: load, then one deploy after the other."""
    load = [sys.executable, str(ROOT / "tests" / "support" / "load.py"), "--port", str(port)]
    load += [part for each in REQUESTS for part in ("--request", each)]
    load += [
        "--field",
        "Authorization: Bearer demo-anna",
        "--field",
        "Content-Type: application/json",
    ]
    traffic = subprocess.Popen(
        [*load, "--seconds", "590", "--pause", "0.02"], stdout=subprocess.PIPE, text=True
    )
    time.sleep(10)  # what it is like when nothing is deployed
    quiet = time.time()
    walls: list[float] = []
    steps: dict[str, list[float]] = {}
    for number in range(DEPLOYS):
        commit(at, env, number)
        begun = time.monotonic()
        told = events(run(*OGROM, "deploy", "HEAD", "--json", at=at, env=env))
        walls.append(time.monotonic() - begun)
        outcome = told[-1]
        for step, seconds in outcome["entry"]["steps"].items():
            steps.setdefault(step, []).append(seconds)
        print(
            f"deploy {number + 1} of {DEPLOYS}: {walls[-1]:.1f} s, {outcome['message']}", flush=True
        )
    backs: list[float] = []
    for _ in range(ROLLBACKS):
        begun = time.monotonic()
        run(*OGROM, "rollback", at=at, env=env)
        backs.append(time.monotonic() - begun)
        run(*OGROM, "deploy", "HEAD", at=at, env=env)
    traffic.send_signal(signal.SIGTERM)
    said, _ = traffic.communicate(timeout=60)
    result = json.loads(said.splitlines()[-1])
    seconds = [each for each in result["by_second"] if each["answered"]]
    before = median(each["p99"] for each in seconds if each["at"] + 1 <= quiet) * 1000
    during = median(each["p99"] for each in seconds if each["at"] > quiet) * 1000
    figures = {
        "requests": result["sent"],
        "failed": result["failed"],
        "p99_before_ms": before,
        "p99_during_ms": during,
        "p99_ratio": during / before,
        "commit_to_live_s": median(walls),
        "rollback_s": median(backs) if backs else 0.0,
    }
    figures |= {f"step_{name}_s": median(each) for name, each in steps.items()}
    rows = [[name, float(value)] for name, value in figures.items()]
    report(
        "deploy", f"{DEPLOYS} deploys and {ROLLBACKS} rollbacks under load", ["", ""], rows, figures
    )
    for failure in result["first_failures"]:
        print(f"failed: {failure}")


if __name__ == "__main__":
    main()
