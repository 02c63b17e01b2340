"""Further questions about HTTP, which hardly any server is asked: see `_questions`."""

import gzip
import socket
from collections.abc import Callable, Sequence

from _questions import (
    COMMENTS,
    GOOD,
    JSON,
    PRODUCT,
    Question,
    Server,
    parse,
    status,
    statuses_of,
    with_tag,
)


def _gzipped(server: Server) -> int:
    fields = (JSON, "Content-Encoding: gzip")
    return server.ask(f"POST {COMMENTS}", *fields, content=gzip.compress(GOOD)).status


def _differs_by_coding(server: Server) -> bool:
    """A representation that is coded is another one, with a tag of its own (RFC 9110, 8.8.3.3)."""
    plain = server.ask("GET /products?q=rot")
    packed = server.ask("GET /products?q=rot", "Accept-Encoding: gzip")
    return (
        packed.field("content-encoding") == "gzip"
        and "accept-encoding" in packed.field("vary").lower()
        and plain.field("content-encoding") == ""
    )


def _refused_unread(server: Server) -> bool:
    head = (
        f"POST {COMMENTS} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 9\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    return statuses_of(server, head.encode(), replies=1) == [415]


def _none_match_first(server: Server) -> bool:
    tag = server.tag()
    reply = server.ask(
        f"GET {PRODUCT}", 'If-None-Match: "x"', "If-Modified-Since: Wed, 01 Jan 2031 00:00:00 GMT"
    )
    both = server.ask(f"GET {PRODUCT}", f'If-None-Match: "a,b", {tag}')
    return reply.status == 200 and both.status == 304


def _problem(server: Server) -> bool:
    reply = server.ask(f"POST {COMMENTS}", JSON, content=b'{"text":"nice"}')
    return (
        reply.field("content-type").startswith("application/problem+json")
        and b"stars" in reply.content
    )


TOLD: Sequence[Question] = (
    Question(
        "compressed where asked for, with Vary, and only there", "9110, 8.4", _differs_by_coding
    ),
    Question(
        "content that will not be read is not asked for (415, no 100)",
        "9110, 10.1.1",
        _refused_unread,
    ),
    Question(
        "If-None-Match before If-Modified-Since; a comma inside a tag",
        "9110, 13.1.3, must",
        _none_match_first,
    ),
    Question(
        "If-Match is compared strongly: a weak tag never matches",
        "9110, 13.1.1, must",
        with_tag("GET", "If-Match: W/BARE", want=412),
    ),
    Question(
        "If-Match of what is missing: 412",
        "9110, 13.1.1, must",
        status("GET /products/none", "If-Match: *", want=412),
    ),
    Question("errors are problem details that name the field", "9457", _problem),
    Question(
        "another serialization where it is preferred",
        "9110, 12.5.1",
        lambda server: (
            "msgpack"
            in server.ask(
                f"GET {PRODUCT}", "Accept: application/json;q=0.5, application/msgpack"
            ).field("content-type")
        ),
    ),
    Question(
        "gzip in requests is undone",
        "9110, 8.4",
        lambda server: _gzipped(server) == 201,
    ),
    Question(
        "415 says which types are read (Accept)",
        "9110, 15.5.16",
        lambda server: (
            "json"
            in server.ask(f"POST {COMMENTS}", "Content-Type: image/png", content=GOOD).field(
                "accept"
            )
        ),
    ),
    Question(
        "a slash too many: 404, which says where it is",
        "",
        lambda server: (
            (reply := server.ask(f"GET {PRODUCT}/")).status == 404
            and PRODUCT.encode() in reply.content
        ),
    ),
)
"""What is told by the content and by how it was chosen."""


def _slash_is_data(server: Server) -> bool:
    """A slash that is percent-encoded is part of the id, and leads to nothing below it."""
    reply = server.ask(f"POST {PRODUCT}%2Fcomments", JSON, content=GOOD)
    return reply.status in {404, 405}


def _ends_after_close(server: Server) -> bool:
    """What follows a request that says close is not answered."""
    last = f"GET {PRODUCT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    more = f"GET {PRODUCT} HTTP/1.1\r\nHost: a\r\n\r\n"
    return statuses_of(server, (last + more).encode(), replies=2) == [200]


def _not_modified_is_whole(server: Server) -> bool:
    """A 304 has the fields that say what is fresh: those that the 200 has."""
    get = server.ask(f"GET {PRODUCT}")
    kept = server.ask(f"GET {PRODUCT}", f"If-None-Match: {server.tag()}")
    names = ("etag", "vary", "date")
    return (
        kept.status == 304
        and all(bool(get.field(name)) == bool(kept.field(name)) for name in names)
        and bool(kept.field("vary"))
        and kept.field("etag") == get.field("etag")
    )


def _newer_minor_version(server: Server) -> bool:
    asked = f"GET {PRODUCT} HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n"
    return statuses_of(server, asked.encode(), replies=1) == [200]


def _one(text: str, *want: int) -> Callable[[Server], bool]:
    """Whether the one answer to these bytes has one of these statuses."""
    return lambda server: (
        len(found := statuses_of(server, text.encode("latin-1"), replies=2)) == 1
        and found[0] in want
    )


def _head_of_error(server: Server) -> bool:
    get, head = server.ask("GET /products/none"), server.ask("HEAD /products/none")
    names = ("content-type", "content-length", "vary")
    return (
        get.status == head.status == 404
        and not head.content
        and all(get.field(name) == head.field(name) != "" for name in names)
    )


def _unknown_coding(server: Server) -> bool:
    reply = server.ask(f"POST {COMMENTS}", JSON, "Content-Encoding: compress", content=GOOD)
    return reply.status == 415 and "gzip" in reply.field("accept-encoding")


def _refused_then_next(server: Server) -> bool:
    """Content that nobody reads is passed over, and the next request on the connection answered."""
    refused = (
        f"POST {PRODUCT} HTTP/1.1\r\nHost: a\r\n{JSON}\r\nContent-Length: {len(GOOD)}\r\n\r\n"
    ).encode() + GOOD
    after = f"GET {PRODUCT} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    return statuses_of(server, refused + after, replies=2) == [405, 200]


def _half_closed(server: Server) -> bool:
    """A client that has ended its side gets its answers, be they three."""
    asked = f"GET {PRODUCT} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 3
    with socket.create_connection(("127.0.0.1", server.port), timeout=3) as connection:
        connection.sendall(asked)
        connection.shutdown(socket.SHUT_WR)
        heard = b""
        while chunk := connection.recv(65536):
            heard += chunk
    return [reply.status for reply in parse(heard)] == [200, 200, 200]


def _problem_in_msgpack(server: Server) -> bool:
    reply = server.ask("GET /products/none", "Accept: application/msgpack")
    return reply.status == 404 and "msgpack" in reply.field("content-type")


POST = f"POST {COMMENTS} HTTP/1.1\r\nHost: a\r\n{JSON}\r\nConnection: close\r\n"
LENGTH = f"Content-Length: {len(GOOD)}\r\n"
WIRE: Sequence[Question] = (
    Question(
        "a slash in an id, percent-encoded, is data: 404 or 405", "3986, 2.2, must", _slash_is_data
    ),
    Question(
        "OPTIONS * is about the server as a whole: 200",
        "9110, 9.3.7, should",
        lambda server: (
            (reply := server.ask("OPTIONS *")).status in {200, 204}
            and "GET" in reply.field("allow")
        ),
    ),
    Question("HTTP/1.2 is answered as HTTP/1.1", "9110, 2.5, should", _newer_minor_version),
    Question(
        "a transfer coding that is not known: 501",
        "9112, 6.1, should",
        _one(f"{POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ),
    Question(
        "two Hosts: 400",
        "9112, 3.2, must",
        _one(f"GET {PRODUCT} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", 400),
    ),
    Question(
        "a Host that names no host: 400",
        "9112, 3.2, must",
        _one(f"GET {PRODUCT} HTTP/1.1\r\nHost: a/b c\r\nConnection: close\r\n\r\n", 400),
    ),
    Question(
        "the target's authority goes before Host",
        "9112, 3.2.2, must",
        _one(f"GET http://b{PRODUCT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    ),
    Question(
        "a method is told by its case: get is none, 501",
        "9110, 9.1, should",
        status(f"get {PRODUCT}", want=501),
    ),
    Question(
        "TRACE is refused, and not taken for an error: 405 or 501",
        "9110, 9.3.8",
        lambda server: server.ask(f"TRACE {PRODUCT}").status in {405, 501},
    ),
    Question(
        "a space before a colon: 400",
        "9112, 5.1, must",
        _one(f"GET {PRODUCT} HTTP/1.1\r\nHost: a\r\nX : y\r\nConnection: close\r\n\r\n", 400),
    ),
    Question(
        "a folded field: 400",
        "9112, 5.2, must",
        _one(f"GET {PRODUCT} HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\nConnection: close\r\n\r\n", 400),
    ),
    Question(
        "NUL in a field: 400",
        "9110, 5.5, must",
        _one(f"GET {PRODUCT} HTTP/1.1\r\nHost: a\r\nX: y\0z\r\nConnection: close\r\n\r\n", 400),
    ),
    Question(
        "a chunk's size that ends with a bare LF: 400",
        "9112, 7.1, must",
        _one(
            f"{POST}Transfer-Encoding: chunked\r\n\r\n{len(GOOD):x}\n{GOOD.decode()}\r\n0\r\n\r\n",
            400,
        ),
    ),
    Question(
        "a bare LF in a chunk's extension: 400",
        "9112, 7.1.1, must",
        _one(
            f"{POST}Transfer-Encoding: chunked\r\n\r\n{len(GOOD):x};a\nb\r\n{GOOD.decode()}\r\n0\r\n\r\n",
            400,
        ),
    ),
    Question(
        "a length with a sign: 400",
        "9110, 8.6, must",
        _one(f"{POST}Content-Length: +{len(GOOD)}\r\n\r\n{GOOD.decode()}", 400),
    ),
    Question(
        "two lengths that differ: 400",
        "9112, 6.3, must",
        _one(f"{POST}{LENGTH}Content-Length: 3\r\n\r\n{GOOD.decode()}", 400),
    ),
    Question(
        "chunks in HTTP/1.0: 400",
        "9112, 6.1",
        _one(
            f"POST {COMMENTS} HTTP/1.0\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ),
    Question(
        "another expectation than 100-continue: 417",
        "9110, 10.1.1",
        status(f"GET {PRODUCT}", "Expect: a-pony", want=417),
    ),
    Question(
        "what follows Connection: close is not answered", "9112, 9.6, must", _ends_after_close
    ),
    Question("who has ended its side gets its answers", "9112, 9.6", _half_closed),
    Question(
        "content that is refused is passed over: 405, then 200", "9112, 9.3", _refused_then_next
    ),
    Question(
        "a 304 has the 200's ETag, Vary and Date", "9110, 15.4.5, must", _not_modified_is_whole
    ),
    Question("HEAD of what is missing has the 404's fields", "9110, 9.3.2, should", _head_of_error),
    Question(
        "a content coding that is not known: 415, with Accept-Encoding",
        "9110, 12.5.3, should",
        _unknown_coding,
    ),
    Question(
        "gzip that is damaged: 400",
        "9110, 15.5.1",
        status(f"POST {COMMENTS}", JSON, "Content-Encoding: gzip", content=GOOD, want=400),
    ),
    Question("errors in the serialization that is preferred", "9110, 12.5.1", _problem_in_msgpack),
    Question(
        "If-None-Match of a tag that is malformed is no match: 200",
        "9110, 8.8.3, must",
        lambda server: (
            (tag := server.tag()) != ""
            and server.ask(
                f"GET {PRODUCT}", f"If-None-Match: {tag.strip('W/').strip(chr(34))}"
            ).status
            == 200
        ),
    ),
    Question(
        "a target of 60 kB: answered, or 414",
        "9110, 15.5.15",
        lambda server: server.ask(f"GET {PRODUCT}?q={'a' * 60_000}").status in {200, 414},
    ),
    Question(
        "a field of 60 kB: answered, or 431",
        "6585, 5",
        lambda server: server.ask(f"GET {PRODUCT}", f"X: {'a' * 60_000}").status in {200, 431},
    ),
    Question("a % that encodes nothing: 400", "3986, 2.1", status("GET /products/%zz", want=400)),
)
"""What is told by bytes, and by the fields around the content."""

FURTHER = (*TOLD, *WIRE)
"""All of them."""
