"""The shop's API, asked in this process, on its real embedded sources."""

import csv
import io
import re

import msgspec
import pytest

from ogrom.http.testing import Reply, ask_async
from shop.protocols import LOCALES

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANNA, BRAM = "Bearer demo-anna", "Bearer demo-bram"
DE = "/v1/de-DE"


def links(reply: Reply) -> dict[str, str]:
    """The targets of a Link field by relation."""
    found = re.findall(r'<([^>]*)>; rel="(\w+)"', reply.headers["link"])
    return {relation: target for target, relation in found}


async def first_product(service) -> str:
    """The id of some product."""
    reply = await ask_async(service, f"GET {DE}/products?sort=name&per_page=1")
    return reply.json()["items"][0]["id"]


async def make_collage(service, token=ANNA) -> Reply:
    """A new collage of one product."""
    draft = {"title": "Mine", "product_ids": [await first_product(service)]}
    return await ask_async(service, f"POST {DE}/collages", json=draft, authorization=token)


async def test_a_search_finds_inflected_words(service):
    """ "rote Kleider" finds what the catalogue calls "rotes Kleid", with facets and a total."""
    reply = await ask_async(service, f"GET {DE}/products?q=rote+Kleider&per_page=5")
    assert 200 == reply.status
    page = reply.json()
    assert {"items", "total", "facets"} == set(page)
    best = page["items"][0]
    assert ("Rot", "Kleider") == (best["colour"], best["category"])
    assert {"category", "brand", "colour", "size", "material"} == set(page["facets"])


async def test_the_links_lead_through_all_products_once(service):
    """Following rel="next" from the first page meets every product, and none twice."""
    target, met = f"{DE}/products?sort=price&per_page=17", []
    while target:
        reply = await ask_async(service, f"GET {target}")
        met += [item["id"] for item in reply.json()["items"]]
        target = links(reply).get("next")
    assert reply.json()["total"] == len(met) == len(set(met)) == 120
    assert "next" not in links(reply)
    assert links(reply)["last"].endswith("page=8")


@pytest.mark.parametrize("locale", LOCALES)
async def test_every_locale_speaks_its_language(service, locale):
    """Content-Language says so, and links stay where they are."""
    reply = await ask_async(service, f"GET /v1/{locale}/products?per_page=1")
    assert locale == reply.headers["content-language"]
    assert reply.json()["items"][0]["url"].startswith(f"/v1/{locale}/products/")


async def test_a_list_is_csv_where_that_is_asked_for(service):
    """A line of names, then one for each item."""
    reply = await ask_async(service, f"GET {DE}/products?per_page=3", accept="text/csv")
    assert "text/csv; charset=utf-8" == reply.headers["content-type"]
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert 3 == len(rows)
    assert {"id", "name", "url"} <= set(rows[0])


async def test_messagepack_is_the_same_value(service):
    """For those who count bytes."""
    target = f"GET {DE}/products?per_page=3"
    packed = await ask_async(service, target, accept="application/msgpack")
    value = msgspec.to_builtins(msgspec.msgpack.decode(packed.content))
    assert value == (await ask_async(service, target)).json()


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("page=0", "?page"),
        ("page=x", "?page"),
        ("per_page=101", "?per_page"),
        ("sort=size", "?sort"),
        ("colr=red", "?colr"),
        ("q=a&q=b", "?q"),
        ("price_min=-1", "?price_min"),
        ("q=%zz", "?q"),
        ("q=%ff", "?q"),
        ("page=200&per_page=100", "?"),
    ],
)
async def test_a_bad_query_is_a_400_that_names_the_parameter(service, query, pointer):
    """And says what was expected."""
    reply = await ask_async(service, f"GET {DE}/products?{query}")
    assert 400 == reply.status
    assert "application/problem+json" == reply.headers["content-type"]
    assert pointer == reply.json()["errors"][0]["pointer"]
    assert reply.json()["request_id"]


async def test_a_product_says_nothing_of_how_it_is_kept(service):
    """Header fields do: ETag and Age."""
    listed = (await ask_async(service, f"GET {DE}/products?per_page=1")).json()["items"][0]
    shown = (await ask_async(service, f"GET {listed['url']}")).json()
    assert not {"age", "revision"} & (listed.keys() | shown.keys())
    assert {"url"} == listed.keys() - shown.keys()


