"""The specialised functions answer as the plain walk does: same status, fields, content and questions."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from ogrom.http import (
    CSV,
    DECISIONS,
    HANDLERS,
    JSON,
    MSGPACK,
    Accepted,
    Answer,
    BadRequest,
    ContentTooLarge,
    Cors,
    Created,
    ETag,
    Gone,
    NoContent,
    Request,
    Resource,
    Response,
    SeeOther,
    Service,
    ServiceUnavailable,
    Updated,
)
from ogrom.http._resume import Resume


class Draft(Struct, frozen=True):
    """What is sent."""

    name: str


class Filter(Struct, frozen=True):
    """What the query says."""

    page: int = 1


class Busy(Exception):
    """Knows nothing of HTTP: what it means is said to the service."""


SIMPLE = [
    "method_known", "method_allowed", "content_headers_valid", "content_type_known",
    "content_length_valid", "can_post_to_gone",
    "service_available", "uri_too_long", "malformed", "too_many_requests", "allowed",
    "unavailable_for_legal_reasons", "processable", "existed", "can_put_to_missing",
    "can_post_to_missing", "allowed_for_entity", "multiple_representations", "conflict",
]  # fmt: skip
MOSTLY_YES = {
    "service_available", "allowed", "processable", "allowed_for_entity", "method_known",
    "method_allowed", "content_headers_valid", "content_type_known", "content_length_valid",
}  # fmt: skip
RARE = {name for name in MOSTLY_YES if name.startswith(("method_", "content_"))}
QUERIES = ["", "page=2", "page=x", "page=1&page=2", "else=1"]
OUTCOMES = [
    NoContent(), Created("made", at="/x", etag="r2"), Created(None), Updated(["new"]),
    Accepted("later"), SeeOther("/y"), Created({"a": "y" * 900}, at="/\r\nx"), Created("é", etag='"'),
    Created(Answer({"x": 1}, {"Link": "</z>"}), at="/x"), Created(at="/é", etag="r3"), "no outcome",
]  # fmt: skip
RAISED = [
    BadRequest("no"), Gone(), ServiceUnavailable(retry_after=3), ValueError("unexpected"), Busy(),
]  # fmt: skip
METHODS = [
    "GET",
    "HEAD",
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "BREW",
]
HEADERS = {
    "accept": ["*/*", "application/json", "application/msgpack", "text/csv", "a/b", "application/json;q=0", ";;", ""],
    "accept-language": ["de", "fr;q=0.5, de", "xx", "de;q=0, fr;q=0", "*;q=0", "fr"],
    "accept-charset": ["utf-8", "utf-8;q=0, *;q=0", "iso-8859-1"],
    "accept-encoding": ["gzip", "br, gzip", "identity;q=0", "*;q=0", "zstd", ""],
    "if-match": ['"r1"', '"r1~gzip"', "*", 'W/"r1"', '"x", "r1"', "nonsense"],
    "if-none-match": ['"r1"', "*", " * ", 'W/"r1"', '"x", "r1"', '"r 1"', "nonsense", '"r1~fr"', '"e"'],
    "if-modified-since": ["Wed, 01 Apr 2015 12:00:00 GMT", "Wed, 01 Apr 2026 12:00:00 GMT", "never"],
    "if-unmodified-since": ["Wed, 01 Apr 2015 12:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "no"],
    "origin": ["https://a.example", "https://b.example"],
    "access-control-request-method": ["PUT"],
    "content-type": ["application/json", "text/plain", "application/merge-patch+json", "??"],
    "content-length": ["14", "x", "99999999"],
    "content-range": ["bytes 0-1/2"],
}  # fmt: skip
ENTITIES = [
    "there", [], {"a": 1}, ["y" * 900], Draft("struct"), 0, None, None, Answer(["x"], {"Link": "</z>"}),
]  # fmt: skip
THEN = datetime(2015, 4, 1, 12, tzinfo=UTC)


def service(choose: Any, log: list[str]) -> Service:
    """A service of one resource, as chance has it; its functions note that they were asked."""
    given: dict[str, Any] = {}
    waits = choose(10) == 0

    def function(name: str, value: Any, *, awaited: bool | None = None) -> Any:
        raised = RAISED[choose(len(RAISED))] if choose(25) == 0 else None

        def answer(*_: object) -> Any:
            log.append(name)
            if raised is not None:
                raise raised
            return value

        async def answer_later(*_: object) -> Any:
            if waits:
                await asyncio.sleep(0)
            return answer()

        def answer_by_promise(*_: object) -> Any:
            return answer_later()

        if awaited is True:
            return answer_later
        if awaited is False:
            return answer
        return (answer, answer_later, answer_by_promise)[choose(3)]

    acts = [name for name in ("post", "put", "patch", "delete") if choose(3)]
    for name in acts:
        given[name] = function(name, OUTCOMES[choose(len(OUTCOMES))], awaited=True)
    for name in SIMPLE:
        needs = {
            "can_put_to_missing": "put", "can_post_to_missing": "post", "can_post_to_gone": "post",
        }.get(name)  # fmt: skip
        if choose(15 if name in RARE else 3) or (needs is not None and needs not in acts):
            continue
        value = (choose(8) > 0) == (name in MOSTLY_YES)
        given[name] = value if choose(2) else function(name, value)
    if choose(4):
        given["exists"] = function("exists", ENTITIES[choose(len(ENTITIES))], awaited=True)
    if choose(4) == 0:
        given |= {
            "challenge": "Bearer",
            "authorized": function("authorized", choose(3) > 0, awaited=True),
        }
    tags = [ETag("e"), ETag("e", weak=True), *[function("", tag, awaited=False) for tag in
            ("r1", "r-1", "r 1", "é", None, ETag("e"), "r1", "r1")], None]  # fmt: skip
    given["etag"] = tags[choose(len(tags))]
    dates = [THEN, function("", THEN, awaited=False), function("", None, awaited=False), None, None]
    given["last_modified"] = dates[choose(len(dates))]
    given["media_types"] = [(JSON, MSGPACK), (JSON,), (CSV, JSON), (JSON, MSGPACK, CSV)][choose(4)]
    given["languages"] = [(), ("de",), ("de", "fr"), ("f r", "de")][choose(4)]
    given["encodings"] = [("zstd", "br", "gzip"), (), ("gzip",)][choose(3)]
    given["charsets"] = [("utf-8",), ("utf-8", "iso-8859-1")][choose(2)]
    given["cache_control"] = [None, "no-cache"][choose(2)]
    given["retry_after"] = [None, 7][choose(2)]
    if set(acts) - {"delete"} and choose(2):
        given["body"] = Draft
    if choose(4) == 0 and (given["etag"] is not None or given["last_modified"] is not None):
        given["precondition_required"] = True
    if not given.get("existed"):
        given.pop("can_post_to_gone", None)
    else:
        for name in ("moved_permanently", "permanent_redirect", "moved_temporarily"):
            if choose(3) == 0:
                places = ["/moved", None, "/\r\nmoved"]
                where = function(name, places[choose(3)])
                given[name] = "/fixed" if choose(3) == 0 else where
    if "put" in acts and choose(3) == 0:
        given["put_to_different_url"] = function("put_to_different_url", [None, "/else"][choose(2)])
    if choose(3) == 0:
        given["query"] = Filter
    if choose(4) == 0:
        given["max_content"] = 14
    for name in HANDLERS:
        if hasattr(Resource, name) and choose(4) == 0:
            given[name] = function(name, ENTITIES[choose(len(ENTITIES))] or name)
    cors = [None, Cors(origins=("*",)), Cors(origins=("https://a.example",), credentials=True)][
        choose(3)
    ]
    refusals = {Busy: lambda _: ServiceUnavailable("busy", retry_after=2)}
    return Service({"/r": Resource(name="r", **given)}, cors=cors, refusals=refusals)


@pytest.mark.no_cover
@settings(max_examples=400, deadline=None)
@given(st.data())
def test_the_specialised_function_answers_as_the_plain_walk_does(data: Any) -> None:
    """For whatever resource and request: the response, and what was asked of the resource, in order."""
    random = data.draw(st.randoms(use_true_random=False))
    choose = random.randrange
    log: list[str] = []
    made = service(choose, log)
    for _ in range(6):
        fields = {
            name: values[choose(len(values))] for name, values in HEADERS.items() if choose(5) == 0
        }
        content = [b"", b'{"name":"hat"}', b"{", b'{"name":1}', b'{"name":"a hat"}'][choose(5)]
        request = Request(
            method=METHODS[choose(len(METHODS))],
            path="/r",
            query=QUERIES[choose(len(QUERIES))],
            headers=fields,
            content=content if choose(3) else reader(content, log, fails=choose(5) == 0),
            id="i",
        )
        answers: list[tuple[Response, list[str]]] = []
        for way in (
            made.walk,
            made.respond,
            made.respond,
        ):  # the second time from what it remembers
            log.clear()
            answers.append((asyncio.run(run(way, request)), [name for name in log if name]))
        plain, *specialised = [(said(response), asked) for response, asked in answers]
        assert specialised == [plain, plain]


def reader(content: bytes, log: list[str], *, fails: bool) -> Any:
    """Reads a content as a server does: it really waits, and may find that there is too much."""

    async def read() -> bytes:
        await asyncio.sleep(0)
        log.append("read")
        if fails:
            raise ContentTooLarge
        return content

    return read


async def run(way: Any, request: Request) -> Response:
    return await way(request)


def said(response: Response) -> Any:
    """All of a response; of an unexpected error its type and text."""
    return (
        response.status, tuple(response.headers), response.content, response.route, repr(response.error),
    )  # fmt: skip


async def there(_: object) -> str:
    return "there"


def test_a_traced_request_goes_the_way_that_the_specialised_one_goes() -> None:
    """The trace takes the plain walk; response and route are those of the specialised function."""
    made = Service({"/r": Resource(name="r", exists=there, etag=lambda _: "r1")})
    for fields in ({}, {"if-none-match": '"r1"'}, {"accept": "a/b"}):
        request = Request(method="GET", path="/r", headers=fields)
        traced = asyncio.run(run(made.trace, request))
        assert said(asyncio.run(run(made.respond, request))) == said(traced.response)
        assert HANDLERS[traced.steps[-1].name] == traced.response.status
        assert all(step.name in DECISIONS for step in traced.steps[:-1])


def test_the_source_can_be_read() -> None:
    """What is known of the resource is not asked; what is not stands there."""
    made = Service({"/r": Resource(name="r", exists=there, etag=lambda _: "r1")})
    source = made.source("r", "GET")
    assert "await exists(ctx)" in source
    assert "service_available" not in source
    with pytest.raises(LookupError, match="there are r"):
        made.source("s", "GET")


async def made(_: object, __: object) -> Created:
    return Created(Draft("hat"), at="/r/2", etag="r2")


ORDINARY = [
    (200, "GET", {}),
    (200, "HEAD", {"accept": "*/*"}),
    (200, "GET", {"accept-encoding": "gzip", "accept-language": "de"}),
    (200, "GET", {"if-none-match": '"r0"', "if-modified-since": "Wed, 01 Apr 2015 12:00:00 GMT"}),
    (304, "GET", {"if-none-match": '"r1"'}),
    (304, "GET", {"if-none-match": 'W/"r1~gzip"', "accept-encoding": "gzip"}),
    (304, "GET", {"if-modified-since": "Wed, 01 Apr 2015 12:00:00 GMT"}),
    (201, "POST", {"content-type": "application/json", "content-length": "14", "if-match": '"r1"'}),
]


@pytest.mark.parametrize(("status", "method", "fields"), ORDINARY)
def test_the_ordinary_way_makes_no_walk(
    status: int, method: str, fields: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What most requests come to is answered without the plain walk, and as the plain walk does."""
    resource = Resource(
        name="r",
        exists=there,
        etag=lambda _: "r1",
        last_modified=lambda _: THEN,
        body=Draft,
        post=made,
    )
    service = Service({"/r/{id}": resource})
    content = b'{"name":"hat"}' if method == "POST" else b""
    request = Request(method=method, path="/r/1", headers=fields, content=content)
    plain = asyncio.run(run(service.walk, request))
    monkeypatch.delattr(Resume, "_walk")
    response = asyncio.run(run(service.respond, request))

    assert status == response.status
    assert said(response) == said(plain)


