"""Every endpoint of the real server, in every way that a client may ask: HTTP to the letter."""

import json

import pytest
from support.exchange import Wire
from support.one_answer import of_answer, value
from support.quality import METHODS, of_shared, of_url
from support.server import shop_server

from shop.protocols import LOCALES

pytestmark = pytest.mark.slow

ANNA = "Bearer demo-anna"
JSON, MSGPACK, CSV = "application/json", "application/msgpack", "text/csv"
ONE, LIST = (JSON, MSGPACK), (JSON, MSGPACK, CSV)

READ = {
    "/": ("/", ONE),
    "/v1/{locale}": ("/v1/{locale}", ONE),
    "/v1/{locale}/products": ("/v1/{locale}/products?per_page=20", LIST),
    "/v1/{locale}/products/{product_id}": ("/v1/{locale}/products/g000001", ONE),
    "/v1/{locale}/products/{product_id}/ratings": ("/v1/{locale}/products/g000001/ratings", ONE),
    "/v1/{locale}/products/{product_id}/ratings/mine": (
        "/v1/{locale}/products/g000001/ratings/mine",
        ONE,
    ),
    "/v1/{locale}/products/{product_id}/comments": (
        "/v1/{locale}/products/{commented}/comments",
        LIST,
    ),
    "/v1/{locale}/comments/{comment_id}": ("/v1/{locale}/comments/{comment}", ONE),
    "/v1/{locale}/collages": ("/v1/{locale}/collages", LIST),
    "/v1/{locale}/collages/{collage_id}": ("/v1/{locale}/collages/{collage}", ONE),
    "/v1/{locale}/users/{user_id}": ("/v1/{locale}/users/anna", ONE),
}
"""Every route, with a path of it that can be read and the media types there."""

