"""What a client may rightly ask of an HTTP server, put to it byte by byte, and what is right by the RFCs.

Every question is asked of the same small API (`peers/`): a product by id, a search, a comment that is
posted. A peer whose framework leaves an answer to the application is asked all the same: what
counts is what a team gets that writes the handlers as the framework's documentation shows them.
"""

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

PRODUCT = "/products/g000007"


class Reply(NamedTuple):
    """One answer, as it came."""

    status: int
    fields: dict[str, str]
    content: bytes

    def field(self, name: str) -> str:
        """A header field; "" where it was not sent."""
        return self.fields.get(name.lower(), "")


class Server(NamedTuple):
    """Whom to ask."""

    port: int

    def raw(self, *parts: bytes, replies: int = 1, wait: float = 3.0) -> bytes:
        """What comes back for these bytes, each part sent when something was heard of the last."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            heard = b""
            for number, part in enumerate(parts):
                with suppress(OSError):
                    connection.sendall(part)
                with suppress(OSError):
                    while chunk := connection.recv(65536):
                        heard += chunk
                        last = number == len(parts) - 1
                        if len(list(parse(heard))) >= (replies if last else 1):
                            break
            return heard

    def ask(self, line: str, *fields: str, content: bytes = b"") -> Reply:
        """One request; a reply with status 0 where none came."""
        lines = [f"{line} HTTP/1.1", "Host: a", *fields]
        if content and not any(each.lower().startswith("transfer-encoding") for each in fields):
            lines.append(f"Content-Length: {len(content)}")
        head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
        is_head = line.startswith("HEAD")
        heard = self.raw(head + content)
        return next(parse(heard, heads=is_head), Reply(0, {}, b""))

    def tag(self) -> str:
        """The product's entity tag."""
        return self.ask(f"GET {PRODUCT}").field("etag")


def parse(heard: bytes, *, heads: bool = False) -> Iterator[Reply]:
    """The whole answers at the beginning of what was heard."""
    while (end := heard.find(b"\r\n\r\n")) >= 0:
        lines = heard[:end].decode("latin-1").split("\r\n")
        if not (found := re.match(r"HTTP/1\.[01] (\d{3})", lines[0])):
            return
        status = int(found[1])
        pairs = (line.partition(":") for line in lines[1:])
        fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
        rest = heard[end + 4 :]
        if heads or status < 200 or status in {204, 304}:
            length = 0
        elif fields.get("transfer-encoding", "").lower() == "chunked":
            stop = rest.find(b"0\r\n\r\n")
            if stop < 0:
                return
            length = stop + 5
        else:
            length = int(fields.get("content-length", len(rest)))
        if len(rest) < length:
            return
        yield Reply(status, fields, rest[:length])
        heard = rest[length:]


@dataclass(frozen=True)
class Question:
    """One question, and whether the answer is right."""

    text: str
    section: str
    right: Callable[[Server], bool]


JSON = "Content-Type: application/json"
GOOD = b'{"text":"nice","stars":3}'
COMMENTS = f"{PRODUCT}/comments"


def statuses_of(server: Server, *parts: bytes, replies: int) -> list[int]:
    return [reply.status for reply in parse(server.raw(*parts, replies=replies))]


def _is_head_like_get(server: Server) -> bool:
    get, head = server.ask(f"GET {PRODUCT}"), server.ask(f"HEAD {PRODUCT}")
    return head.status == 200 and all(
        get.field(name) == head.field(name) for name in ("content-type", "etag", "content-length")
    )