@pytest.mark.parametrize(
    "path",
    ["/1", "1", "", "/", "/a-b", "/.", "/%31", "/1/", "/p/1", "/p/new", "/p/n", "/p/1/c", "/é"],
)
def test_a_path_matched_in_place_leads_where_the_router_leads(path: str) -> None:
    """Whatever stands around a value, and whatever else might be meant."""
    named = {name: Resource(name=name, handle_ok=lambda ctx, _: ctx.request.path) for name in "ab"}
    shown = Resource(name="e", handle_ok=lambda ctx, _: [ctx.request.path, ctx["x"]])
    inner = {"/new": named["a"], "/{x}": {"": shown, "/c": named["b"]}}
    for routes in ({"/{x}": shown}, {"/{x}": shown, "/p": inner}):
        service = Service(routes)
        request = Request(method="GET", path=path)
        assert said(asyncio.run(run(service.respond, request))) == said(
            asyncio.run(run(service.walk, request))
        )


def test_routes_of_one_resource_keep_their_own_links() -> None:
    """A function is compiled once for all mounts of a resource, and links stay within each."""
    resource = Resource(name="r", handle_ok=lambda ctx, _: ctx.path_for("r", x="1"))
    service = Service({f"/{locale}": {"/{x}": resource} for locale in ("de", "fr")})
    for locale in ("de", "fr", "de"):
        response = asyncio.run(run(service.respond, Request(method="GET", path=f"/{locale}/2")))
        assert f'"/{locale}/1"'.encode() == response.content


def test_the_document_shows_the_function_that_is_generated() -> None:
    """`docs/engine.md` has a resource, and what becomes of it: to the letter."""
    text = (Path(__file__).parents[2] / "docs" / "engine.md").read_text()
    resource, generated = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(resource, names)
    assert names["service"].source("hello", "GET") == generated


def test_a_traceback_shows_the_generated_line() -> None:
    """An error in a resource's function names the line of the function that called it."""
    import traceback

    async def fail(_: object) -> str:
        raise ValueError("broken")

    made = Service({"/r": Resource(name="r", exists=fail)})
    response = asyncio.run(run(made.respond, Request(method="GET", path="/r")))
    assert response.error is not None
    shown = "".join(traceback.format_exception(response.error))
    assert "<ogrom: GET r>" in shown
    assert "await exists(ctx)" in shown
