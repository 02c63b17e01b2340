"""What HTTP asks of a resource, end to end, with the path that was taken."""

import gzip
from datetime import UTC, datetime

import brotli
import msgspec
import pytest
import zstandard
from msgspec import Struct

from ogrom.http import (
    CSV,
    FORM,
    JSON,
    MSGPACK,
    Accepted,
    Answer,
    BadRequest,
    Conflict,
    ContentTooLarge,
    Context,
    Cors,
    Created,
    ETag,
    Forbidden,
    Gone,
    LinkError,
    Media,
    MediaType,
    NoContent,
    NotFound,
    PreconditionFailed,
    Request,
    Resource,
    SeeOther,
    Service,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    UnprocessableContent,
    Updated,
    Written,
    problem,
)
from ogrom.http.testing import ask

THEN = datetime(2015, 4, 1, 12, 0, 0, 500_000, tzinfo=UTC)


class Thing(Struct, frozen=True):
    """What is kept."""

    id: str
    words: str = "x" * 600
    revision: str = "r1"


THING = Thing("7")


class Draft(Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent."""

    words: str


async def find(ctx: Context):
    """The thing, if it is asked for."""
    return THING if ctx["id"] == "7" else None


def thing(**keywords):
    """A resource at /things/{id}."""
    resource = Resource(
        name="thing", **{"exists": find, "etag": lambda each: each.revision, **keywords}
    )
    return Service({"/things/{id}": resource})


def acting(outcome):
    """An action that did this, or that refuses so."""

    async def act(ctx, entity):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return act


# methods


def test_head_is_get_without_content():
    """The same fields, Content-Length too."""
    get, head = ask(thing(), "GET /things/7"), ask(thing(), "HEAD /things/7")
    assert get.headers == head.headers
    assert (200, b"") == (head.status, head.content)
    assert str(len(get.content)) == get.headers["content-length"]


def test_options_comes_for_free():
    """With what may be asked, and what PATCH reads."""
    reply = ask(thing(body=Draft, patch=acting(NoContent())), "OPTIONS /things/7")
    assert (200, "GET, HEAD, PATCH, OPTIONS") == (reply.status, reply.headers["allow"])
    assert "application/merge-patch+json" in reply.headers["accept-patch"]


@pytest.mark.parametrize(
    ("method", "status"), [("DELETE", 405), ("TRACE", 405), ("BREW", 501), ("get", 501)]
)
def test_other_methods_are_refused(method, status):
    """405 with Allow for those that exist; 501 for those that do not; they are case-sensitive."""
    reply = ask(thing(), f"{method} /things/7")
    assert status == reply.status
    assert (status == 405) == ("allow" in reply.headers)


def test_the_server_as_a_whole_has_options_only():
    """RFC 9110, section 9.3.7."""
    assert 200 == ask(thing(), "OPTIONS *").status
    assert 400 == ask(thing(), "GET *").status


# refusals and failures


@pytest.mark.parametrize(
    ("refusal", "status", "field"),
    [
        (BadRequest("b"), 400, None),
        (Unauthorized("u", challenge="Bearer"), 401, ("www-authenticate", "Bearer")),
        (Forbidden("f"), 403, None),
        (NotFound("n"), 404, None),
        (Conflict("c"), 409, None),
        (Gone("g"), 410, None),
        (PreconditionFailed("p"), 412, ("etag", '"r1"')),
        (ContentTooLarge("l"), 413, None),
        (UnprocessableContent("e"), 422, None),
        (TooManyRequests("t", retry_after=7), 429, ("retry-after", "7")),
        (ServiceUnavailable("s", retry_after=3), 503, ("retry-after", "3")),
    ],
)
def test_an_action_may_refuse(refusal, status, field):
    """By raising; the path ends at that status' handler, and the detail is the refusal's."""
    reply = ask(thing(delete=acting(refusal)), "DELETE /things/7")
    assert (status, "delete") == (reply.status, reply.trace[-2])
    assert refusal.detail == reply.json()["detail"]
    if field:
        assert field[1] == reply.headers[field[0]]


def test_an_exception_that_knows_no_http_can_mean_a_refusal():
    """Whoever wires the service says which."""
    service = Service(
        {"/": Resource(exists=acting_find(TimeoutError()))},
        refusals={OSError: lambda error: ServiceUnavailable("Later.", retry_after=1)},
    )
    assert (503, "1") == ((reply := ask(service, "GET /")).status, reply.headers["retry-after"])


def acting_find(error):
    """An `exists` that raises."""

    async def fails(ctx):
        raise error

    return fails


def answer(service, line, **headers):
    """As a server would have it: what fails is a 500."""
    method, path = line.split()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = service.respond(Request(method=method, path=path, headers=fields, id="me"))
    with pytest.raises(StopIteration) as done:
        asked.send(None)
    return done.value.value


def test_what_fails_is_a_500_that_tells_no_secret():
    """The id leads to the log, where the error is."""
    response = answer(Service({"/": Resource(exists=acting_find(LookupError("secret")))}), "GET /")
    assert 500 == response.status
    assert isinstance(response.error, LookupError)
    assert b"secret" not in response.content
    assert "me" == msgspec.json.decode(response.content)["request_id"]


def test_a_handler_that_fails_is_a_500_as_well():
    """And so is the handler of that 500, and one that refuses there."""

    def broken(ctx, *_):
        raise LookupError("secret")

    def refuses(ctx, *_):
        raise NotFound("no")

    for keywords in (
        {"handle_ok": broken},
        {"handle_ok": broken, "handle_internal_server_error": broken},
        {"handle_not_found": broken, "exists": False},
        {"handle_not_found": refuses, "exists": False},
    ):
        response = answer(Service({"/": Resource(**keywords)}), "GET /")
        assert (500, True) == (response.status, response.error is not None)
        assert b"secret" not in response.content
    assert 404 == answer(Service({"/": Resource(handle_ok=refuses)}), "GET /").status


def test_an_action_that_returns_no_outcome_is_told_so():
    """The message lists the outcomes."""
    with pytest.raises(TypeError, match="return Created"):
        ask(thing(delete=acting(None)), "DELETE /things/7")
    with pytest.raises(TypeError, match="no delete="):
        ask(thing(method_allowed=True), "DELETE /things/7")


def test_errors_are_written_in_the_client_s_media_type():
    """MessagePack for those who ask for it; problem+json for everybody else."""
    reply = ask(thing(), "GET /things/8", accept="application/msgpack")
    assert "application/msgpack" == reply.headers["content-type"]
    assert 404 == msgspec.msgpack.decode(reply.content)["status"]
    reply = ask(thing(), "GET /things/8", accept="text/html")
    assert (406, "application/problem+json") == (reply.status, reply.headers["content-type"])
    reply = ask(thing(), "GET /nowhere", accept="application/msgpack")
    assert 404 == msgspec.msgpack.decode(reply.content)["status"]


def test_a_handler_says_it_in_its_own_words():
    """A problem with a type of its own, or any other value."""
    told = problem("None of that id.", type="https://a.example/none", title="None")
    reply = ask(thing(handle_not_found=told), "GET /things/8")
    assert ("https://a.example/none", "None") == (reply.json()["type"], reply.json()["title"])
    reply = ask(thing(handle_not_found=lambda ctx: {"own": 1}), "GET /things/8")
    assert {"own": 1} == reply.json()


def test_nothing_is_there_but_a_slash_away():
    """And a malformed path is a 400."""
    assert "/things/7" in ask(thing(), "GET /things/7/").json()["detail"]
    assert 400 == ask(thing(), "GET /things/%zz").status
    cors = Service({"/a": Resource()}, cors=Cors(origins=("https://a.example",)))
    reply = ask(cors, "GET /b", origin="https://a.example")
    assert "https://a.example" == reply.headers["access-control-allow-origin"]


def test_an_error_is_kept_by_nobody_unless_it_says_so():
    """It is about one request; without a word caches might keep a 404 (RFC 9110, section 15.1)."""
    for target in ("GET /nowhere", "GET /things/8", "DELETE /things/7"):
        reply = ask(thing(), target)
        assert (reply.status, "no-store") == (reply.status, reply.headers["cache-control"])
    told = Answer({"gone": True}, {"Cache-Control": "max-age=60"})
    reply = ask(thing(handle_not_found=lambda ctx: told), "GET /things/8")
    assert (404, "max-age=60") == (reply.status, reply.headers["cache-control"])


def test_where_all_origins_are_allowed_every_answer_says_so():
    """A cache may give it to a page, whoever it was made for; Vary need not name Origin then."""
    everybody = Service({"/a": Resource(name="a")}, cors=Cors(origins=("*",)))
    for line in ("GET /a", "GET /b", "OPTIONS /a"):
        assert "*" == ask(everybody, line).headers["access-control-allow-origin"]
    some = Service({"/a": Resource(name="a")}, cors=Cors(origins=("https://a.example",)))
    reply = ask(some, "GET /a")
    assert "access-control-allow-origin" not in reply.headers
    assert "Origin" in reply.headers["vary"]


# negotiation


def test_what_is_short_is_coded_only_where_it_must_be():
    """`identity;q=0` refuses what is not coded (RFC 9110, section 12.5.3)."""
    service = thing(handle_ok=lambda ctx, _: {"a": 1})
    assert "content-encoding" not in ask(service, "GET /things/7", accept_encoding="gzip").headers
    reply = ask(service, "GET /things/7", accept_encoding="gzip, identity;q=0")
    assert "gzip" == reply.headers["content-encoding"]
    assert b'{"a":1}' == gzip.decompress(reply.content)


def test_json_messagepack_and_csv():
    """One value, three ways, and Vary says so."""
    service = thing(media_types=(JSON, MSGPACK, CSV), handle_ok=lambda ctx, _: [{"a": 1, "b": [2]}])
    assert [{"a": 1, "b": [2]}] == ask(service, "GET /things/7").json()
    packed = ask(service, "GET /things/7", accept="application/msgpack")
    assert [{"a": 1, "b": [2]}] == msgspec.msgpack.decode(packed.content)
    table = ask(service, "GET /things/7", accept="text/csv")
    assert "a,b\r\n1,[2]\r\n" == table.text
    assert "Accept, Accept-Encoding" == table.headers["vary"]
    one = ask(thing(media_types=(CSV,), handle_ok=lambda ctx, _: {"x": None}), "GET /things/7")
    assert "x\r\n\r\n" == one.text.replace('""', "")
    plain = ask(thing(media_types=(CSV,), handle_ok=lambda ctx, _: ["ł"]), "GET /things/7")
    assert "value\r\nł\r\n" == plain.text


@pytest.mark.parametrize(
    "within", [lambda one: one, lambda one: [one], lambda one: {"items": [one]}]
)
def test_what_is_written_once_is_the_same_in_every_media_type(within):
    """By itself and within others."""
    one = {"a": 1, "b": "x"}
    plain = thing(media_types=(JSON, MSGPACK, CSV), handle_ok=lambda ctx, _: within(one))
    kept = within(Written(one))
    service = thing(media_types=(JSON, MSGPACK, CSV), handle_ok=lambda ctx, _: kept)
    for accept in ("application/json", "application/msgpack", "text/csv", "application/json"):
        expected = ask(plain, "GET /things/7", accept=accept)
        reply = ask(service, "GET /things/7", accept=accept)
        assert (expected.status, expected.headers, expected.content) == (
            reply.status, reply.headers, reply.content
        )  # fmt: skip


@pytest.mark.parametrize("accept", ["application/json", "application/msgpack", "text/csv"])
def test_what_cannot_be_written_says_so(accept):
    """In each media type, with the value's type and what could be."""
    service = thing(media_types=(JSON, MSGPACK, CSV), handle_ok=lambda ctx, _: {"x": object()})
    with pytest.raises(TypeError, match="objects of type object") as failed:
        ask(service, "GET /things/7", accept=accept)
    assert "answer what can be written in it" in failed.value.__notes__[0]


@pytest.mark.parametrize(
    ("coding", "unpack"),
    [
        ("gzip", gzip.decompress),
        ("br", brotli.decompress),
        ("zstd", zstandard.decompress),
    ],
)
def test_codings_are_really_applied(coding, unpack):
    """And each variant has a tag of its own, which If-Match takes for the same revision."""
    plain = ask(thing(delete=acting(NoContent())), "GET /things/7")
    packed = ask(thing(delete=acting(NoContent())), "GET /things/7", accept_encoding=coding)
    assert coding == packed.headers["content-encoding"]
    assert plain.content == unpack(packed.content)
    assert f'"r1~{coding}"' == packed.headers["etag"]
    crossed = ask(thing(), "GET /things/7", if_none_match=packed.headers["etag"])
    assert 200 == crossed.status
    service = thing(delete=acting(NoContent()))
    assert 204 == ask(service, "DELETE /things/7", if_match=packed.headers["etag"]).status
    assert 412 == ask(service, "DELETE /things/7", if_match='"r1~x"').status
    assert 412 == ask(service, "DELETE /things/7", if_match='"r12"').status


def test_languages_and_charsets():
    """The answer says which; what a charset cannot write is written in UTF-8."""
    text = Media(MediaType("text", "plain"), lambda value: str(value))
    service = thing(
        languages=("de-DE", "fr-FR"),
        charsets=("utf-8", "latin-1"),
        media_types=(text,),
        handle_ok=lambda ctx, _: f"{ctx.language} é" + ("ł" if ctx.request.query else ""),
    )
    reply = ask(service, "GET /things/7", accept_language="fr", accept_charset="latin-1")
    assert ("fr-FR", "text/plain; charset=latin-1") == (
        reply.headers["content-language"],
        reply.headers["content-type"],
    )
    assert "fr-FR é".encode("latin-1") == reply.content
    assert "Accept-Language, Accept-Charset, Accept-Encoding" == reply.headers["vary"]
    assert '"r1~fr-FR~latin-1"' == reply.headers["etag"]
    reply = ask(service, "GET /things/7?x", accept_charset="latin-1")
    assert ("text/plain; charset=utf-8", "de-DE éł") == (reply.headers["content-type"], reply.text)


# conditional requests


def test_a_304_renders_nothing():
    """And carries what a cache needs."""
    rendered = []
    service = thing(
        handle_ok=lambda ctx, each: rendered.append(each),
        cache_control="max-age=5",
        last_modified=lambda _: THEN,
    )
    reply = ask(service, "GET /things/7", if_none_match='"r0", W/"r1"')
    assert (304, [], b"") == (reply.status, rendered, reply.content)
    assert {"etag", "cache-control", "vary", "last-modified"} == set(reply.headers)
    assert ("etag_matches_for_if_none_match", "if_none_match_reads") == reply.trace[-3:-1]


@pytest.mark.parametrize(
    ("line", "fields", "status"),
    [
        ("GET", {"if_none_match": "*"}, 304),
        ("GET", {"if_none_match": '"r0"'}, 200),
        ("GET", {"if_match": '"r0"'}, 412),
        ("GET", {"if_match": "*"}, 200),
        ("GET", {"if_modified_since": "Wed, 01 Apr 2015 12:00:00 GMT"}, 304),
        ("GET", {"if_modified_since": "Wednesday, 01-Apr-15 12:00:00 GMT"}, 304),
        ("GET", {"if_modified_since": "Wed Apr  1 11:59:59 2015"}, 200),
        (
            "GET",
            {"if_modified_since": "Wed, 01 Apr 2015 12:00:00 GMT", "if_none_match": '"r0"'},
            200,
        ),
        ("GET", {"if_unmodified_since": "Wed, 01 Apr 2015 11:59:59 GMT"}, 412),
        ("GET", {"if_unmodified_since": "Wed, 01 Apr 2015 12:00:00 GMT"}, 200),
        ("GET", {"if_unmodified_since": "Wed, 01 Apr 2015 11:59:59 GMT", "if_match": '"r1"'}, 200),
        ("DELETE", {}, 428),
        ("DELETE", {"if_match": 'W/"r1"'}, 412),
        ("DELETE", {"if_match": '"a", "r1"'}, 204),
        ("DELETE", {"if_none_match": "*"}, 412),
        ("DELETE", {"if_unmodified_since": "Wed, 01 Apr 2015 12:00:00 GMT"}, 204),
        ("DELETE", {"if_unmodified_since": "Wed, 01 Apr 2014 12:00:00 GMT"}, 204),
        ("DELETE", {"if_modified_since": "Wed, 01 Apr 2015 12:00:00 GMT", "if_match": '"r1"'}, 204),
    ],
)
def test_preconditions_in_their_order(line, fields, status):
    """RFC 9110, section 13.2.2; 428 by RFC 6585, section 3. A wrong weekday makes no date."""
    service = thing(
        delete=acting(NoContent()), precondition_required=True, last_modified=lambda _: THEN
    )
    assert status == ask(service, f"{line} /things/7", **fields).status


def test_nothing_matches_what_is_missing():
    """Not even a star."""
    reply = ask(thing(), "GET /things/8", if_match="*")
    assert (412, "if_match_exists_for_missing") == (reply.status, reply.trace[-2])
    created = thing(put=acting(Created()), can_put_to_missing=True)
    assert 412 == ask(created, "PUT /things/8", if_match='"r1"').status
    assert 201 == ask(created, "PUT /things/8", if_none_match="*").status
    assert 412 == ask(created, "PUT /things/7", if_none_match="*").status


def test_a_whole_tag_is_taken_as_it_is():
    """Weak ones too, for every variant; None is none."""
    service = thing(etag=lambda _: ETag("a", weak=True))
    reply = ask(service, "GET /things/7", accept_encoding="gzip")
    assert 'W/"a"' == reply.headers["etag"]
    assert 304 == ask(service, "GET /things/7", if_none_match='"a"').status
    assert 412 == ask(service, "GET /things/7", if_match='W/"a"').status
    assert "etag" not in ask(thing(etag=lambda _: None), "GET /things/7").headers
    assert 412 == ask(thing(etag=None), "GET /things/7", if_match='"a"').status
    assert 200 == ask(thing(etag=None), "GET /things/7", if_none_match='"a"').status


# outcomes


@pytest.mark.parametrize(
    ("method", "outcome", "status", "fields"),
    [
        (
            "post",
            Created(Thing("8"), at="/things/8", etag="r1"),
            201,
            {"location": "/things/8", "etag": '"r1"'},
        ),
        ("post", Accepted({"job": 1}, at="/jobs/1"), 202, {"location": "/jobs/1"}),
        ("post", SeeOther("/elsewhere"), 303, {"location": "/elsewhere"}),
        ("post", NoContent(), 204, {}),
        ("post", Updated(Thing("7", revision="r2")), 200, {}),
        ("put", Updated(Thing("7", revision="r2")), 200, {"content-location": "/things/7"}),
        ("put", Created(Thing("7")), 200, {}),
        ("put", Created(), 204, {}),
        ("patch", Updated(Thing("7", revision="r2")), 200, {"etag": '"r2"'}),
        ("patch", NoContent(), 204, {}),
        ("delete", Accepted(), 202, {}),
        ("delete", Updated(Thing("7")), 200, {}),
    ],
)
def test_the_graph_reads_what_an_action_did(method, outcome, status, fields):
    """Status and fields follow; a PUT to what exists creates nothing and sends no validator."""
    reply = ask(thing(**{method: acting(outcome)}), f"{method.upper()} /things/7")
    assert status == reply.status
    assert fields.items() <= reply.headers.items()
    if method == "put":
        assert "etag" not in reply.headers


@pytest.mark.parametrize(
    ("keywords", "status"),
    [
        ({"moved_permanently": "/new"}, 301),
        ({"permanent_redirect": lambda ctx: "/new"}, 308),
        ({"moved_temporarily": acting_find}, 307),
        ({}, 410),
    ],
)
def test_what_existed_has_gone_somewhere(keywords, status):
    """Or nowhere."""

    async def there(ctx):
        return "/new"

    if "moved_temporarily" in keywords:
        keywords = {"moved_temporarily": there}
    reply = ask(thing(existed=True, **keywords), "GET /things/8")
    assert status == reply.status
    assert ("/new" if status != 410 else None) == reply.headers.get("location")


def test_an_answer_may_add_fields():
    """Such as Link."""
    service = thing(handle_ok=lambda ctx, _: Answer([1], headers={"Link": "</>"}))
    assert "</>" == ask(service, "GET /things/7").headers["link"]


def test_decisions_may_wait():
    """An `async def` will do wherever a plain function does."""

    async def no(ctx, _=None):
        return False

    async def who(ctx):
        return "me" if ctx.request.headers.get("authorization") else None

    assert 403 == ask(thing(allowed=no), "GET /things/7").status
    assert 403 == ask(thing(allowed_for_entity=no), "GET /things/7").status
    service = thing(authorized=who, challenge="Bearer", handle_ok=lambda ctx, _: ctx.principal(str))
    assert "me" == ask(service, "GET /things/7", authorization="x").json()
    reply = ask(service, "GET /things/7")
    assert (401, "Bearer") == (reply.status, reply.headers["www-authenticate"])


# content


@pytest.mark.parametrize(
    ("content", "fields", "status"),
    [
        ('{"words": "a"}', {"content_type": "application/json"}, 204),
        ('{"words": "a"}', {"content_type": "application/json; charset=utf-8"}, 204),
        (b"\x81\xa5words\xa1a", {"content_type": "application/msgpack"}, 204),
        ("words=a+b", {"content_type": "application/x-www-form-urlencoded"}, 204),
        ("words", {"content_type": "application/x-www-form-urlencoded"}, 400),
        (gzip.compress(b'{"words": "a"}', mtime=0), {"content_type": "application/json", "content_encoding": "gzip"}, 204),
        (gzip.compress(b"0" * 5000, mtime=0), {"content_type": "application/json", "content_encoding": "gzip"}, 413),
        (gzip.compress(b'{"words": "a"}', mtime=0)[:-9], {"content_type": "application/json", "content_encoding": "gzip"}, 400),
        (b"plain", {"content_type": "application/json", "content_encoding": "gzip"}, 400),
        ("{}", {"content_type": "application/json", "content_encoding": "br"}, 415),
        ("{}", {"content_type": "application/json"}, 422),
        ('{"words": "a", "x": 1}', {"content_type": "application/json"}, 422),
        ('{"words": 1}', {"content_type": "application/json"}, 422),
        ("{", {"content_type": "application/json"}, 400),
        ("[" * 999, {"content_type": "application/json"}, 422),
        ("a", {"content_type": "text/plain"}, 415),
        ("a", {"content_type": "nonsense"}, 415),
        ("a", {}, 415),
        ("", {}, 400),
        ("x" * 1001, {"content_type": "application/json"}, 413),
        ("{}", {"content_type": "application/json", "content_length": "-1"}, 400),
        ("{}", {"content_type": "application/json", "content_range": "bytes 0-1/2"}, 400),
    ],
)  # fmt: skip
def test_content_is_read_checked_and_decoded(content, fields, status):
    """400, 413, 415 and 422, each where it belongs."""
    service = thing(
        body=Draft, consumes=(JSON, MSGPACK, FORM), max_content=1000, put=acting(NoContent())
    )
    reply = ask(service, "PUT /things/7", content, **fields)
    assert status == reply.status
    if status == 415:
        assert "application/json" in reply.headers["accept"]
        assert "gzip" in reply.headers["accept-encoding"]


def test_content_may_be_left_as_it_is():
    """`body=bytes`; and each method may have a type of its own."""
    seen = []

    async def put(ctx, _):
        seen.append(ctx.body(bytes))
        return NoContent()

    service = thing(body={"PUT": bytes}, put=put, post=acting(NoContent()))
    assert 204 == ask(service, "PUT /things/7", b"\x00", content_type="application/json").status
    assert [b"\x00"] == seen
    assert 204 == ask(service, "POST /things/7", b"ignored").status


def lazily(content, **fields):
    """A request whose content is read when it is wanted; and how often it was."""
    read = []

    async def reader():
        read.append(1)
        if isinstance(content, Exception):
            raise content
        return content

    headers = {"content-type": "application/json", "transfer-encoding": "chunked", **fields}
    return Request(method="PUT", path="/things/7", headers=headers, content=reader), read


@pytest.mark.parametrize(
    ("content", "keywords", "status", "reads"),
    [
        (b'{"words": "a"}', {}, 204, 1),
        (ContentTooLarge("much"), {}, 413, 1),
        (b"", {"allowed": False}, 403, 0),
    ],
)
def test_content_is_read_when_it_is_wanted(content, keywords, status, reads):
    """What is refused before is never read."""
    request, read = lazily(content)
    service = thing(body=Draft, put=acting(NoContent()), **keywords)
    asked = service.respond(request)
    with pytest.raises(StopIteration) as done:
        asked.send(None)
    assert (status, reads) == (done.value.value.status, len(read))


def test_what_is_asked_for_too_early_is_told_so():
    """`ctx.body` before the content was read is a mistake of the resource's author."""
    with pytest.raises(TypeError, match="nothing there"):
        ask(thing(handle_ok=lambda ctx, _: ctx.body(Draft)), "GET /things/7")
    with pytest.raises(KeyError, match="it has: id"):
        ask(thing(handle_ok=lambda ctx, _: ctx["name"]), "GET /things/7")
    with pytest.raises(ValueError, match="no routes"):
        Context(Request(method="GET", path="/")).path_for("x")


@pytest.mark.parametrize("place", ["/things/{id}", "/{shelf}/{id}"])
@pytest.mark.parametrize("value", ["a1", "a b", "ä", "a.b", "a/b"])
def test_a_linker_writes_what_path_for_writes(place, value):
    """Plain values and others; where the present path tells another parameter, and where it does not."""

    def show(ctx, _):
        url = ctx.linker("thing", "id")
        return {"ours": url(value), "theirs": ctx.path_for("thing", id=value)}

    routes = {"/x": {place: Resource(name="thing", handle_ok=show)}}
    shelf = place.replace("{id}", "7").replace("{shelf}", "top")
    if "shelf" in place:
        with pytest.raises(LinkError, match="shelf is missing"):
            ask(routes, f"GET /x{shelf}")
    else:
        found = ask(routes, f"GET /x{shelf}").json()
        assert found["ours"] == found["theirs"]


def test_ask_says_when_a_resource_waits_for_io():
    """It has no event loop to wait in."""

    class Forever:
        def __await__(self):
            yield

    async def waits(ctx):
        await Forever()

    with pytest.raises(RuntimeError, match="ask_async"):
        ask(Resource(exists=waits), "GET /")
