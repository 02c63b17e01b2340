"""One behaviour, two servers: ours, and uvicorn by the ASGI adapter."""

import gzip

import pytest
from support.wire import Answer, Served, answers, echo, request
from support.wrong import WRONG

pytestmark = pytest.mark.slow

LIMITS = {"target": 500, "head": 2000, "content": 1000, "content_seconds": 2, "answer_seconds": 4}
BYTES = "Content-Type: application/octet-stream"
PROBLEM = "application/problem+json"

DIFFERS: dict[str, str] = {
    "HTTP/1.0 that stays is told so": "it ends every connection of HTTP/1.0, which is right too",
    "a method that nobody knows": "its parser refuses methods that it does not know: 400",
    "a client that ends its side gets its answer": "it takes the client for gone",
    "content that will not be read is passed over": "it ends the connection: 9112, 9.3 allows it",
}
"""What uvicorn answers otherwise, by the names of `CASES`, and why."""


def one(*parts: bytes, method: str = "GET"):
    """Asks for the one answer to this."""

    def ask(server: Served) -> Answer:
        (found,) = answers(server.raw(*parts, ends=False), [method])
        return found

    return ask


def ask(target: str, *fields: str, method: str = "GET", content: bytes | None = None, **kwargs):
    """Asks for the one answer to a request, which is the last on its connection."""
    data = request(target, "Connection: close", *fields, method=method, content=content, **kwargs)
    return one(data, method=method)


def chunks(*fields: str, content: bytes) -> bytes:
    """A POST in chunks, the last on its connection."""
    head = request(
        "/echo/a", BYTES, "Connection: close", "Transfer-Encoding: chunked", *fields, method="POST"
    )
    return head + content


