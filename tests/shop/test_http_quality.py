"""Every endpoint of the real server, in every way that a client may ask: HTTP to the letter."""

import gzip
import json

import pytest
from support.quality import links, of_answer, of_shared, of_url
from support.server import shop_server
from support.wire import Wire

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
