"""A peer as a process: started on one processor, waited for, measured by the kernel's own counts, ended."""

import os
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

from _bench import undisturbed

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 60  # seconds for a peer to answer for the first time


class Running:
    """A server that runs: its processes are those of its session.

    Args:
        process: its first one.
        port: where it listens.
        started: how many seconds it took until it first answered.
    """

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
def running(file: str, arguments: Sequence[str], first: str, *, ours: bool) -> Generator[Running]:
    """A peer on a free port, from its first answer on.

    Args:
        file: of `peers/`.
        arguments: what it gets after the port.
        first: the path that it is asked for until it answers.
        ours: whether it runs in our own venv and not in that of the peers.

    Raises:
        SystemExit: it did not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    python = sys.executable if ours else str(PEERS_PYTHON)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [python, str(HERE / "peers" / file), str(port), *arguments],
        cwd=HERE / "peers",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: undisturbed(min(os.sched_getaffinity(0))),
    )
    try:
        if not _answers(process, f"http://127.0.0.1:{port}{first}"):
            shown = " ".join([file, "9000", *arguments])
            raise SystemExit(f"It did not start; run it by hand: {python} bench/peers/{shown}")
        yield Running(process, port, time.perf_counter() - begun)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                answer.read()
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
        else:
            return True
    return False
