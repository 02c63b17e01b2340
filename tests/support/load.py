"""Load from a process of its own: sends requests to a server, and counts what became of every one.

    with Load(port, ["GET /fast", "POST /echo {}"], keep=8, new=2, pause=0.005) as load:
        ...  # whatever must not lose a request
    assert not load.result.failed, load.result.first_failures

Some clients keep their connection, others open one for each request. Nothing is ever sent twice:
whatever a client of the real world would have to repeat is counted as a failure. Runs by itself:
`python tests/support/load.py --port 8080 --request 'GET /' --seconds 10`.
"""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

MOST_FAILURES = 20
MOST_SECONDS = 600


@dataclass(frozen=True)
class Result:
    """What became of the requests."""

    sent: int
    ok: int
    """Answered with less than 500, whole."""
    failed: int
    """Answered with 500 or more, or not, or not whole."""
    seconds: float
    p50: float
    """Of the answered, in seconds; so are the others."""
    p99: float
    slowest: float
    by_kind: dict[str, dict[str, Any]]
    """By request and kind of connection: sent, failed, p50, p99."""
    by_failure: dict[str, int]
    by_release: dict[str, int]
    """Answers by the field `Ogrom-Release`."""
    first_failures: list[str]
    by_second: list[dict[str, Any]]
    """For each second since the start: at (seconds since the epoch), answered, failed, p50, p99, and
    releases, as above."""

    def between(self, start: float, end: float) -> list[dict[str, Any]]:
        """The whole seconds from `start` to `end`, both by `time.time()`."""
        return [each for each in self.by_second if start <= each["at"] and each["at"] + 1 <= end]