async def test_a_product_is_revalidated_without_being_rendered(service):
    """304 with the tag, the caching rule and Vary."""
    path = f"{DE}/products/{await first_product(service)}"
    fresh = await ask_async(service, f"GET {path}")
    again = await ask_async(service, f"GET {path}", if_none_match=fresh.headers["etag"])
    assert (304, b"") == (again.status, again.content)
    assert fresh.headers["etag"] == again.headers["etag"]
    assert {"cache-control", "vary"} <= set(again.headers)
    assert (await ask_async(service, f"GET {DE}/products/none")).status == 404


async def test_one_rates_and_changes_ones_mind(service):
    """The first PUT creates; another needs If-Match; DELETE takes it back."""
    path = f"{DE}/products/{await first_product(service)}/ratings/mine"
    await_nothing = await ask_async(service, f"GET {path}")
    assert 401 == await_nothing.status
    assert 'Bearer realm="shop"' == await_nothing.headers["www-authenticate"]

    present = await ask_async(service, f"GET {path}", authorization=ANNA)
    if present.status == 200:  # the invented ratings may have one of hers
        tag = present.headers["etag"]
        await ask_async(service, f"DELETE {path}", authorization=ANNA, if_match=tag)
    made = await ask_async(service, f"PUT {path}", json={"stars": 4}, authorization=ANNA)
    assert (201, 4) == (made.status, made.json()["stars"])
    blind = await ask_async(service, f"PUT {path}", json={"stars": 5}, authorization=ANNA)
    assert 428 == blind.status

    tag = (await ask_async(service, f"GET {path}", authorization=ANNA)).headers["etag"]
    changed = await ask_async(
        service, f"PUT {path}", json={"stars": 5}, authorization=ANNA, if_match=tag
    )
    assert 200 == changed.status
    stale = await ask_async(
        service, f"PUT {path}", json={"stars": 1}, authorization=ANNA, if_match=tag
    )
    assert 412 == stale.status
    wrong = await ask_async(service, f"PUT {path}", json={"stars": 6}, authorization=ANNA)
    assert (422, "#/stars") == (wrong.status, wrong.json()["errors"][0]["pointer"])
    tag = (await ask_async(service, f"GET {path}", authorization=ANNA)).headers["etag"]
    gone = await ask_async(service, f"DELETE {path}", authorization=ANNA, if_match=tag)
    assert 204 == gone.status
    unknown = f"PUT {DE}/products/none/ratings/mine"
    assert 404 == (await ask_async(service, unknown, json={"stars": 3}, authorization=ANNA)).status


async def test_ratings_in_short(service):
    """How many, their mean, and how they divide."""
    path = f"{DE}/products/{await first_product(service)}/ratings"
    found = (await ask_async(service, f"GET {path}")).json()
    assert found["count"] == sum(found["histogram"].values())
    assert 404 == (await ask_async(service, f"GET {DE}/products/none/ratings")).status


async def test_one_comments_and_only_the_author_changes_it(service):
    """201 with Location and a tag that then serves; 403 for anybody else; 428 without If-Match."""
    path = f"{DE}/products/{await first_product(service)}/comments"
    made = await ask_async(service, f"POST {path}", json={"text": "Lovely."}, authorization=ANNA)
    assert 201 == made.status
    place, tag = made.headers["location"], made.headers["etag"]
    assert place.startswith(f"{DE}/comments/")

    edit = {"json": {"text": "Quite lovely."}, "content_type": "application/merge-patch+json"}
    assert 401 == (await ask_async(service, f"PATCH {place}", if_match=tag, **edit)).status
    other = await ask_async(service, f"PATCH {place}", if_match=tag, authorization=BRAM, **edit)
    assert 403 == other.status
    blind = await ask_async(service, f"PATCH {place}", authorization=ANNA, **edit)
    assert 428 == blind.status
    done = await ask_async(service, f"PATCH {place}", if_match=tag, authorization=ANNA, **edit)
    assert (200, "Quite lovely.") == (done.status, done.json()["text"])
    assert done.headers["etag"] == (await ask_async(service, f"GET {place}")).headers["etag"] != tag
    elsewhere = place.replace("de-DE", "fr-FR")
    assert 404 == (await ask_async(service, f"GET {elsewhere}")).status
    removed = await ask_async(
        service, f"DELETE {place}", if_match=done.headers["etag"], authorization=ANNA
    )
    assert 204 == removed.status
    assert 404 == (await ask_async(service, f"GET {place}")).status


