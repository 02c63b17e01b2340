"""What HTTP semantics cost in process: handlers written by hand, the specialised one, the plain walk.

Run it as `python bench/engine.py`. All do the same visible work for the same requests: route, lookup,
links, JSON, header fields. `bare` makes these answers and knows nothing else; the one by hand also does
what its own header fields say. They take turns within each of many short rounds, in processor time;
what is reported is the median of the rounds.
"""

import gzip
import re
import tracemalloc
from collections.abc import Callable, Coroutine
from statistics import median
from time import perf_counter_ns, process_time_ns
from typing import Any
from urllib.parse import unquote

import msgspec
from _bench import report
from msgspec import Struct

from ogrom.http import (
    Answer,
    Context,
    Cors,
    Created,
    Head,
    Outcome,
    Request,
    Resource,
    Response,
    Service,
)
from ogrom.http._compile import Answers, forget, generate, specialise
from ogrom.http._engine import prepare
from ogrom.http._links import Links
from ogrom.http._walk import Prepared

ROUNDS = 300
CALLS = 250
Way = Callable[[Request], Coroutine[Any, Any, Response]]


class Product(Struct, frozen=True):
    """What is kept."""

    id: str
    name: str
    price: int
    revision: str


class Draft(Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent."""

    name: str
    price: int


SHELF = {str(n): Product(str(n), f"Shirt {n}", 1999 + n, f"r{n}") for n in range(8000, 9000)}
FIRST = list(SHELF.values())[:20]


async def by_id(product_id: str) -> Product | None:
    return SHELF.get(product_id)


def service() -> Service:
    """The shop in small: products with links, a list, and one that is made."""

    async def find(ctx: Context) -> Product | None:
        return await by_id(ctx["product_id"])

    def show(ctx: Context, product: Product) -> object:
        return {
            "id": product.id,
            "name": product.name,
            "price": product.price,
            "ratings": ctx.path_for("ratings", product_id=product.id),
            "comments": ctx.path_for("comments", product_id=product.id),
        }

    async def search(ctx: Context, _: None) -> object:
        items = [
            {
                "id": product.id,
                "name": product.name,
                "price": product.price,
                "url": ctx.path_for("product", product_id=product.id),
            }
            for product in FIRST
        ]
        return Answer(
            {"items": items, "total": len(SHELF)},
            {"Link": '</v1/de-DE/products?page=2>; rel="next"'},
        )

    async def post(ctx: Context, _: None) -> Outcome:
        draft = ctx.body(Draft)
        made = Product("9000", draft.name, draft.price, "r9000")
        return Created(made, at=ctx.path_for("product", product_id=made.id), etag=made.revision)

    product = Resource(
        name="product",
        exists=find,
        languages=("de-DE",),
        etag=lambda product: product.revision,
        cache_control="public, no-cache",
        handle_ok=show,
    )
    products = Resource(
        name="products", languages=("de-DE",), body=Draft, post=post, handle_ok=search,
        etag=lambda _: "c1", cache_control="public, no-cache",
    )  # fmt: skip
    return Service(
        {
            "/v1/de-DE/products": {
                "": products,
                "/{product_id}": {
                    "": product,
                    "/ratings": Resource(name="ratings"),
                    "/comments": Resource(name="comments"),
                },
            }
        },
        cors=Cors(origins=("*",)),
    )


PREFIX = "/v1/de-DE/products/"
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Draft).decode


async def bare(request: Request) -> Response:
    """The same answers, for these requests and no others: wrong for whoever asks differently."""
    path, method, headers = request.path, request.method, request.headers
    if path.startswith(PREFIX):
        product = await by_id(path[len(PREFIX) :])
        if product is None:
            return Response(status=404)
        tag = f'"{product.revision}"'
        if headers.get("if-none-match") == tag:
            head = f"{CACHE}ETag: {tag}\r\n{VARY}"
            return Response(status=304, headers=Head(head.encode()), route="product")
        content = encode(
            {
                "id": product.id,
                "name": product.name,
                "price": product.price,
                "ratings": f"{PREFIX}{product.id}/ratings",
                "comments": f"{PREFIX}{product.id}/comments",
            }
        )
        head = f"{JSON_DE}Content-Length: {len(content)}\r\n{CACHE}ETag: {tag}\r\n{VARY}"
        sent = b"" if method == "HEAD" else content
        return Response(status=200, headers=Head(head.encode()), content=sent, route="product")
    if method == "POST":
        assert isinstance(request.content, bytes)
        draft = decode(request.content)
        made = Product("9000", draft.name, draft.price, "r9000")
        content = encode(made)
        head = (
            f"{JSON_DE}Content-Length: {len(content)}\r\nLocation: {PREFIX}{made.id}\r\n"
            f'ETag: "{made.revision}"\r\n{VARY}'
        )
        return Response(status=201, headers=Head(head.encode()), content=content, route="products")
    items = [
        {"id": each.id, "name": each.name, "price": each.price, "url": f"{PREFIX}{each.id}"}
        for each in FIRST
    ]
    content = encode({"items": items, "total": len(SHELF)})
    head = f'{NEXT}{JSON_DE}Content-Length: {len(content)}\r\n{CACHE}ETag: "c1"\r\n{VARY}'
    return Response(status=200, headers=Head(head.encode()), content=content, route="products")


async def by_hand(request: Request) -> Response:
    """The same answers as one would write them for a client: what the head says is true.

    It says `Vary: Accept, Accept-Encoding`, so both are looked at; it
    knows its methods, and takes what may be in `If-None-Match`. Languages, charsets, the other
    preconditions it does not know.
    """
    path, method, headers = request.path, request.method, request.headers
    accept = headers.get("accept", "*/*")
    if accept not in JSON_WANTED and not wants_json(accept):
        return Response(status=406)
    if path.startswith(PREFIX):
        if method != "GET" and method != "HEAD":
            return Response(status=405, headers=(("Allow", "GET, HEAD"),))
        product_id, slash, _ = path[len(PREFIX) :].partition("/")
        if slash:  # its ratings and comments, which are not measured
            return Response(status=404)
        product = await by_id(unquote(product_id) if "%" in product_id else product_id)
        if product is None:
            return Response(status=404)
        tag = f'"{product.revision}"'
        if (sent := headers.get("if-none-match")) and (sent == tag or is_one_of(tag, sent)):
            head = f"{CACHE}ETag: {tag}\r\n{VARY}"
            return Response(status=304, headers=Head(head.encode()), route="product")
        content, coding = (
            encode(
                {
                    "id": product.id,
                    "name": product.name,
                    "price": product.price,
                    "ratings": f"{PREFIX}{product.id}/ratings",
                    "comments": f"{PREFIX}{product.id}/comments",
                }
            ),
            "",
        )
        if len(content) >= 512 and "gzip" in headers.get("accept-encoding", ""):
            content, coding = gzip.compress(content), GZIP
        head = f"{JSON_DE}{coding}Content-Length: {len(content)}\r\n{CACHE}ETag: {tag}\r\n{VARY}"
        shown = b"" if method == "HEAD" else content
        return Response(status=200, headers=Head(head.encode()), content=shown, route="product")
    if path != PREFIX[:-1]:
        return Response(status=404)
    if method == "POST":
        if headers.get("content-type") != "application/json":
            return Response(status=415)
        body = request.content
        if not isinstance(body, bytes):
            body = await body()
        if len(body) > 1 << 20:
            return Response(status=413)
        try:
            draft = decode(body)
        except msgspec.ValidationError as error:
            return Response(status=422, content=str(error).encode())
        except msgspec.DecodeError as error:
            return Response(status=400, content=str(error).encode())
        made = Product("9000", draft.name, draft.price, "r9000")
        content, coding = encode(made), ""
        if len(content) >= 512 and "gzip" in headers.get("accept-encoding", ""):
            content, coding = gzip.compress(content), GZIP
        head = (
            f"{JSON_DE}{coding}Content-Length: {len(content)}\r\n"
            f'Location: {PREFIX}{made.id}\r\nETag: "{made.revision}"\r\n{VARY}'
        )
        return Response(status=201, headers=Head(head.encode()), content=content, route="products")
    if method != "GET" and method != "HEAD":
        return Response(status=405, headers=(("Allow", "GET, HEAD, POST"),))
    if (asked := headers.get("if-none-match")) and is_one_of('"c1"', asked):
        head = f'{CACHE}ETag: "c1"\r\n{VARY}'
        return Response(status=304, headers=Head(head.encode()), route="products")
    items = [
        {"id": each.id, "name": each.name, "price": each.price, "url": f"{PREFIX}{each.id}"}
        for each in FIRST
    ]
    content, coding = encode({"items": items, "total": len(SHELF)}), ""
    if len(content) >= 512 and "gzip" in headers.get("accept-encoding", ""):
        content, coding = gzip.compress(content), GZIP
    head = f'{NEXT}{JSON_DE}{coding}Content-Length: {len(content)}\r\n{CACHE}ETag: "c1"\r\n{VARY}'
    shown = b"" if method == "HEAD" else content
    return Response(status=200, headers=Head(head.encode()), content=shown, route="products")


JSON_DE = "Content-Type: application/json\r\nContent-Language: de-DE\r\n"
CACHE = "Cache-Control: public, no-cache\r\n"
VARY = (
    "Vary: Accept, Accept-Encoding\r\nAccess-Control-Allow-Origin: *\r\n"
    "Access-Control-Expose-Headers: ETag, Link, Location, Retry-After, X-Request-Id\r\n"
)
NEXT = 'Link: </v1/de-DE/products?page=2>; rel="next"\r\n'
GZIP = "Content-Encoding: gzip\r\n"
JSON_WANTED = frozenset({"*/*", "application/json", "application/*"})


def is_one_of(tag: str, sent: str) -> bool:
    """Whether `If-None-Match` names the tag."""
    return tag in [each.strip().removeprefix("W/") for each in sent.split(",")]


def wants_json(accept: str) -> bool:
    """Whether JSON will do: weights are not looked at."""
    return any(each.partition(";")[0].strip() in JSON_WANTED for each in accept.split(","))


def requests() -> dict[str, Request]:
    """What is asked, by the name that the table has for it."""
    sent = {"host": "shop.example", "accept": "*/*", "user-agent": "bench"}
    body = b'{"name":"Hat","price":999}'
    posted = {**sent, "content-type": "application/json", "content-length": str(len(body))}
    one = f"{PREFIX}8231"
    return {
        "product GET": Request(method="GET", path=one, headers=sent, id="1"),
        "product 304": Request(
            method="GET", path=one, headers={**sent, "if-none-match": '"r8231"'}, id="1"
        ),
        "product HEAD": Request(method="HEAD", path=one, headers=sent, id="1"),
        "search of 20": Request(method="GET", path=PREFIX[:-1], headers=sent, id="1"),
        "POST 201": Request(method="POST", path=PREFIX[:-1], headers=posted, content=body, id="1"),
    }


def once(answers: Way, request: Request) -> Response:
    """The response of a coroutine that never waits."""
    try:
        answers(request).send(None)
    except StopIteration as done:
        response: Response = done.value
        return response
    raise RuntimeError("it waits")


def microseconds(answers: Way, request: Request) -> float:
    """One request, of many that are timed together: processor time, of which others take none."""
    start = process_time_ns()
    for _ in range(CALLS):
        try:
            answers(request).send(None)
        except StopIteration as done:
            done.value  # noqa: B018 - as a server takes it
    return (process_time_ns() - start) / CALLS / 1_000


def making() -> None:
    """What a function costs to make: written, compiled, and made again from the same code object."""
    prepared = next(route.leaf for route in service().leaves() if route.name == "product")
    about = prepare(prepared, cors=Cors(origins=("*",)))

    def made(about: Prepared, method: str) -> Answers:
        return specialise(about, method, Links())

    times: dict[str, list[float]] = {"written": [], "written and compiled": [], "made again": []}
    for _ in range(ROUNDS // 10):
        forget()
        for step, make in (
            ("written", generate), ("written and compiled", made), ("made again", made),
        ):  # fmt: skip
            start = perf_counter_ns()
            make(about, "GET")
            times[step].append((perf_counter_ns() - start) / 1_000)
    forget()
    tracemalloc.start()
    kept = [made(about, "GET")]
    first = tracemalloc.get_traced_memory()[0]
    kept += [made(about, "GET") for _ in range(100)]
    further = (tracemalloc.get_traced_memory()[0] - first) / 100
    tracemalloc.stop()
    found = {f"{step}, µs": median(each) for step, each in times.items()}
    found |= {"memory, kB": first / 1024, "memory of one made again, kB": further / 1024}
    rows: list[list[object]] = [[step, figure] for step, figure in found.items()]
    figures = {re.sub(r"\W+", "_", step): figure for step, figure in found.items()}
    report("engine_making", "A function for the GET of a product", ["", ""], rows, figures)


def main() -> None:
    """Checks that all answer alike, then measures them in turns."""
    shop = service()
    ways: dict[str, Way] = {
        "bare": bare,
        "by hand": by_hand,
        "specialised": shop.respond,
        "plain walk": shop.walk,
    }
    asked = requests()
    for name, request in asked.items():
        answers = [once(way, request) for way in ways.values()]
        seen = {(each.status, tuple(sorted(each.headers)), each.content) for each in answers}
        if len(seen) != 1:
            raise SystemExit(f"{name}: the answers differ: {seen}")
    rows: list[list[object]] = []
    figures: dict[str, float] = {}
    for name, request in asked.items():
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, answers_ in ways.items():
                times[way].append(microseconds(answers_, request))
        bare_, hand, fast, slow = (median(rounds) for rounds in times.values())
        rows.append([name, bare_, hand, fast, slow, fast / bare_, fast / hand])
        key = name.replace(" ", "_").lower()
        figures |= {
            f"{key}_bare_us": bare_,
            f"{key}_by_hand_us": hand,
            f"{key}_specialised_us": fast,
            f"{key}_plain_us": slow,
            f"{key}_ratio_to_bare": fast / bare_,
            f"{key}_ratio": fast / hand,
        }
    columns = ["µs per request", *ways, "specialised / bare", "specialised / by hand"]
    report("engine", "A request in process", columns, rows, figures)
    making()


if __name__ == "__main__":
    main()
