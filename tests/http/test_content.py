"""Queries and contents become types, or errors that name the place."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from ogrom.http import FORM, Cors, NoContent, Resource, Service
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
        ({"rows": [{"a": 1}, {"a": "x"}]}, "#/rows/1/a"),
        ({"rows": 1}, "#/rows"),
        ({}, "#/rows"),
        ([], "#"),
    ],
)
def test_a_wrong_content_is_pointed_at(content, pointer):
    """By a JSON pointer."""

    async def put(ctx, _):
        return NoContent()

    reply = ask(Resource(body=Deep, put=put), "PUT /", json=content)
    assert (422, pointer) == (reply.status, reply.json()["errors"][0]["pointer"])


class Size(Struct, forbid_unknown_fields=True):
    """What comes in sizes."""

    name: Annotated[str, Meta(min_length=1)]
    centimetres: Annotated[int, Meta(ge=1)] | None = None


class Coat(Struct, forbid_unknown_fields=True, rename="camel"):
    """Much that can be wrong."""

    title: str
    in_stock: int
    sizes: tuple[Size, ...] = ()
    tags: set[str] = set()
    prices: dict[str, Annotated[int, Meta(ge=0)]] = {}
    made: datetime | None = None
    either: int | list[int] = 0


def test_all_that_is_wrong_is_pointed_at():
    """Not the first thing alone: each by its place, at any depth."""
    sent = {
        "inStock": "many",
        "sizes": [{"name": "S"}, {"name": "", "centimetres": 0}, {"long": 1}, 7],
        "tags": ["a", 1],
        "prices": {"EUR": 1, "US/D": -1, "G~P": "x"},
        "made": "yesterday",
        "either": "x",
        "colour": "red",
    }
    expected = {
        "#/title": "It must be given.",
        "#/inStock": "Expected `int`, got `str`.",
        "#/sizes/1/name": "Expected `str` of length >= 1.",
        "#/sizes/1/centimetres": "Expected `int` >= 1.",
        "#/sizes/2/name": "It must be given.",
        "#/sizes/2/long": "There is no such field.",
        "#/sizes/3": "Expected `object`, got `int`.",
        "#/tags/1": "Expected `str`, got `int`.",
        "#/prices/US~1D": "Expected `int` >= 0.",
        "#/prices/G~0P": "Expected `int`, got `str`.",
        "#/made": "Invalid RFC3339 encoded datetime.",
        "#/either": "Expected `int | array`, got `str`.",
        "#/colour": "There is no such field.",
    }

    async def post(ctx, _):
        return NoContent()

    thing = Resource(body=Coat, post=post)
    packed = msgspec.msgpack.encode(sent)
    for reply in (
        ask(thing, "POST /", json=sent),
        ask(thing, "POST /", content=packed, content_type="application/msgpack"),
    ):
        told = reply.json()["errors"]
        assert (422, expected) == (reply.status, {one["pointer"]: one["detail"] for one in told})
        assert len(expected) == len(told)


def test_so_much_is_told_and_no_more():
    """Of many wrong things the first twenty; of a list in which the first wrong one is far, that one."""

    async def put(ctx, _):
        return NoContent()

    thing = Resource(body=Deep, put=put)
    many = ask(thing, "PUT /", json={"rows": [{"a": "x"}] * 50}).json()["errors"]
    assert [f"#/rows/{number}/a" for number in range(20)] == [each["pointer"] for each in many]
    far = [{"a": 1}] * 5_000 + [{"a": "x"}]
    [one] = ask(thing, "PUT /", json={"rows": far}).json()["errors"]
    assert "#/rows/5000/..." == one["pointer"]  # as the decoder tells it


class Node(Struct):
    """As deep as one likes."""

    number: int = 0
    below: "list[Node]" = []


def test_what_is_wrong_far_below_is_pointed_at_too():
    """As the decoder tells it, which takes one look and not one for each level."""

    async def put(ctx, _):
        return NoContent()

    sent: object = {"number": "x"}
    for _ in range(100):
        sent = {"below": [{}, sent]}
    [one] = ask(Resource(body=Node, put=put), "PUT /", json=sent).json()["errors"]
    assert "#" + "/below/1" * 100 + "/number" == one["pointer"]


def test_a_rule_of_the_type_itself_is_told():
    """Once its fields are right."""

    class Span(Struct):
        least: int
        most: int

        def __post_init__(self):
            if self.least > self.most:
                raise ValueError("least may not be above most")

    async def put(ctx, _):
        assert [Span(1, 2)] == ctx.body(list[Span])
        return NoContent()

    thing = Resource(body=list[Span], put=put)
    assert 204 == ask(thing, "PUT /", json=[{"least": 1, "most": 2}]).status
    [one] = ask(thing, "PUT /", json=[{"least": 1, "most": 2}, {"least": 2, "most": 1}]).json()[
        "errors"
    ]
    assert {"pointer": "#/1", "detail": "least may not be above most."} == one


def test_all_that_is_wrong_with_a_form_is_told():
    """Its numbers are texts, and may be."""

    async def post(ctx, _):
        return NoContent()

    thing = Resource(body=Size, consumes=(FORM,), post=post)
    form = "application/x-www-form-urlencoded"
    right = ask(thing, "POST /", content=b"name=S&centimetres=5", content_type=form)
    wrong = ask(thing, "POST /", content=b"name=&centimetres=0&x=1", content_type=form)
    assert 204 == right.status
    assert ["#/name", "#/centimetres", "#/x"] == [
        each["pointer"] for each in wrong.json()["errors"]
    ]


def test_all_that_is_wrong_with_a_query_is_told():
    """Each parameter by its name."""
    with pytest.raises(QueryError) as failed:
        query_decoder(Size)("centimetres=x&long=1")
    assert {"?name", "?centimetres", "?long"} == {each.pointer for each in failed.value.errors}


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
