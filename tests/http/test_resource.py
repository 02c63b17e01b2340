"""A resource that cannot be right is refused when it is made, with a message that says how to mend it."""

from dataclasses import FrozenInstanceError, replace
from typing import ClassVar

import pytest
from msgspec import Struct

from ogrom.http import (
    CSV,
    FORM,
    JSON,
    Cors,
    Media,
    MediaType,
    NoContent,
    NotFound,
    Refused,
    Resource,
    ResourceError,
    RoutesError,
    Service,
)
from ogrom.http.testing import ask


async def act(ctx, entity):
    """An action."""
    return NoContent()


async def find(ctx):
    """Finds nothing."""


class Draft(Struct):
    """A content."""

    x: int = 0


class Foreign:
    """What another library would decode."""


def test_a_misspelt_keyword_is_told_the_right_one():
    """Or where to find it."""
    with pytest.raises(TypeError, match=r"no keyword 'exist'\. Did you mean 'exists'"):
        Resource(exist=find)
    with pytest.raises(TypeError, match=r"help\(Resource\)"):
        Resource(zzzzzz=1)
    with pytest.raises(TypeError, match="GET is answered by 'handle_ok'"):
        Resource(get=act)
    with pytest.raises(TypeError, match="keywords only"):
        Resource("product")


def test_a_resource_is_frozen_and_varied_by_replace():
    """It is a value."""
    resource = Resource(name="a")
    with pytest.raises(FrozenInstanceError):
        resource.name = "b"
    assert "b" == replace(resource, name="b").name


def test_its_entity_may_be_named():
    """As one does where a type checker cannot tell it from the functions."""
    resource = Resource[Draft](name="a", handle_ok=lambda ctx, draft: 1)
    assert isinstance(resource, Resource)
    assert "a" == resource.name


@pytest.mark.parametrize(
    ("keywords", "methods"),
    [
        ({}, "GET HEAD OPTIONS"),
        ({"post": act}, "POST OPTIONS"),
        ({"post": act, "exists": find}, "GET HEAD POST OPTIONS"),
        ({"delete": act, "handle_ok": lambda ctx, _: 1}, "GET HEAD DELETE OPTIONS"),
        ({"put": act, "patch": act, "methods": ("PUT", "PATCH")}, "PUT PATCH"),
    ],
)
def test_the_methods_follow_from_the_keywords(keywords, methods):
    """Unless they are named."""
    assert methods == " ".join(Resource(**keywords).allowed_methods())


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"name": "x", "methods": "GET"}, r"Resource\(name='x'\): methods='GET': write a tuple"),
        ({"methods": ("get",)}, "'get' is written 'GET'"),
        ({"methods": ("TRACE",)}, "'TRACE' is not served"),
        ({"methods": ("PUT",)}, "put=… must say what it does"),
        ({"methods": ("GET",), "put": act}, "methods does not name PUT"),
        ({"exists": lambda ctx: None}, "exists must be an `async def`; '<lambda>' is a plain one"),
        ({"exists": act}, r"exists is called as exists\(ctx\), but it takes \(ctx, entity\)"),
        ({"etag": lambda: "x"}, r"called as etag\(entity\)"),
        ({"handle_ok": lambda ctx: 1}, r"called as handle_ok\(ctx, entity\)"),
        ({"name": lambda: "x"}, "name is a plain value, not a function"),
        ({"media_types": ()}, "media_types is empty"),
        ({"media_types": (FORM,)}, "has no encode"),
        ({"media_types": (JSON, JSON)}, "offers something twice"),
        ({"languages": "de"}, "languages='de': write a tuple"),
        ({"languages": ("de_DE",)}, "'de_DE' is written 'de-DE'"),
        ({"media_types": ("application/json",)}, "'application/json' is none: write JSON"),
        ({"consumes": ("text/csv",), "body": Draft, "put": act}, "consumes: 'text/csv' is none"),
        ({"encodings": ("deflate",)}, "'deflate' is not one of"),
        ({"charsets": ("klingon",)}, "no charset 'klingon'"),
        ({"charsets": ()}, "charsets is empty"),
        ({"authorized": False}, "authorized needs a challenge"),
        ({"precondition_required": True}, "needs an etag or last_modified"),
        ({"body": {"PUT": Draft}}, "body names 'PUT', so put=…"),
        ({"body": Foreign, "put": act}, "cannot be decoded into Foreign; make it a msgspec.Struct"),
        ({"body": Draft}, "none of them is given"),
        ({"body": Draft, "put": act, "consumes": (CSV,)}, "nothing that can be read"),
        ({"can_post_to_missing": True}, "post=… must be given"),
        ({"put_to_different_url": "/x"}, "put=… must be given"),
        ({"moved_permanently": "/x"}, "existed=… must be given"),
    ],
)
def test_what_cannot_be_is_refused(keywords, message):
    """Each with a way out."""
    with pytest.raises(ResourceError, match=message):
        Resource(**keywords)