def _expects(server: Server) -> bool:
    head = (
        f"POST {COMMENTS} HTTP/1.1\r\nHost: a\r\n{JSON}\r\nContent-Length: {len(GOOD)}\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    return statuses_of(server, head.encode(), GOOD, replies=2) == [100, 201]


def _pipelines(server: Server) -> bool:
    one = f"GET {PRODUCT} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    return statuses_of(server, one * 3, replies=3) == [200, 200, 200]


def status(line: str, *fields: str, content: bytes = b"", want: int) -> Callable[[Server], bool]:
    return lambda server: server.ask(line, *fields, content=content).status == want


def with_tag(method: str, field: str, *, want: int) -> Callable[[Server], bool]:
    """A request with a field that has the product's tag in place of TAG, and its opaque part of BARE."""

    def right(server: Server) -> bool:
        tag = server.tag()
        value = field.replace("BARE", tag.removeprefix("W/")).replace("TAG", tag)
        return bool(tag) and server.ask(f"{method} {PRODUCT}", value).status == want

    return right


def _chunked(server: Server) -> bool:
    content = b"5\r\n" + GOOD[:5] + b"\r\n%x\r\n" % (len(GOOD) - 5) + GOOD[5:] + b"\r\n0\r\n\r\n"
    fields = (JSON, "Transfer-Encoding: chunked")
    return server.ask(f"POST {COMMENTS}", *fields, content=content).status == 201


def _both_lengths(server: Server) -> bool:
    head = (
        f"POST {COMMENTS} HTTP/1.1\r\nHost: a\r\n{JSON}\r\nContent-Length: 5\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    return statuses_of(server, head.encode(), replies=1) == [400]


def _created(server: Server) -> bool:
    reply = server.ask(f"POST {COMMENTS}", JSON, content=GOOD)
    return reply.status == 201 and bool(reply.field("location"))


def _missing(server: Server) -> bool:
    reply = server.ask("GET /products/none")
    return reply.status == 404 and "json" in reply.field("content-type")


QUESTIONS: Sequence[Question] = (
    Question("HEAD has GET's fields and no content", "9110, 9.3.2", _is_head_like_get),
    Question(
        "OPTIONS lists what is allowed",
        "9110, 9.3.7",
        lambda server: "GET" in server.ask(f"OPTIONS {PRODUCT}").field("allow"),
    ),
    Question(
        "DELETE where it is not offered: 405",
        "9110, 15.5.6",
        status(f"DELETE {PRODUCT}", want=405),
    ),
    Question(
        "405 names what is allowed",
        "9110, 10.2.1",
        lambda server: "GET" in server.ask(f"DELETE {PRODUCT}").field("allow"),
    ),
    Question(
        "a method that nobody knows: 501", "9110, 15.6.2", status(f"BREW {PRODUCT}", want=501)
    ),
    Question(
        "a media type that is not offered: 406",
        "9110, 12.5.1",
        status(f"GET {PRODUCT}", "Accept: image/png", want=406),
    ),
    Question(
        "the media type that is offered, refused by q=0: 406",
        "9110, 12.4.2",
        status(f"GET {PRODUCT}", "Accept: application/json;q=0", want=406),
    ),
    Question(
        "content of a type that is not read: 415",
        "9110, 15.5.16",
        status(f"POST {COMMENTS}", "Content-Type: image/png", content=GOOD, want=415),
    ),
    Question(
        "malformed content: 400",
        "9110, 15.5.1",
        status(f"POST {COMMENTS}", JSON, content=b'{"text":', want=400),
    ),
    Question(
        "well formed, not valid: 422",
        "9110, 15.5.21",
        status(f"POST {COMMENTS}", JSON, content=b'{"text":"nice"}', want=422),
    ),
    Question("201 says where it is", "9110, 15.3.2", _created),
    Question(
        "If-None-Match, the tag: 304",
        "9110, 13.1.2",
        with_tag("GET", "If-None-Match: TAG", want=304),
    ),
    Question(
        "If-None-Match, a list of tags: 304",
        "9110, 13.1.2",
        with_tag("GET", 'If-None-Match: "x", BARE', want=304),
    ),
    Question(
        "If-None-Match, the tag as a weak one: 304",
        "9110, 8.8.3.2",
        with_tag("GET", "If-None-Match: W/BARE", want=304),
    ),
    Question(
        "If-None-Match: * of what is there: 304",
        "9110, 13.1.2",
        status(f"GET {PRODUCT}", "If-None-Match: *", want=304),
    ),
    Question(
        "HEAD with If-None-Match: 304",
        "9110, 13.1.2",
        with_tag("HEAD", "If-None-Match: TAG", want=304),
    ),
    Question(
        "If-Match, another tag: 412",
        "9110, 13.1.1",
        status(f"GET {PRODUCT}", 'If-Match: "x"', want=412),
    ),
    Question(
        "If-Modified-Since where nothing has a date: ignored",
        "9110, 13.1.3",
        status(f"GET {PRODUCT}", "If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT", want=200),
    ),
    Question(
        "Vary names what was negotiated",
        "9110, 12.5.5",
        lambda server: bool(server.ask(f"GET {PRODUCT}", "Accept: application/json").field("vary")),
    ),
    Question(
        "Date", "9110, 6.6.1", lambda server: bool(server.ask(f"GET {PRODUCT}").field("date"))
    ),
    Question("404 in the API's own media type", "9457", _missing),
    Question("content in chunks", "9112, 7.1", _chunked),
    Question("Expect: 100-continue", "9110, 10.1.1", _expects),
    Question(
        "an id that is percent-encoded is the same id",
        "3986, 6.2.2.2",
        status("GET /products/%6700000%37", want=200),
    ),
    Question("three requests in one packet, three answers", "9112, 9.3.2", _pipelines),
    Question(
        "no Host: 400",
        "9112, 3.2",
        lambda server: (
            statuses_of(server, f"GET {PRODUCT} HTTP/1.1\r\n\r\n".encode(), replies=1) == [400]
        ),
    ),
    Question("Content-Length with Transfer-Encoding: 400", "9112, 6.1", _both_lengths),
    Question("alive after all of it", "", status(f"GET {PRODUCT}", want=200)),
)
"""The 28 questions."""


def asked(port: int, questions: Sequence[Question]) -> dict[str, bool]:
    """Each question's text, and whether it was answered rightly."""
    server = Server(port)
    answers: dict[str, bool] = {}
    for question in questions:
        try:
            answers[question.text] = question.right(server)
        except (OSError, ValueError):
            answers[question.text] = False
    return answers
