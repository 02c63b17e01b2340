"""Queries and contents become types, or errors that name the place."""

from contextlib import suppress
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from ogrom.http import Cors, NoContent, Resource, Service
from ogrom.http._content import QueryError, Undecodable, decompress, query_decoder
from ogrom.http.testing import ask


class Query(Struct, forbid_unknown_fields=True):
    """What may be asked."""

    q: Annotated[str, Meta(max_length=9)] = ""
    size: tuple[str, ...] | None = None
    page: int = 1


class Needed(Struct):
    """What must be."""

    id: int


decode = query_decoder(Query)


def test_a_query_is_decoded_as_forms_are():
    """ "+" is a space, names may repeat where a list is wanted, empty fields are nothing."""
    assert Query("a b", ("S", "M"), 2) == decode("q=a+b&size=S&&size=%4d&page=2")
    assert Query() == decode("")


@pytest.mark.parametrize(
    ("raw", "pointer", "detail"),
    [
        ("page=x", "?page", "Expected `int`"),
        ("q=a&q=b", "?q", "given once"),
        ("qq=a", "?qq", "no such parameter; there are: q, size, page"),
        ("q=%z", "?q", "two hexadecimal digits"),
        ("q=%ff", "?q", "not UTF-8"),
        ("q=0123456789", "?q", "length <= 9"),
        ("&".join(["size=1"] * 300), "?", "At most 256"),
    ],
)
def test_a_wrong_query_names_its_parameter(raw, pointer, detail):
    """And says what was expected."""
    with pytest.raises(QueryError) as raised:
        decode(raw)
    (error,) = raised.value.errors
    assert pointer == error.pointer
    assert detail in error.detail


def test_a_parameter_that_is_missing_is_named():
    """As one that must be given."""
    with pytest.raises(QueryError, match=r"\?id: It must be given"):
        query_decoder(Needed)("")


@given(st.text(st.characters(codec="latin-1"), max_size=60))
def test_no_query_raises_anything_else(raw):
    """Whatever a client sends."""
    with suppress(QueryError):
        assert isinstance(decode(raw), Query)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@given(content=st.binary(max_size=99))
def test_what_is_not_compressed_is_not_unpacked(coding, content):
    """It is refused, never a surprise."""
    with pytest.raises(Undecodable):
        decompress(content, coding, 1000)


class Deep(Struct):
    """Something nested."""

    rows: list[dict[str, int]]


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({"rows": [{"a": 1}, {"a": "x"}]}, "#/rows/1/..."),
        ({"rows": 1}, "#/rows"),
        ({}, "#/rows"),
        ([], "#"),
    ],
)
def test_a_wrong_content_is_pointed_at(content, pointer):
    """By a JSON pointer; a key of a mapping is "..." as the decoder does not tell it."""

    async def put(ctx, _):
        return NoContent()

    reply = ask(Resource(body=Deep, put=put), "PUT /", json=content)
    assert (422, pointer) == (reply.status, reply.json()["errors"][0]["pointer"])


CORS = Cors(origins=("https://a.example",), credentials=True, expose=())


@pytest.mark.parametrize("origin", ["https://a.example", "https://b.example"])
def test_only_pages_of_named_origins_are_let_in(origin):
    """Both for the preflight and for the request proper; caches are told to tell them apart."""
    service = Service({"/": Resource(cors=CORS)})
    let_in = origin == "https://a.example"
    before = ask(service, "OPTIONS /", origin=origin, access_control_request_method="GET")
    assert (204 if let_in else 200) == before.status
    for reply in (
        before,
        ask(service, "GET /", origin=origin),
        ask(service, "PUT /", origin=origin),
    ):
        assert let_in == ("access-control-allow-credentials" in reply.headers)
        assert "Origin" in reply.headers["vary"]
    assert "access-control-allow-origin" not in ask(service, "GET /").headers