class Load:
    """Load while a block runs; `result` is there when it has been left."""

    def __init__(
        self,
        port: int,
        requests: Sequence[str],
        *,
        keep: int = 4,
        new: int = 2,
        pause: float = 0.005,
        seconds: float = 120,
        timeout: float = 30,
        fields: Sequence[str] = (),
    ) -> None:
        self._command = [sys.executable, __file__, "--port", str(port)]
        self._command += ["--keep", str(keep), "--new", str(new), "--pause", str(pause)]
        self._command += ["--seconds", str(seconds), "--timeout", str(timeout)]
        self._command += [part for request in requests for part in ("--request", request)]
        self._command += [part for each in fields for part in ("--field", each)]
        self._process: subprocess.Popen[str] | None = None
        self._result: Result | None = None

    def __enter__(self) -> Self:
        """Returns when the first request has been answered."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        assert first.strip() == "started", first
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> Result:
        """End it, if it still runs; what became of the requests."""
        if self._result is None:
            assert self._process is not None
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
            said, _ = self._process.communicate(timeout=120)
            self._result = Result(**json.loads(said))
        return self._result

    @property
    def result(self) -> Result:
        """What became of the requests."""
        return self.stop()


@dataclass
class _Tally:
    """Grows with every request."""

    sent: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    releases: Counter[str] = field(default_factory=Counter)
    took: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[int, tuple[list[float], Counter[str], Counter[str]]] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, kind: str, start: float, seconds: float, failure: str, release: str) -> None:
        self.sent[kind] += 1
        times, failed, releases = self.seconds.setdefault(
            int(start + seconds), ([], Counter(), Counter())
        )
        if failure:
            self.failed[kind] += 1
            self.failures[failure] += 1
            failed[failure] += 1
            if len(self.first) < MOST_FAILURES:
                self.first.append(f"{start:.3f} +{seconds:.3f} {kind}: {failure} {release}".strip())
            return
        self.answered.set()
        self.releases[release] += 1
        releases[release] += 1
        times.append(seconds)
        self.took.setdefault(kind, []).append(seconds)

    def result(self, seconds: float) -> Result:
        times = sorted(each for some in self.took.values() for each in some)
        sent, failed = self.sent.total(), self.failed.total()
        return Result(
            sent=sent,
            ok=sent - failed,
            failed=failed,
            seconds=round(seconds, 3),
            p50=quantile(times, 0.5),
            p99=quantile(times, 0.99),
            slowest=quantile(times, 1),
            by_kind={
                kind: {
                    "sent": count,
                    "failed": self.failed[kind],
                    **_quantiles(self.took.get(kind)),
                }
                for kind, count in sorted(self.sent.items())
            },
            by_failure=dict(self.failures),
            by_release=dict(self.releases),
            first_failures=self.first,
            by_second=[
                {
                    "at": at,
                    "answered": len(took),
                    "failed": failures.total(),
                    "releases": dict(releases),
                    **_quantiles(took),
                }
                for at, (took, failures, releases) in sorted(self.seconds.items())
            ],
        )


def quantile(rising: Sequence[float], share: float) -> float:
    """The value that so large a share of all is not above; 0 of nothing."""
    return round(rising[min(len(rising) - 1, int(len(rising) * share))], 6) if rising else 0.0


def _quantiles(times: list[float] | None) -> dict[str, float]:
    rising = sorted(times or ())
    return {"p50": quantile(rising, 0.5), "p99": quantile(rising, 0.99)}


class _Client:
    """One after the other. It holds a connection where it keeps it."""

    def __init__(self, options: argparse.Namespace, tally: _Tally, *, keep: bool) -> None:
        self._options, self._tally, self._keep = options, tally, keep
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, first: int, until: float, stop: asyncio.Event) -> None:
        requests = [_parse(text, self._options.field, self._keep) for text in self._options.request]
        turn = first
        while time.monotonic() < until and not stop.is_set():
            method, name, content = requests[turn % len(requests)]
            turn += 1
            kind = f"{name} {'keep' if self._keep else 'new'}"
            start, begun = time.time(), time.monotonic()
            failure, release = await self._ask(method, content)
            self._tally.add(kind, start, time.monotonic() - begun, failure, release)
            if failure or not self._keep:
                self._close()
            pause = self._options.pause or (0.05 if failure else 0)
            if pause:
                await asyncio.sleep(pause)
        self._close()

    async def _ask(self, method: str, content: bytes) -> tuple[str, str]:
        """What went wrong, if something did, and the release that answered."""
        part = "connect"
        try:
            async with asyncio.timeout(self._options.timeout):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._options.port)
                else:
                    part = "reuse"
                reader, writer = self._streams
                writer.write(content)
                await writer.drain()
                if part == "connect":
                    part = "answer"
                head = await reader.readuntil(b"\r\n\r\n")
                part = "content"
                status, fields = _head(head)
                said = await _content(reader, method, status, fields)
                if head.startswith(b"HTTP/1.0") or fields.get("connection", "").lower() == "close":
                    self._close()
        except TimeoutError:
            return f"{part}: no answer in {self._options.timeout:g} s", ""
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            return f"{part}: {type(error).__name__}", ""
        release = fields.get("ogrom-release", "")
        return (f"{status} {said[:120]!r}", release) if status >= 500 else ("", release)

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _parse(text: str, fields: Sequence[str], keep: bool) -> tuple[str, str, bytes]:
    """`POST /path content` as method, name and bytes to send."""
    method, _, rest = text.partition(" ")
    target, _, content = rest.partition(" ")
    lines = [f"{method} {target} HTTP/1.1", "Host: load.test", *fields]
    if not keep:
        lines.append("Connection: close")
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content.encode())}"]
    return method, f"{method} {target}", ("\r\n".join([*lines, "", ""]) + content).encode()


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _content(
    reader: asyncio.StreamReader, method: str, status: int, fields: dict[str, str]
) -> bytes:
    if method == "HEAD" or status in {204, 304}:
        return b""
    if fields.get("transfer-encoding", "").lower() == "chunked":
        parts: list[bytes] = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readuntil(b"\r\n")
        return b"".join(parts)
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    return await reader.read()


async def _run(options: argparse.Namespace) -> Result:
    tally, stop = _Tally(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    begun = time.monotonic()
    until = begun + min(options.seconds, MOST_SECONDS)
    async with asyncio.TaskGroup() as group:
        for number in range(options.keep + options.new):
            client = _Client(options, tally, keep=number < options.keep)
            group.create_task(client.run(number, until, stop))
        starting = group.create_task(tally.answered.wait())
        stopping = group.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, timeout=30, return_when="FIRST_COMPLETED")
        print("started", flush=True)
        starting.cancel()
        await asyncio.wait({stopping}, timeout=max(0, until - time.monotonic()))
        stop.set()
    return tally.result(time.monotonic() - begun)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of this machine")
    parser.add_argument("--request", action="append", required=True, help="'POST /path content'")
    parser.add_argument("--field", action="append", default=[], help="'Authorization: Bearer x'")
    parser.add_argument("--keep", type=int, default=4, help="clients that keep their connection")
    parser.add_argument("--new", type=int, default=2, help="clients that open one each time")
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between requests")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--timeout", type=float, default=30, help="seconds for one answer")
    return parser.parse_args()


if __name__ == "__main__":
    sys.path[:] = [each for each in sys.path if Path(each or ".") != Path(__file__).parent]
    print(json.dumps(asdict(asyncio.run(_run(_options())))))
