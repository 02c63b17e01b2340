"""HTTP/1.1 as a grammar: requests that are right, written in every way that RFC 9112 allows, and
requests that are wrong, each with what has to be answered.
"""

import hashlib
from dataclasses import dataclass, field
from urllib.parse import quote

from hypothesis import strategies as st

from support.wrong import WRONG

TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PLAIN = bytes({*range(0x20, 0x7F), *range(0x80, 0x100)}).decode("latin-1")


@dataclass(frozen=True)
class Sent:
    """One request, and what has to become of it."""

    data: bytes
    statuses: tuple[int, ...] = (200,)
    method: str = "GET"
    id: str = ""
    """Its own `X-Request-Id`."""
    said: dict[str, object] = field(default_factory=dict)
    """What the answer has to say, at least."""
    ends: bool = False
    """Whether the connection ends with its answer."""


def mixed_case(text: str) -> st.SearchStrategy[str]:
    """A name whose letters may be of either case."""
    return st.lists(st.booleans(), min_size=len(text), max_size=len(text)).map(
        lambda ups: "".join(
            one.upper() if up else one.lower() for one, up in zip(text, ups, strict=True)
        )
    )


OWS = st.text(" \t", max_size=3)
VALUE = st.text(PLAIN + "\t", max_size=40).map(lambda text: text.strip(" \t"))
NAME = st.text(TOKEN, min_size=1, max_size=20).map(lambda text: f"X-{text}")
HOST = st.sampled_from(
    ["a", "example.org", "example.org:8080", "[::1]:80", "127.0.0.1", "a%20b", "", "xn--a.b_c~d"]
)


@st.composite
def field_line(draw: st.DrawFn, name: str, value: str) -> str:
    """A field, its name in any case, with spaces that mean nothing."""
    return f"{draw(mixed_case(name))}:{draw(OWS)}{value}{draw(OWS)}"


@st.composite
def chunked(draw: st.DrawFn, content: bytes) -> bytes:
    """Content in chunks of any size, with extensions and a trailer."""
    out: list[bytes] = []
    at = 0
    while at < len(content):
        size = draw(st.integers(1, len(content) - at))
        digits = draw(st.sampled_from(["%x", "%X", "00%x"])) % size
        out.append(f"{digits}{draw(EXTENSION)}\r\n".encode("latin-1"))
        out.append(content[at : at + size] + b"\r\n")
        at += size
    trailer = draw(
        st.sampled_from(["", "X-T: 1\r\n", "X-T:\r\nX-U: \xff\r\n", "Content-Length: 5\r\n"])
    )
    out.append(f"{draw(st.sampled_from(['0', '000']))}{draw(EXTENSION)}\r\n".encode("latin-1"))
    return b"".join([*out, trailer.encode("latin-1"), b"\r\n"])


EXTENSION = st.sampled_from(["", "", ";a", ";a=b", ' ;a="b;c"', ";a=1;b=2", "\t; a"])


