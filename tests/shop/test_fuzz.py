"""Whatever is sent to whatever endpoint, the answer is an answer and never a 500."""

import gzip
import random
from collections.abc import Iterator
from urllib.parse import quote

import msgspec
import pytest

from ogrom.http import Request, Response
from ogrom.http._message import METHODS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.no_cover]

ROUNDS = 40
"""How often each method of each route is tried."""

TEXTS = [
    "", " ", "0", "-1", "1e9", "null", "true", "..", "%", "'", '"', "\\", "a" * 5000, "9" * 400,
    "Kleid", "g000001", "ł", "日本語", "\U0001f457", "\x7f", "'; DROP TABLE users; --", "${x}",
    "<script>", "../../etc/passwd", "NaN", "1.5", "2026-02-30", "*", "?q=1", "#", "&=&", "+",
]  # fmt: skip
SEGMENTS = [
    "%00",
    "%",
    "%zz",
    "%ff",
    "%2F",
    "%2e%2e",
    "9" * 400,
    "-" * 300,
    "1",
    "-0",
    "0",
    "x" * 5000,
]
FIELDS = {
    "accept": ["*/*", "", "text/csv", "application/msgpack", "a/b;q=2", "*/*;q=0", ",;=/" * 999,
               'text/html;x="' + "a," * 50_000, "a/b," * 25_000, ";" * 100_000],
    "accept-language": ["de", "*;q=0", "x-" * 50_000, "de-DE-" * 999, ";;;", ""],
    "accept-charset": ["utf-8", "*;q=0", "latin1", "," * 100_000],
    "accept-encoding": ["gzip", "br", "zstd", "identity;q=0", "*;q=0", "gzip;q=x", ""],
    "if-match": ["*", '"1"', 'W/"1"', "1", '"' * 9999, '"a", ' * 9999, ""],
    "if-none-match": ["*", '"1"', 'W/"1"', "x", "," * 9999, ""],
    "if-modified-since": ["Sun, 06 Nov 1994 08:49:37 GMT", "0", "Sun, 99 Nov 9999 99:99:99 GMT", "x" * 9999],
    "if-unmodified-since": ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "never"],
    "authorization": ["Bearer demo-anna", "Bearer", "Bearer \xff", "Basic eDp5", "Bearer " + "x" * 9999, ""],
    "content-type": ["application/json", "application/msgpack", "text/plain", "application/merge-patch+json",
                     "application/json; charset=utf-16", "/", "", "a/b" * 999],
    "content-encoding": ["gzip", "br", "identity", "deflate", "x"],
    "content-length": ["0", "-1", "x", "9" * 999, "5"],
    "content-range": ["bytes 0-1/2"],
    "origin": ["https://a.example", "null", "\xff"],
    "access-control-request-method": ["PUT", "x"],
}  # fmt: skip
BODIES = [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b"0" * 9999, b"[" * 200_000, b'{"a":' * 50_000,
    b'{"text": "\\ud800"}', b'{"text": "x"}', b'{"stars": 5}', b'{"stars": 1e999}',
    b'{"stars": ' + b"9" * 5000 + b"}", b'{"title": "x", "product_ids": ["' + b"y" * 90 + b'"]}',
    '{"title": "ł", "product_ids": []}'.encode("utf-16"), gzip.compress(b"0" * 9_000_000, mtime=0),
    gzip.compress(b'{"text": "packed"}', mtime=0), gzip.compress(b'{"text": "cut"}', mtime=0)[:-9],
    msgspec.msgpack.encode({"text": "x"}), b"\xc1", b"\xdd\xff\xff\xff\xff", b"x" * 2_000_000,
]  # fmt: skip
PARAMETERS = [
    "q", "category", "brand", "colour", "size", "material", "price_min", "price_max", "sort",
    "page", "per_page", "user", "unknown",
]  # fmt: skip


def requests(service, seed: int) -> Iterator[Request]:
    """Some of everything, for every method of every route."""
    chance = random.Random(seed)
    for route in service.leaves():
        for method in [*METHODS, "BREW", "get", ""]:
            for number in range(ROUNDS):
                path = route.template
                for parameter in route.parameters:
                    value = chance.choice([*SEGMENTS, *map(quote, TEXTS), "1", "g000001", "anna"])
                    path = path.replace("{" + parameter.name + "}", value)
                pairs = chance.choices(PARAMETERS, k=chance.randrange(3))
                query = "&".join(f"{name}={_value(chance)}" for name in pairs)
                names = chance.sample(sorted(FIELDS), k=chance.randrange(6))
                fields = {name: chance.choice(FIELDS[name]) for name in names}
                if number % 3 == 0:
                    fields |= {
                        "authorization": "Bearer demo-anna",
                        "content-type": "application/json",
                    }
                content = chance.choice(BODIES) if method in {"POST", "PUT", "PATCH"} else b""
                yield Request(
                    method=method, path=path, query=query, headers=fields, content=content, id="f"
                )


def _value(chance: random.Random) -> str:
    text = chance.choice(TEXTS)
    return text if chance.random() < 0.3 else quote(text)


def complaints(request: Request, response: Response) -> Iterator[str]:
    """What is wrong with an answer."""
    fields = {name.lower(): value for name, value in response.headers}
    if not (200 <= response.status < 500 or response.status == 501):
        yield f"status {response.status}: {response.error!r}"
    if response.status in {204, 304}:
        if "content-length" in fields or response.content:
            yield "content where there can be none"
    elif response.pieces is not None:
        if "content-length" in fields or response.content:
            yield "a length, or content, of what is still to be made"
    elif request.method != "HEAD" and fields.get("content-length") != str(len(response.content)):
        yield "Content-Length is not the content's"
    if request.method == "HEAD" and response.content:
        yield "HEAD with content"
    if response.status >= 400 and request.method != "HEAD":
        wanted = {"application/problem+json", "application/msgpack"}
        if fields["content-type"] not in wanted:
            yield f"an error in {fields['content-type']}"
    if response.status == 405 and "allow" not in fields:
        yield "405 without Allow"
    if response.status == 401 and "www-authenticate" not in fields:
        yield "401 without WWW-Authenticate"
    for name, value in response.headers:
        if any(character in name + value for character in "\r\n\0"):
            yield f"a field that injects: {name}"


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_request_is_too_odd(service, seed):
    """Every method of every route, with hostile paths, queries, fields and contents."""
    asked = 0
    for request in requests(service, seed):
        response = await service.respond(request)
        asked += 1
        wrong = list(complaints(request, response))
        shown = msgspec.structs.replace(
            request,
            content=b"",
            headers={name: value[:80] for name, value in request.headers.items()},
        )
        assert not wrong, f"{wrong} for {str(shown)[:1500]} and {request.content[:80]!r}"
    assert asked > 10_000