def test_functions_of_every_kind_will_do():
    """Builtins that tell nothing of themselves, objects with __call__, and those that say Awaitable."""

    class Finder:
        async def __call__(self, ctx):
            return None

    def later(ctx) -> "Awaitable[None]":  # noqa: F821 - only its name is looked at
        return find(ctx)

    Resource(exists=Finder(), etag=str)
    Resource(exists=later, handle_not_found=dict)
    Resource(handle_not_found=print, malformed=bool)


def test_a_body_for_each_method():
    """PATCH also takes merge-patch; DELETE has none unless it is named."""
    one = Resource(body=Draft, put=act, delete=act)
    assert [Draft, None, None, None] == [one.body_of(m) for m in ("PUT", "DELETE", "POST", "GET")]
    each = Resource(body={"DELETE": Draft}, put=act, delete=act)
    assert [None, Draft] == [each.body_of(m) for m in ("PUT", "DELETE")]
    assert "merge-patch+json" in {m.type.subtype for m in one.consumes_for("PATCH")}
    only = Resource(body=Draft, patch=act, consumes=(FORM, Media(MediaType("a", "b"))))
    assert (FORM,) == only.consumes_for("PATCH")


def test_a_query_is_a_struct():
    """Its fields are the parameters."""
    with pytest.raises(TypeError, match=r"name a msgspec\.Struct"):
        Service({"/": Resource(query=int)})


def test_cors_that_browsers_would_refuse():
    """Is refused at once."""
    with pytest.raises(ResourceError, match="write a tuple"):
        Cors(origins="https://a.example")
    with pytest.raises(ResourceError, match="name the origins"):
        Cors(origins=("*",), credentials=True)


def test_routes_lead_to_resources():
    """And to nothing else."""
    with pytest.raises(ResourceError, match="not to 7"):
        Service({"/": 7})
    with pytest.raises(RoutesError, match=r"routes are a mapping, .* this is a list"):
        Service([("/", Resource())])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"cors": "*"}, r"write cors=Cors\(origins"),
        ({"refusals": {"KeyError": NotFound}}, "write the exception's type and a function"),
        ({"refusals": {KeyError: NotFound()}}, "write the exception's type and a function"),
    ],
)
def test_what_a_service_is_given_is_looked_at(keywords, message):
    """A mistake shows when the service starts, not with the first request that comes there."""
    with pytest.raises(ResourceError, match=message):
        Service({"/": Resource()}, **keywords)
    right = {KeyError: lambda _: NotFound()}
    Service({"/": Resource()}, cors=Cors(origins=("*",)), refusals=right)


def test_an_answer_that_cannot_be_written_names_the_resource():
    """The encoder knows nothing of it."""
    with pytest.raises(TypeError) as raised:
        ask(Resource(name="odd", handle_ok=lambda _, __: Foreign()), "GET /")
    assert "This was the answer of 'odd', in application/json" in raised.value.__notes__[0]


def test_a_line_without_a_path_is_no_request():
    """Nor is a path without a method."""
    for line in ("GET", "/products"):
        with pytest.raises(ValueError, match="write the method and the path"):
            ask(Resource(), line)


def test_a_refusal_has_a_status():
    """A class of one's own says which."""

    class Odd(Refused):
        status: ClassVar[int] = 599

    assert 599 == Odd("x").status
