"""What the server itself costs, in process: heads are fed to a connection whose transport writes nowhere.

Run it as `python bench/serve.py`. The kernel and the event loop are left out, so that what is left is
our own Python: finding the head, parsing it, the request, its context, the engine, the answer, the
metrics and the log's share of them. Cases take turns within each round; what is reported is the
median of the rounds.
"""

import asyncio
from collections.abc import Callable
from statistics import median
from time import thread_time_ns
from typing import Any

import httptools
import uvloop
from _bench import report
from engine import service

from ogrom.serve import App, JsonLog, Limits
from ogrom.serve._connection import Connection
from ogrom.serve._head import parse
from ogrom.serve._shared import Shared

ROUNDS = 31
CALLS = 1_000
PATH = "/v1/de-DE/products/8007"
BROWSER = (
    "Host: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101\r\n"
    "Accept: application/json\r\nAccept-Language: de-DE,de;q=0.8,en;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://shop.example/\r\n"
    "Origin: https://shop.example\r\nConnection: keep-alive\r\nSec-Fetch-Mode: cors\r\n"
)


def head(method: str, path: str, fields: str) -> bytes:
    """A request without content."""
    return f"{method} {path} HTTP/1.1\r\n{fields}\r\n".encode()


CASES = {
    "GET": head("GET", PATH, "Host: shop.example\r\n"),
    "304": head("GET", PATH, 'Host: shop.example\r\nIf-None-Match: "r8007"\r\n'),
    "404": head("GET", "/nothing", "Host: shop.example\r\n"),
    "GET, a browser's head": head("GET", PATH, BROWSER),
    "GET, behind a balancer": head(
        "GET", PATH, f"{BROWSER}X-Forwarded-For: 10.0.0.9\r\nX-Request-Id: 0123456789abcdef\r\n"
    ),
}


class Nowhere:
    """A transport that keeps nothing."""

    def get_extra_info(self, name: str) -> Any:
        """Where the client is."""
        return ("127.0.0.1", 5) if name == "peername" else None

    def is_closing(self) -> bool:
        """It stays open."""
        return False

    def write(self, data: bytes) -> None:
        """Written to nobody."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0


class Parsed:
    """What the ceiling does with a head."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Kept."""
        self.headers[name] = value


def ways(loop: asyncio.AbstractEventLoop, sent: bytes) -> dict[str, Callable[[], object]]:
    """What is done with the bytes of one request."""

    def connection(log: JsonLog | None) -> Callable[[], object]:
        made = Connection(Shared(App(service=service()), Limits(), log, loop))
        made.connection_made(Nowhere())  # type: ignore[arg-type]
        return lambda: made.data_received(sent)

    parser = httptools.HttpRequestParser(Parsed())
    unended = sent.removesuffix(b"\r\n\r\n")
    quiet = JsonLog("bench", "", write=lambda _: None)
    return {
        "httptools": lambda: parser.feed_data(sent),
        "parse": lambda: parse(unended, max_target=8000),
        "all": connection(None),
        "all, logged": connection(quiet),
    }


def measure(loop: asyncio.AbstractEventLoop) -> None:
    """Every case in every way, so many rounds, from callbacks of the loop, as a server is called."""
    every = {case: ways(loop, sent) for case, sent in CASES.items()}
    figures: dict[tuple[str, str], list[float]] = {}

    def turn(left: int) -> None:
        for case, by_way in every.items():
            for way, call in by_way.items():
                begun = thread_time_ns()
                for _ in range(CALLS):
                    call()
                took = (thread_time_ns() - begun) / CALLS / 1000
                figures.setdefault((case, way), []).append(took)
        if left > 1:
            loop.call_later(0.01, turn, left - 1)  # the log's thread has its turn
        else:
            loop.stop()

    loop.call_soon(turn, ROUNDS)
    loop.run_forever()
    names = list(next(iter(every.values())))
    rows = [
        [case, *(f"{median(figures[case, way]):.2f}" for way in names)] for case in CASES
    ]  # fmt: skip
    flat = {f"{case}: {way}, µs": median(each) for (case, way), each in figures.items()}
    report("serve", "The server in process, µs a request", ["case", *names], rows, flat)


if __name__ == "__main__":
    made = uvloop.new_event_loop()
    asyncio.set_event_loop(made)
    measure(made)
    made.close()
