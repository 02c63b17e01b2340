"""Heads and chunks by RFC 9112: what is taken, and what is refused with which status."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogrom.serve._chunks import Chunks
from ogrom.serve._head import BadHead, parse

H = b"\r\nHost: a"


@pytest.mark.parametrize(
    ("status", "head"),
    [
        (400, b"GET / HTTP/1.1"),
        (400, b"GET / HTTP/1.1" + H + H),
        (400, b"GET / HTTP/1.1\r\nHost: a b"),
        (400, b"GET / HTTP/1.1\r\nHost : a"),
        (400, b"GET / HTTP/1.1" + H + b"\r\n folded"),
        (400, b"GET / HTTP/1.1" + H + b"\r\nX: a\rb"),
        (400, b"GET / HTTP/1.1" + H + b"\nX: a"),
        (400, b"GET / HTTP/1.1" + H + b"\r\nX: a\0b"),
        (400, b"GET / HTTP/1.1" + H + b"\r\nno field"),
        (400, b"GET / HTTP/1.1" + H + b"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"),
        (400, b"GET / HTTP/1.1" + H + b"\r\nContent-Length: 1\r\nContent-Length: 2"),
        (400, b"GET / HTTP/1.1" + H + b"\r\nContent-Length: +1"),
        (400, b"GET / HTTP/1.1" + H + b"\r\nTransfer-Encoding: gzip"),
        (400, b"GET / HTTP/1.1" + H + b"\r\nTransfer-Encoding: chunked, chunked"),
        (400, b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked"),
        (501, b"GET / HTTP/1.1" + H + b"\r\nTransfer-Encoding: gzip, chunked"),
        (417, b"GET / HTTP/1.1" + H + b"\r\nExpect: a pony"),
        (400, b"GET  / HTTP/1.1" + H),
        (400, b"GET / HTTP/1" + H),
        (505, b"GET / HTTP/2.0" + H),
        (400, b"G(T / HTTP/1.1" + H),
        (400, b"GET /#a HTTP/1.1" + H),
        (400, "GET /ł HTTP/1.1\r\nHost: a".encode()),
        (400, b"GET * HTTP/1.1" + H),
        (400, b"GET a HTTP/1.1" + H),
        (501, b"CONNECT a:1 HTTP/1.1" + H),
        (414, b"GET /" + b"a" * 100 + b" HTTP/1.1" + H),
    ],
)
def test_what_is_refused(status, head):
    """Never mended, never guessed at."""
    with pytest.raises(BadHead) as refused:
        parse(head, max_target=100)
    assert status == refused.value.status


def test_what_a_head_says():
    """Names in lower case, repeated fields joined, the target in its parts."""
    head = parse(
        b"BREW http://b:80/p%2F?q=1 HTTP/1.1\r\nHost: a\r\nX-A: 1 \r\nx-a:\t2\r\nCookie: a\r\n"
        b"Cookie: b\r\nExpect: 100-continue\r\nContent-Length: 7",
        max_target=100,
    )
    assert ("BREW", "/p%2F", "q=1", 7) == (head.method, head.path, head.query, head.length)
    assert ("b:80", "1, 2", "a; b") == (
        head.headers["host"],
        head.headers["x-a"],
        head.headers["cookie"],
    )
    assert head.keep_alive
    assert head.expects
    assert "*" == parse(b"OPTIONS http://b HTTP/1.1" + H, max_target=100).path
    assert (
        -1 == parse(b"PUT / HTTP/1.1" + H + b"\r\nTransfer-Encoding: Chunked", max_target=9).length
    )


@pytest.mark.parametrize(
    ("keeps", "head"),
    [
        (True, b"GET / HTTP/1.1" + H),
        (False, b"GET / HTTP/1.1" + H + b"\r\nConnection: x, Close"),
        (False, b"GET / HTTP/1.0"),
        (True, b"GET / HTTP/1.0\r\nConnection: keep-alive"),
    ],
)
def test_which_connections_are_kept(keeps, head):
    """RFC 9112, section 9.3."""
    assert keeps == parse(head, max_target=100).keep_alive


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data):
    """Whatever comes."""
    for head in (data, b"GET / HTTP/1.1\r\n" + data):
        with suppress(BadHead):
            assert "host" in parse(head, max_target=100).headers or b"HTTP/1.0" in head


WHOLE = b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\nGET"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_chunks_in_any_pieces(step):
    """The content, and what follows it."""
    chunks, content, rest = Chunks(), b"", b""
    for at in range(0, len(WHOLE), step):
        part = WHOLE[at : at + step]
        if chunks.done:
            rest += part
            continue
        more, left = chunks.feed(part)
        content, rest = content + more, rest + left
    assert chunks.done
    assert (b"hello world", b"GET") == (content, rest)


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n", b"-1\r\n", b"5\nhello", b"2\r\nabc\r\n", b"\r\n", b"0x5\r\n", b" 5\r\n", b"1" * 300,
        b"0\r\nno field\r\n", b"f" * 16 + b"\r\n", b"1 \r\n", b"1;\r\0\r\n",
    ],
)  # fmt: skip
def test_chunks_that_are_none(data):
    """Refused at once."""
    with pytest.raises(BadHead):
        Chunks().feed(data)
