"""Ogrom beside its peers over HTTP: what a request costs, how fast it is answered, and how rightly.

Run it as `make bench-servers`; ROUNDS=, SECONDS= (of each measurement) and PEERS= (comma-separated) make
it shorter, DOCS=1 writes docs/benchmarks.md and its chart. Every server has one worker on one
processor, wrk the other one; in each round the servers take turns, so that a busy machine slows all
of them. What is reported is the median of the rounds. CPU time is the server's own, all its threads
and processes, as the kernel counts it. Before anything is measured, each answers each request rightly.
"""

import json
import os
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import _page
from _bench import RESULTS, report
from _chart import bars
from _further import FURTHER
from _questions import QUESTIONS, Reply, Server, asked
from _running import PEERS_PYTHON, Running, running
from _wrk import Ask, load, program

ROUNDS = int(os.environ.get("ROUNDS") or "3")
SECONDS = int(os.environ.get("SECONDS") or "3")


class Peer(NamedTuple):
    """A server, and how it is started: a file of `peers/` with its arguments after the port."""

    name: str
    file: str
    arguments: tuple[str, ...] = ()
    ours: bool = False
    root: str = ""
    """Before the paths that are asked for."""


def on(server: str, module: str) -> Peer:
    """An ASGI or RSGI application on a server of its own choice."""
    name = (
        module.removesuffix("_app").replace("asgi_raw", "raw ASGI").replace("rsgi_raw", "raw RSGI")
    )
    return Peer(f"{name}, {server}", "run_asgi.py", (module, server))


CEILING = "constant bytes, uvloop and httptools"
OGROM = "Ogrom"
STATE = "{state}"
PEERS = (
    Peer(CEILING, "ceiling.py", ours=True),
    Peer(OGROM, "ogrom_app.py", ours=True),
    Peer("the shop, on dictionaries", "shop_app.py", ours=True, root="/v1/de-DE"),
    Peer("the shop, on SQLite and tantivy", "shop_app.py", (STATE,), ours=True, root="/v1/de-DE"),
    on("uvicorn", "asgi_raw"),
    on("granian", "rsgi_raw"),
    on("granian", "blacksheep_app"),
    on("granian", "starlette_app"),
    on("uvicorn", "falcon_app"),
    Peer("aiohttp, its own", "aiohttp_app.py"),
    Peer("sanic, its own", "sanic_app.py"),
    Peer("robyn, its own", "robyn_app.py"),
    on("uvicorn", "litestar_app"),
    on("uvicorn", "fastapi_app"),
)
NAMES = (
    "uvicorn", "granian", "blacksheep", "starlette", "falcon", "aiohttp", "sanic", "robyn",
    "litestar", "fastapi",
)  # fmt: skip

CASES = ("GET", "304", "search", "POST")
SAME = 4_000
"""Requests a second that every server can answer: what each costs at a load that is the same for all."""
PRODUCT = "/products/g000007"


def asks(peer: Peer, tag: str) -> Mapping[str, Ask]:
    """What is measured: a product, the same with its tag, a search of 20, a comment."""
    product = peer.root + PRODUCT
    fields, content = {"Content-Type": "application/json"}, '{"text":"nice","stars":3}'
    if peer.root:  # the shop asks who it is, and keeps stars elsewhere
        fields["Authorization"], content = "Bearer demo-anna", '{"text":"nice"}'
    return {
        "GET": Ask("GET", product),
        "304": Ask("GET", product, {"If-None-Match": tag}),
        "search": Ask("GET", f"{peer.root}/products?q=rot"),
        "POST": Ask("POST", f"{product}/comments", fields, content),
    }


def checked(peer: Peer, port: int) -> Mapping[str, Ask]:
    """The requests, once each of them has been answered rightly.

    Raises:
        SystemExit: one has not.
    """
    server = Server(port)
    tag = server.ask(f"GET {peer.root}{PRODUCT}").field("etag")
    made = asks(peer, tag)
    for case, ask in made.items():
        fields = [f"{name}: {held}" for name, held in ask.fields.items()]
        reply = server.ask(f"{ask.method} {ask.path}", *fields, content=ask.content.encode())
        if peer.name != CEILING and not _right(case, reply):
            raise SystemExit(f"{peer.name} does not answer {case} rightly: {reply}")
    return made


def _right(case: str, reply: Reply) -> bool:
    if case == "304":
        return reply.status == 304 and not reply.content
    if "json" not in reply.field("content-type"):
        return False
    said: dict[str, Any] = json.loads(reply.content)
    if case == "GET":
        return reply.status == 200 and said["id"] == "g000007" and bool(reply.field("etag"))
    if case == "search":
        return reply.status == 200 and len(said["items"]) == 20
    return reply.status == 201 and said["text"] == "nice" and bool(reply.field("location"))


@contextmanager
def up(peer: Peer, state: Path) -> Generator[Running]:
    """The peer, running."""
    arguments = [str(state) if each == STATE else each for each in peer.arguments]
    with running(peer.file, arguments, peer.root + PRODUCT, ours=peer.ours) as server:
        yield server


Figures = dict[str, list[float]]


def measure(peer: Peer, figures: Figures, state: Path) -> None:
    """One round of one peer, added to its figures."""

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with up(peer, state) as server:
        note("start_s", server.started)
        cases = checked(peer, server.port)
        load(server.port, cases["GET"], seconds=1)  # warm
        best = 0.0
        for case, ask in cases.items():
            before = server.cpu()
            seen = load(server.port, ask, seconds=SECONDS)
            note(f"{case}_us", (server.cpu() - before) / max(1, seen.requests) * 1e6)
            note(f"{case}_rate", seen.rate)
            note(f"{case}_p50_ms", seen.p50)
            note(f"{case}_p99_ms", seen.p99)
            note(f"{case}_errors", seen.errors)
            best = best or seen.rate
        for name, rate in (("half", best / 2), ("same", SAME)):
            before = server.cpu()
            seen = load(server.port, cases["GET"], seconds=SECONDS, rate=rate)
            note(f"{name}_us", (server.cpu() - before) / max(1, seen.requests) * 1e6)
            note(f"{name}_p50_ms", seen.p50)
            note(f"{name}_p99_ms", seen.p99)
            note(f"{name}_rate", seen.rate)
        note("memory_mb", server.memory())