WITH_A_TOKEN = {"/v1/{locale}/products/{product_id}/ratings/mine"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One shop for all."""
    with shop_server(tmp_path_factory.mktemp("quality") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def wire(server):
    """A client of it."""
    client = Wire(server.port)
    yield client
    client.close()


@pytest.fixture(scope="module")
def made(wire):
    """In each locale: a comment, a collage and a rating of Anna's."""
    found = {}
    for locale in LOCALES:
        root = f"/v1/{locale}"
        fields = {"Authorization": ANNA, "Content_Type": JSON}
        comment = wire.ask(
            "POST", f"{root}/products/g000002/comments", b'{"text":"Nice"}', **fields
        )
        draft = json.dumps({"title": "Mine", "product_ids": ["g000001"]}).encode()
        collage = wire.ask("POST", f"{root}/collages", draft, **fields)
        assert (201, 201) == (comment.status, collage.status)
        wire.ask("PUT", f"{root}/products/g000001/ratings/mine", b'{"stars":3}', **fields)
        found[locale] = {
            "locale": locale,
            "commented": "g000002",
            "comment": comment["location"].rpartition("/")[2],
            "collage": collage["location"].rpartition("/")[2],
        }
    return found


async def test_no_route_is_left_out(service):
    """The table above has every route that there is."""
    routes = {
        route.template.replace(f"/v1/{locale}", "/v1/{locale}")
        for route in service.leaves()
        for locale in LOCALES
    }
    assert set(READ) == {each for each in routes if not any(one in each for one in LOCALES)}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("route", READ)
def test_every_way_to_ask(wire, made, route, locale):
    """Grammar, validators, Vary, preconditions, HEAD, OPTIONS, ranges, negotiation, paths, links."""
    target, media = READ[route]
    fields = {"Authorization": ANNA} if route in WITH_A_TOKEN else {}
    wrong = of_url(wire, target.format(**made[locale]), media=media, **fields)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("route", READ)
def test_what_is_shared_is_the_same_for_everybody(wire, made, route, locale):
    """With a token and without: what says `public` may not depend on it."""
    target = READ[route][0].format(**made[locale])
    assert not list(of_shared(wire, target, ANNA))


PRODUCT = "/v1/{locale}/products/g000003"
WRITTEN = [
    ("POST", f"{PRODUCT}/comments", {"text": "Nice"}, {"text": ""}, 201),
    (
        "POST",
        "/v1/{locale}/collages",
        {"title": "A", "product_ids": ["g000001"]},
        {"title": 1},
        201,
    ),
    ("PUT", f"{PRODUCT}/ratings/mine", {"stars": 4}, {"stars": 9}, 200),
    ("PATCH", "/v1/{locale}/comments/{comment}", {"text": "Nicer"}, {"text": 5}, 200),
    (
        "PUT",
        "/v1/{locale}/collages/{collage}",
        {"title": "B", "product_ids": ["g000002"]},
        {"title": "B", "product_ids": []},
        200,
    ),
]
"""Method, path, content, content that is not valid, and the status where all is well."""


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: f"{case[0]} {case[1]}")
def test_every_way_to_write(wire, made, case, locale):
    """Who may, in what, and on which condition; each answer is right by itself, and so is what it
    leads to.
    """
    method, target, good, bad, done = case
    target = target.format(**made[locale])
    overwrites = done == 200
    if overwrites:  # so that there is something to overwrite
        wire.ask(method, target, json.dumps(good).encode(), Authorization=ANNA, Content_Type=JSON)
    wrong = []

    whole = json.dumps(good).encode()

    def ask(status, content=whole, method=method, target=target, **fields):
        sent = {"Authorization": ANNA, "Content_Type": JSON, **fields}
        sent = {name: held for name, held in sent.items() if held}
        answer = wire.ask(method, target, content, **sent)
        wrong.extend(f"{method} {target} {sent}: {each}" for each in of_answer(method, answer))
        if answer.status != status:
            wrong.append(f"{method} {target} {sent}: {answer.status}, not {status}")
        return answer

    for media in (JSON, MSGPACK):
        ask(401, Authorization="", Accept=media)
        ask(401, Authorization="Bearer nobody", Accept=media)
        ask(401, Authorization="Basic YTpi", Accept=media)
        ask(415, Content_Type="text/plain", Accept=media)
        ask(415, Content_Type="", Accept=media)
        ask(415, Content_Encoding="br", Accept=media)
        ask(400, b"{", Accept=media)
        ask(400, b"", Accept=media)
        ask(400, b"{}", Content_Encoding="gzip", Accept=media)
        errors = value(ask(422, json.dumps(bad).encode(), Accept=media))["errors"]
        assert errors
        ask(422, b"[]", Accept=media)
        ask(413, b" " * 1_200_000, Accept=media)
    ask(406, Accept="image/png")
    if overwrites:
        ask(428)
        ask(412, If_Match='"x"')
        ask(412, If_None_Match="*")
        tag = ask(200, b"", method="GET")["etag"]
        answer = ask(done, If_Match=tag)
        ask(412, If_Match=tag)
        now = ask(200, b"", method="GET")
        if "content-location" in answer and value(answer) != value(now):
            wrong.append("what Content-Location names is not what was shown")
        if answer["etag"] not in {"", now["etag"]}:
            wrong.append(f"{answer['etag']} is not the tag that it has now")
        if method == "PUT" and "etag" in answer:
            wrong.append("a tag after PUT, though what is kept is not what was sent")
    else:
        answer = ask(done)
        there = ask(200, b"", method="GET", target=answer["location"])
        if (value(there), there["etag"]) != (value(answer), answer["etag"]):
            wrong.append("what Location names is not what was made")
        tag = there["etag"]
        ask(428, b"", method="DELETE", target=answer["location"])
        ask(204, b"", method="DELETE", target=answer["location"], If_Match=tag)
        ask(404, b"", method="GET", target=answer["location"])
        ask(412, b"", method="DELETE", target=answer["location"], If_Match=tag)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("target", ["/-/live", "/-/ready", "/-/metrics"])
def test_what_the_balancer_asks_is_right_too(wire, target):
    """GET and HEAD alike, and nothing else; kept by nobody."""
    get, head = wire.ask("GET", target), wire.ask("HEAD", target)
    assert not [
        *of_answer("HEAD", head),
        *(of_answer("GET", get) if "metrics" not in target else ()),
    ]
    assert (200, get["content-type"], get["content-length"]) == (
        head.status,
        head["content-type"],
        head["content-length"],
    )
    for method in METHODS:
        answer = wire.ask(method, target)
        if method == "OPTIONS":
            assert (200, "GET, HEAD, OPTIONS") == (answer.status, answer["allow"])
        elif method not in {"GET", "HEAD"}:
            assert (405, "GET, HEAD, OPTIONS") == (answer.status, answer["allow"])
            assert not list(of_answer(method, answer))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: all\r\n\r\n", 417),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ],
)
def test_what_is_refused_by_the_server_is_as_well_formed(server, sent, status):
    """What no resource ever sees: problem details, too."""
    client = Wire(server.port)
    answer = client.send(sent)
    client.close()
    assert status == answer.status
    assert not list(of_answer("GET", answer))