CASES = {
    "a GET": (ask("/echo/a?q=b%20c"), 200, {"name": "a", "q": "b c"}),
    "a name that is percent-encoded": (ask("/echo/%C5%82%2F%3F"), 200, {"name": "ł/?"}),
    "a slash too many": (ask("/echo/a/"), 404, {"status": 404}),
    "a path that is malformed": (ask("/echo/%zz"), 400, {"status": 400}),
    "a query that is malformed": (ask("/echo/a?q=%zz"), 400, {"status": 400}),
    "a query of the wrong type": (ask("/echo/a?n=x"), 400, {"status": 400}),
    "content": (ask("/echo/a", BYTES, method="POST", content=b"hello"), 200, {"length": 5}),
    "no content": (ask("/echo/a", BYTES, method="POST", content=b""), 200, {"length": 0}),
    "content in chunks": (
        one(chunks(content=b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: 1\r\n\r\n")), 200, {"length": 5},
    ),
    "content of a type that is not read": (
        ask("/echo/a", "Content-Type: image/png", method="POST", content=b"x"), 415, {"status": 415},
    ),
    "content in gzip": (
        ask("/echo/a", BYTES, "Content-Encoding: gzip", method="POST", content=gzip.compress(b"x" * 900)),
        200, {"length": 900},
    ),
    "gzip that is damaged": (
        ask("/echo/a", BYTES, "Content-Encoding: gzip", method="POST", content=b"x"), 400, {"status": 400},
    ),
    "too much content": (ask("/echo/a", BYTES, method="POST", content=b"x" * 1001), 413, {"status": 413}),
    "too much content in chunks": (
        one(chunks(content=b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")), 413, {"status": 413},
    ),
    "content that stops": (
        one(request("/echo/a", BYTES, "Content-Length: 9", "Connection: close", method="POST")), 408, {"status": 408},
    ),
    "a HEAD": (ask("/echo/a", method="HEAD"), 200, None),
    "a HEAD of what is not there": (ask("/none", method="HEAD"), 404, None),
    "OPTIONS": (ask("/echo/a", method="OPTIONS"), 200, None),
    "a method that is not allowed": (ask("/echo/a", method="DELETE"), 405, {"status": 405}),
    "a method that nobody knows": (ask("/echo/a", method="BREW"), 501, {"status": 501}),
    "If-None-Match": (ask("/echo/a", 'If-None-Match: "x", *'), 200, {"name": "a"}),
    "If-None-Match of whatever there is": (ask("/echo/a", "If-None-Match: *"), 304, None),
    "If-Match of another": (ask("/echo/a", 'If-Match: "x"'), 412, {"status": 412}),
    "what is not acceptable": (ask("/echo/a", "Accept: image/png"), 406, {"status": 406}),
    "MessagePack": (ask("/echo/a", "Accept: application/msgpack"), 200, None),
    "fields that came twice are one": (
        ask("/echo/a", 'If-None-Match: "x"', "If-None-Match: *"), 200, {"name": "a"},
    ),
    "what is forbidden": (ask("/closed/a", BYTES, method="POST", content=b"x"), 403, {"status": 403}),
    "what takes too long": (ask("/wait/60000"), 503, {"status": 503}),
    "a long target": (ask(f"/echo/{'a' * 600}"), 414, {"status": 414}),
    "too long a head": (
        ask("/echo/a", f"X: {'y' * 100_000}"), 431, {"status": 431},
    ),
    "no Host": (ask("/echo/a", host=""), 400, {"status": 400}),
    "two Hosts": (ask("/echo/a", "Host: a"), 400, {"status": 400}),
    "no Host in HTTP/1.0": (one(request("/echo/a", host="", version="1.0")), 200, {"name": "a"}),
    "an absolute target": (ask("http://b/echo/a"), 200, {"name": "a"}),
    "alive": (ask("/-/live"), 200, {"status": "live"}),
    "ready": (ask("/-/ready"), 200, {"status": "ready"}),
}  # fmt: skip
"""By name: how to ask, the status, and what the content has to say; None where it may be anything."""


@pytest.fixture(scope="module", params=["ours", "uvicorn"])
def server(request):
    """Both."""
    with echo(request.param, limits=LIMITS) as served:
        yield served


def skip(server: Served, case: str) -> None:
    """Where it is uvicorn that answers, and says something else."""
    if server.kind == "uvicorn" and case in DIFFERS:
        pytest.skip(f"uvicorn differs: {DIFFERS[case]}")


def test_both_answer_alike(server):
    """Status, content and the fields that every answer has; where uvicorn differs, it still does."""
    for case, (how, status, says) in CASES.items():
        answer = how(server)
        if server.kind == "uvicorn" and case in DIFFERS:
            assert answer.status != status, f"{case}: no difference any more"
            continue
        assert status == answer.status, case
        assert "abc" == answer.fields["ogrom-release"], case
        assert answer.fields["x-request-id"], case
        assert answer.fields["date"], case
        if status == 304:
            assert "content-length" not in answer.fields
        else:
            assert int(answer.fields["content-length"]) >= len(answer.content), case
        if says is not None:
            assert says.items() <= answer.json.items(), case
            assert status < 400 or answer.fields["content-type"] == PROBLEM, case


def test_answers_keep_their_order(server):
    """Whatever takes longer (RFC 9112, section 9.3.2)."""
    targets = ["/wait/100", "/echo/a", "/none", "/wait/50", "/echo/b"]
    data = b"".join(map(request, targets)) + request("/echo/c", "Connection: close")
    found = answers(server.raw(data, ends=False))
    assert [200, 200, 404, 200, 200, 200] == [each.status for each in found]
    assert [100, 50] == [found[0].json["waited"], found[3].json["waited"]]
    assert ["a", "b", "c"] == [found[number].json["name"] for number in (1, 4, 5)]


def test_an_id_that_harms_no_log_is_kept_and_any_other_replaced(server):
    """`X-Request-Id`."""
    for given, kept in (("a-b.c:1/2+3=", True), ("a b", False), ("é", False), ("x" * 129, False)):
        answer = ask("/echo/a", f"X-Request-Id: {given}")(server)
        assert kept == (answer.fields["x-request-id"] == given)


def test_content_is_asked_for_only_where_it_is_read(server):
    """100 Continue, or the answer at once (RFC 9110, section 10.1.1)."""
    fields = (BYTES, "Expect: 100-continue", "Connection: close")
    with server.connect() as client:
        client.sendall(request("/echo/a", *fields, method="POST", content=b"abc")[:-3])
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"abc")
        received = b""
        while data := client.recv(1000):
            received += data
    assert 3 == answers(received)[0].json["length"]
    received = server.raw(
        request("/closed/a", *fields, method="POST", content=b"abc")[:-3], ends=False
    )
    assert [403] == [each.status for each in answers(received)]


def test_http_1_0_that_stays_is_told_so(server):
    """Else a client of HTTP/1.0 would wait for the end."""
    skip(server, "HTTP/1.0 that stays is told so")
    first = request("/echo/a", "Connection: keep-alive", version="1.0")
    found = answers(server.raw(first + request("/echo/b", version="1.0"), ends=False))
    assert ["keep-alive", "close"] == [each.fields["connection"] for each in found]


def test_a_client_that_ends_its_side_gets_its_answer(server):
    """RFC 9112, section 9.6."""
    skip(server, "a client that ends its side gets its answer")
    assert [200] == [each.status for each in server.ask(request("/wait/100"))]


def test_content_that_will_not_be_read_is_passed_over(server):
    """The connection is there for the next request, though the content came after the answer."""
    skip(server, "content that will not be read is passed over")
    refused = request("/closed/a", BYTES, method="POST", content=b"GET / HTTP/1.1\r\n\r\n" * 20)
    data = refused + request("/echo/b", "Connection: close")
    head = data.index(b"\r\n\r\n") + 4
    parts = data[:head], data[head : head + 99], data[head + 99 :]
    found = answers(server.raw(*parts, ends=False, pause=0.1))
    assert [403, 200] == [each.status for each in found]


SMUGGLED = [name for name in WRONG if "chunk" in name or "length" in name]
CODED = ("identity, then chunks", "gzip, then chunks")
"""What uvicorn's parser takes: it finds the end of the content, and leaves the coding as it is."""


@pytest.mark.parametrize("name", SMUGGLED)
def test_nothing_is_smuggled(server, name):
    """What can be read in two ways is answered with 4xx or 5xx, and what is behind it by nobody."""
    text, statuses = WRONG[name]
    data = text.encode("latin-1") + request("/echo/smuggled")
    last = request("/echo/smuggled", "Connection: close")
    if server.kind == "uvicorn" and name in CODED:
        found = answers(server.raw(data + last, ends=False))
        assert ["x", "smuggled", "smuggled"] == [each.json["name"] for each in found]
        return
    found = answers(server.raw(data + last))
    assert 1 == len(found), found
    if server.kind == "ours":
        assert found[0].status in statuses
    assert 400 <= found[0].status < 600
    assert 500 != found[0].status