Answers = tuple[dict[str, bool], dict[str, bool]]


def questions(peer: Peer, state: Path) -> Answers:
    """What it answers rightly, of the 28 questions and of the further ones; nothing where they do not
    fit: the shop has other paths and contents, and is Ogrom.
    """
    with up(peer, state) as server:
        checked(peer, server.port)
        if peer.name == CEILING or peer.root:
            return {}, {}
        return asked(server.port, QUESTIONS), asked(server.port, FURTHER)


def chosen() -> Sequence[Peer]:
    """All peers, or those that PEERS names by a part of their name; the ceiling and Ogrom always."""
    wanted = [each for each in os.environ.get("PEERS", "").split(",") if each]
    return [
        peer
        for peer in PEERS
        if peer.name in {CEILING, OGROM} or not wanted or any(each in peer.name for each in wanted)
    ]


def main() -> None:
    """All peers in turn, so many rounds; then the table, and what it says of Ogrom."""
    program()  # without it nothing begins
    RESULTS.mkdir(exist_ok=True)
    peers = chosen()
    figures: dict[str, Figures] = {peer.name: {} for peer in peers}
    with tempfile.TemporaryDirectory(prefix="ogrom-bench-") as place:
        state = Path(place) / "state"
        right: dict[str, Answers] = {}
        for peer in peers:
            print(f"questions: {peer.name}", file=sys.stderr, flush=True)
            right[peer.name] = questions(peer, state)
        for number in range(ROUNDS):
            for peer in peers:
                print(f"round {number + 1} of {ROUNDS}: {peer.name}", file=sys.stderr, flush=True)
                measure(peer, figures[peer.name], state)
    medians = {
        name: {key: median(values) for key, values in each.items()}
        for name, each in figures.items()
    }
    by_cost = dict(sorted(medians.items(), key=lambda pair: pair[1]["GET_us"]))
    show(by_cost, right)
    if os.environ.get("DOCS"):
        write(by_cost, right)


COLUMNS = {
    **{f"{case}, µs": f"{case}_us" for case in CASES},
    "requests/s": "GET_rate",
    "p50, ms": "GET_p50_ms",
    "p99, ms": "GET_p99_ms",
    "p50 at half": "half_p50_ms",
    "p99 at half": "half_p99_ms",
    f"GET at {SAME:,}/s, µs": "same_us",
    f"p99 at {SAME:,}/s": "same_p99_ms",
    "memory, MB": "memory_mb",
    "start, s": "start_s",
}
"""The table's columns, and which figure each shows."""


def rows(
    medians: Mapping[str, Mapping[str, float]], right: Mapping[str, Answers]
) -> list[list[str]]:
    """The table: a row for each peer."""
    made: list[list[str]] = []
    for name, each in medians.items():
        cells = [_cell(each[key]) for key in COLUMNS.values()]
        counts = [str(sum(answers.values())) if answers else "" for answers in right[name]]
        errors = sum(each[f"{case}_errors"] for case in CASES)
        made.append([name, *cells, *counts, f"{errors:.0f}"])
    return made


def _cell(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def headings() -> list[str]:
    """What stands above the columns."""
    return ["server", *COLUMNS, f"right of {len(QUESTIONS)}", f"of {len(FURTHER)} more", "errors"]


def show(medians: Mapping[str, Mapping[str, float]], right: Mapping[str, Answers]) -> None:
    """Prints the table and the ratios, and writes the figures."""
    flat = {
        f"{name}: {key}": value for name, each in medians.items() for key, value in each.items()
    }
    title = "Servers and frameworks, one worker each: µs of CPU for a request; a GET under full load and at half"
    report("servers", title, headings(), rows(medians, right), flat)
    ours = medians[OGROM]
    for name, each in medians.items():
        if name != OGROM:
            ratios = ", ".join(
                f"{case} {ours[key] / each[key]:.2f}"
                for case, key in COLUMNS.items()
                if "µs" in case
            )
            print(f"Ogrom's CPU per request by that of {name}: {ratios}")
    for text, good in (right[OGROM][0] | right[OGROM][1]).items():
        if not good:
            print(f"Ogrom answers wrongly: {text}")


def write(medians: Mapping[str, Mapping[str, float]], right: Mapping[str, Answers]) -> None:
    """The same table and a chart of the CPU time, in the documents."""
    how = f"Measured {_page.machine()}. Rounds: {ROUNDS}; seconds for each figure: {SECONDS}."
    text = "\n\n".join(
        [
            how,
            _page.table(headings(), rows(medians, right)),
            f"Releases: {_page.versions(PEERS_PYTHON, NAMES)}.",
        ]
    )
    _page.put(_page.DOCS / "benchmarks.md", "servers", text)
    small = {peer.name for peer in PEERS if not peer.root}  # the shop does other things as well
    chart = bars(
        "CPU time of the server per request, µs: less is better",
        ("a product", "304", "search of 20", "POST"),
        {
            name: [each[f"{case}_us"] for case in CASES]
            for name, each in medians.items()
            if name in small
        },
        bold=[OGROM],
    )
    (_page.DOCS / "images" / "benchmarks.svg").write_text(chart, encoding="utf-8")


if __name__ == "__main__":
    main()