@st.composite
def valid(draw: st.DrawFn, number: int) -> Sent:
    """A request that has to be answered, whatever came before it."""
    kind = draw(
        st.sampled_from(["get", "get", "head", "write", "write", "closed", "none", "other"])
    )
    method, path, statuses = {
        "get": ("GET", "echo", (200,)),
        "head": ("HEAD", "echo", (200,)),
        "write": (draw(st.sampled_from(["POST", "PUT"])), "echo", (200,)),
        "closed": ("POST", "closed", (403,)),
        "none": (draw(st.sampled_from(["GET", "POST", "DELETE"])), "none", (404,)),
        "other": draw(
            st.sampled_from(
                [("OPTIONS", "echo", (200,)), ("DELETE", "echo", (405,)), ("BREW", "echo", (501,)),
                 ("M-SEARCH", "none", (404,)), ("TRACE", "echo", (405, 501))]
            )
        ),
    }[kind]  # fmt: skip
    name = draw(st.text(min_size=1, max_size=8).filter(lambda text: text not in {".", ".."}))
    name = name.encode("utf-8", "replace").decode().replace("\0", "0")
    q = draw(st.sampled_from(["", "a", "b c", "ł", "&=", "?"]))
    safe = draw(st.sampled_from(["", "!$&'()*+,;=:@"]))
    target = f"/{path}/{quote(name, safe=safe)}"
    if q:
        target += f"?q={quote(q, safe='')}"
    host = draw(HOST)
    if draw(st.integers(0, 9)) == 0:
        target = f"{draw(mixed_case('http'))}://other.example{target}"
    identity = f"r{number}"
    lines = [draw(field_line("Host", host)), draw(field_line("X-Request-Id", identity))]
    others = draw(st.lists(st.tuples(NAME, OWS, VALUE, OWS), max_size=2))
    lines += [f"{one}:{before}{value}{after}" for one, before, value, after in others]
    content, body = b"", b""
    if kind in {"write", "closed"} or (kind == "none" and method == "POST"):
        lines.append(draw(field_line("Content-Type", "application/octet-stream")))
        content = draw(st.binary(max_size=60) | st.just(b"GET /echo/x HTTP/1.1\r\nHost: a\r\n\r\n"))
        in_chunks = kind == "write" and draw(st.booleans())
        if in_chunks:
            lines.append(draw(field_line("Transfer-Encoding", draw(mixed_case("chunked")))))
            body = draw(chunked(content))
        else:
            zeros = draw(st.sampled_from(["", "", "000"]))
            lines.append(draw(field_line("Content-Length", f"{zeros}{len(content)}")))
            body = content
        if kind == "write" and draw(st.integers(0, 4)) == 0:
            lines.append(draw(field_line("Expect", draw(mixed_case("100-continue")))))
    version, ends = "1.1", False
    ending = draw(st.integers(0, 19))
    if ending == 0:
        lines.append(draw(field_line("Connection", draw(st.sampled_from(["close", "x, Close"])))))
        ends = True
    elif ending == 1 and kind in {"get", "head"}:
        version, ends = "1.0", True
    lines = draw(st.permutations(lines))
    start = draw(st.sampled_from(["", "", "", "\r\n", "\r\n\r\n"]))
    head = "\r\n".join([f"{start}{method} {target} HTTP/{version}", *lines, "", ""])
    said: dict[str, object] = {}
    if statuses == (200,) and method in {"GET", "POST", "PUT"}:
        said = {
            "name": name, "method": method, "q": q, "length": len(content),
            "sum": hashlib.sha256(content).hexdigest()[:16],
        }  # fmt: skip
    return Sent(head.encode("latin-1") + body, statuses, method, identity, said, ends)


def wrong(name: str) -> Sent:
    """The request that is wrong in this way; the connection ends with its answer."""
    text, statuses = WRONG[name]
    return Sent(text.encode("latin-1"), statuses, ends=True)


@st.composite
def conversation(draw: st.DrawFn) -> tuple[list[Sent], bytes]:
    """What is sent on one connection: requests, up to one that ends it, and more that is no request
    any more.
    """
    requests: list[Sent] = []
    for number in range(draw(st.integers(0, 6))):
        requests.append(draw(valid(number)))
        if requests[-1].ends:
            break
    else:
        if draw(st.booleans()):
            requests.append(wrong(draw(st.sampled_from(sorted(WRONG)))))
    tail = b""
    if requests and requests[-1].ends:
        tail = draw(st.sampled_from([b"", b"GET /echo/t HTTP/1.1\r\nHost: a\r\n\r\n" * 2]))
    return requests, tail


def pieces(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """The same bytes, cut anywhere."""
    cuts = st.lists(st.integers(0, len(data)), min_size=1, max_size=6).map(sorted)
    return cuts.map(
        lambda places: [
            data[start:end]
            for start, end in zip([0, *places], [*places, len(data)], strict=True)
            if end > start
        ]
    )