@pytest.mark.parametrize(
    ("content", "status", "pointer"),
    [
        ({"text": ""}, 422, "#/text"),
        ({"text": 7}, 422, "#/text"),
        ({}, 422, "#/text"),
        ({"text": "x", "stars": 1}, 422, "#/stars"),
        ([], 422, "#"),
    ],
)
async def test_a_wrong_comment_is_told_what_is_wrong(service, content, status, pointer):
    """By a JSON pointer into the content."""
    path = f"{DE}/products/{await first_product(service)}/comments"
    reply = await ask_async(service, f"POST {path}", json=content, authorization=ANNA)
    assert (status, pointer) == (reply.status, reply.json()["errors"][0]["pointer"])


async def test_a_collage_is_made_replaced_and_removed(service):
    """With optimistic concurrency throughout."""
    made = await make_collage(service)
    assert 201 == made.status
    place = made.headers["location"]
    found = await ask_async(service, f"GET {place}")
    assert made.headers["etag"] == found.headers["etag"]
    draft = {"title": "Better", "product_ids": found.json()["product_ids"]}
    put = {"json": draft, "authorization": ANNA}
    assert 428 == (await ask_async(service, f"PUT {place}", **put)).status
    tag = found.headers["etag"]
    replaced = await ask_async(service, f"PUT {place}", if_match=tag, **put)
    assert (200, "Better") == (replaced.status, replaced.json()["title"])
    assert "etag" not in replaced.headers
    assert 412 == (await ask_async(service, f"PUT {place}", if_match=tag, **put)).status
    tag = (await ask_async(service, f"GET {place}")).headers["etag"]
    listed = (await ask_async(service, f"GET {DE}/collages?user=anna")).json()
    assert "Better" in {item["title"] for item in listed["items"]}
    gone = await ask_async(service, f"DELETE {place}", authorization=ANNA, if_match=tag)
    assert 204 == gone.status


async def test_a_collage_is_of_products_that_are_there(service):
    """Each that is not is pointed at."""
    draft = {"title": "x", "product_ids": [await first_product(service), "none"]}
    reply = await ask_async(service, f"POST {DE}/collages", json=draft, authorization=ANNA)
    assert (422, "#/product_ids/1") == (reply.status, reply.json()["errors"][0]["pointer"])


async def test_a_token_that_is_nobodys_is_refused(service):
    """With RFC 6750's error, even where reading needs none."""
    reply = await ask_async(service, f"GET {DE}/collages", authorization="Bearer nonsense")
    assert 401 == reply.status
    assert 'error="invalid_token"' in reply.headers["www-authenticate"]
    basic = await ask_async(service, f"GET {DE}/collages", authorization="Basic eDp5")
    assert 401 == basic.status


async def test_users_are_found_and_tokens_are_not_told(service):
    """A user has an id, a name and a day of joining."""
    reply = await ask_async(service, f"GET {DE}/users/anna")
    assert {"id", "name", "joined"} == set(reply.json())
    assert 404 == (await ask_async(service, f"GET {DE}/users/none")).status


async def test_a_preflight_needs_no_token(service):
    """A browser sends none with it."""
    reply = await ask_async(
        service,
        f"OPTIONS {DE}/collages",
        origin="https://shop.example",
        access_control_request_method="POST",
    )
    assert (204, "*") == (reply.status, reply.headers["access-control-allow-origin"])
    assert "POST" in reply.headers["access-control-allow-methods"]


async def test_what_is_not_there_says_what_is(service):
    """A slash too many is pointed out; a method too many gets Allow."""
    reply = await ask_async(service, f"GET {DE}/products/")
    assert 404 == reply.status
    assert f"{DE}/products" in reply.json()["detail"]
    wrong = await ask_async(service, f"DELETE {DE}/products")
    assert (405, "GET, HEAD, OPTIONS") == (wrong.status, wrong.headers["allow"])


async def test_the_start_leads_on(service):
    """A client that knows one URL finds the others."""
    home = (await ask_async(service, "GET /")).json()
    start = (await ask_async(service, f"GET {home['versions']['v1']['nl-NL']}")).json()
    assert 200 == (await ask_async(service, f"GET {start['links']['products']}")).status
