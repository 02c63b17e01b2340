"""The shop behind a real shared cache, Varnish: what it keeps, for how long, and for whom."""

import json
import os
import signal
import time
from contextlib import contextmanager

import msgspec
import pytest
from support.exchange import Wire
from support.one_answer import UNPACK
from support.server import shop_server
from support.varnish import in_front_of

pytestmark = pytest.mark.slow

ANNA = {"Authorization": "Bearer demo-anna"}
START, LIST = "/v1/de-DE", "/v1/de-DE/products?per_page=20"
PRODUCT = "/v1/de-DE/products/g000001"
PATIENCE = 60  # seconds


class Front:
    """A shop with a Varnish in front of it."""

    def __init__(self, server, cache: Wire) -> None:
        self.server, self.cache, self.origin = server, cache, Wire(server.port)
        self._marks = 0

    def asked(self, target: str) -> list[int]:
        """The statuses with which the origin itself answered this target, from the first on."""
        self._marks += 1
        mark = f"mark-{self._marks}"
        self.origin.ask("GET", "/-/live", X_Request_Id=mark)
        self.origin.ask("GET", "/", X_Request_Id=mark)
        path, _, query = target.partition("?")

        def lines():
            text = self.server.log.read_text()
            return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

        until(lambda: any(mark == line.get("http.request.id") for line in lines()))
        return [
            line["http.response.status_code"]
            for line in lines()
            if (path, query) == (line.get("url.path"), line.get("url.query", ""))
            and not line["http.request.id"].startswith("mark-")
        ]


def until(true):
    """Waits for something, and returns it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"this has not become true in {PATIENCE} s")


@contextmanager
def fronted(folder, **env):
    """A new one; its cache is empty."""
    with shop_server(folder / "state", **env) as server, in_front_of(server.port) as cache:
        front = Front(server, cache)
        yield front
        front.origin.close()


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """One for all tests that ask for different things. Products are fresh for a second."""
    with fronted(tmp_path_factory.mktemp("front"), OGROM_FRESH="1") as made:
        yield made


def test_what_is_fresh_is_not_asked_for_again(front):
    """`max-age=3600`: the origin hears of one request in all, and the answer's Age grows."""
    first = front.cache.ask("GET", START)
    assert (200, "0") == (first.status, first["age"])
    until(lambda: int(front.cache.ask("GET", START)["age"]) >= 2)
    later = front.cache.ask("GET", START)
    assert (first.content, first["date"]) == (later.content, later["date"])
    assert [200] == front.asked(START)


def test_head_is_answered_by_what_get_has_left(front):
    """Its fields are those of GET, and the origin is not asked."""
    target = "/v1/fr-FR"
    get = front.cache.ask("GET", target)
    head = front.cache.ask("HEAD", target)
    assert (200, b"") == (head.status, head.content)
    for name in ("content-length", "content-type", "content-language", "cache-control", "vary"):
        assert get[name] == head[name], name
    assert [200] == front.asked(target)


def test_what_is_no_longer_fresh_is_confirmed_and_not_sent_again(front):
    """After `max-age` the cache asks with the tag; a 304 without content renews what it has."""
    first = front.cache.ask("GET", PRODUCT)
    until(lambda: front.cache.ask("GET", PRODUCT) and 304 in front.asked(PRODUCT))
    assert {304} == set(front.asked(PRODUCT)[1:])
    renewed = until(
        lambda: (
            ((answer := front.cache.ask("GET", PRODUCT))["date"] != first["date"] and answer)
            or None
        )
    )
    assert (first.content, first["etag"]) == (renewed.content, renewed["etag"])
    assert first["content-type"] == renewed["content-type"]


def test_no_cache_is_kept_and_confirmed_each_time(front):
    """A collage changes whenever its maker likes: whoever asks gets it as it is now."""
    target = "/v1/de-DE/collages/1"
    first, second = front.cache.ask("GET", target), front.cache.ask("GET", target)
    assert (200, first.content) == (second.status, second.content)
    assert [200, 304] == front.asked(target)


def test_a_client_with_the_tag_hears_304_from_the_cache(front):
    """Its own copy is as good as the cache's."""
    target = "/v1/nl-NL/products/g000002"
    tag = front.cache.ask("GET", target)["etag"]
    again = front.cache.ask("GET", target, If_None_Match=tag)
    assert (304, tag, b"") == (again.status, again["etag"], again.content)


def test_variants_are_never_mixed(front):
    """Each coding and media type is kept beside the others, with its own tag; whoever asks again, in
    whatever order, gets what was asked for.
    """
    wanted = [
        (coding, media)
        for coding in UNPACK
        for media in ("application/json", "application/msgpack", "text/csv")
    ]
    tags = {}
    for coding, media in [*wanted, *reversed(wanted), *wanted]:
        fields = {"Accept": media} | ({"Accept_Encoding": coding} if coding else {})
        answer = front.cache.ask("GET", LIST, **fields)
        assert (200, coding) == (answer.status, answer["content-encoding"])
        assert answer["content-type"].startswith(media)
        content = UNPACK[coding](answer.content)
        if media == "text/csv":
            assert 21 == len(content.decode().splitlines())
        else:
            read = msgspec.json if media.endswith("json") else msgspec.msgpack
            assert 20 == len(read.decode(content)["items"])
        tags.setdefault((coding, media), set()).add(answer["etag"])
    assert all(len(each) == 1 for each in tags.values())
    assert len(wanted) == len(set.union(*tags.values()))


def test_a_language_is_kept_by_itself(front):
    """Each locale has paths of its own, whatever the client's languages are."""
    said = {}
    for turn in range(2):
        for locale in ("de-DE", "fr-FR", "nl-NL", "en-GB"):
            for wanted in (locale, "de", "*"):
                answer = front.cache.ask(
                    "GET", f"/v1/{locale}/products/g000003", Accept_Language=wanted
                )
                if answer.status == 200:
                    assert locale == answer["content-language"]
                    said.setdefault(locale, set()).add(json.loads(answer.content)["name"])
        assert turn or 4 == len(said)
    assert all(1 == len(each) for each in said.values())
    assert 4 == len(set.union(*said.values()))


def test_an_answer_to_somebody_is_nobody_elses(front):
    """With Authorization all pass by, and what they hear is not kept."""
    mine = "/v1/de-DE/products/g000001/ratings/mine"
    put = front.cache.ask(
        "PUT", mine, b'{"stars":4}', **ANNA, Content_Type="application/json", If_None_Match="*"
    )
    if put.status == 412:  # the demo has rated it already
        put = front.cache.ask("GET", mine, **ANNA)
    assert put.status in {200, 201}
    for _ in range(2):
        assert 200 == front.cache.ask("GET", mine, **ANNA).status
        assert 401 == front.cache.ask("GET", mine).status
        other = front.cache.ask("GET", mine, Authorization="Bearer demo-nobody")
        assert 401 == other.status
    assert 6 <= len(front.asked(mine))
    assert "private" in front.cache.ask("GET", mine, **ANNA)["cache-control"]


def test_what_is_written_is_what_the_next_one_reads(front):
    """A change goes through the cache, and so does the reader right after it."""
    product = {"title": "Kept", "product_ids": ["g000001"]}
    headers = {**ANNA, "Content_Type": "application/json"}
    before = front.cache.ask("GET", "/v1/de-DE/collages")
    made = front.cache.ask("POST", "/v1/de-DE/collages", json.dumps(product).encode(), **headers)
    assert 201 == made.status
    after = front.cache.ask("GET", "/v1/de-DE/collages")
    total = json.loads(before.content)["total"]
    assert total + 1 == json.loads(after.content)["total"]
    target = made["location"]
    for title in ("Second", "Third"):
        now = front.cache.ask("GET", target)
        content = json.dumps({**product, "title": title}).encode()
        put = front.cache.ask("PUT", target, content, **headers, If_Match=now["etag"])
        assert 200 == put.status
        assert title == json.loads(front.cache.ask("GET", target).content)["title"]
    tag = front.cache.ask("GET", target)["etag"]
    assert 204 == front.cache.ask("DELETE", target, **ANNA, If_Match=tag).status
    assert 404 == front.cache.ask("GET", target).status


@pytest.mark.parametrize(
    ("method", "target", "fields", "status"),
    [
        ("GET", "/v1/de-DE/nothing", {}, 404),
        ("GET", "/v1/de-DE/products/none", {}, 404),
        ("GET", "/v1/de-DE/collages/99999", {}, 404),
        ("GET", "/v1/de-DE/products?page=0", {}, 400),
        ("GET", "/v1/de-DE/products/g000004", {"Accept": "image/png"}, 406),
        ("GET", f"/v1/de-DE/{'x' * 9000}", {}, 414),
        ("GET", "/v1/de-DE/products/g000004", {"If_Match": '"x"'}, 412),
        ("DELETE", "/v1/de-DE/products/g000004", {}, 405),
    ],
)
def test_an_error_is_not_kept(front, method, target, fields, status):
    """It names one request, and may be over at once: a collage that is not there yet."""
    ids = set()
    for _ in range(2):
        answer = front.cache.ask(method, target, **fields)
        if answer.status == 200:  # the precondition is not the cache's to pass on (RFC 9111, 4.3.2)
            assert "If_Match" in fields
            return
        assert (status, "no-store") == (answer.status, answer["cache-control"])
        ids.add(answer["x-request-id"])
    assert 2 == len(ids)


def test_what_is_stale_is_given_while_a_new_one_is_fetched(tmp_path):
    """`stale-while-revalidate`: nobody waits for an origin that has just stopped to think."""
    with fronted(tmp_path, OGROM_FRESH="5") as front:
        first = front.cache.ask("GET", PRODUCT)
        process = front.server.process.pid
        os.kill(process, signal.SIGSTOP)
        try:
            stale = until(
                lambda: (
                    (int((answer := front.cache.ask("GET", PRODUCT))["age"]) >= 6 and answer)
                    or None
                )
            )
        finally:
            os.kill(process, signal.SIGCONT)
        assert (200, first.content) == (stale.status, stale.content)
        until(lambda: 304 in front.asked(PRODUCT))
        until(lambda: int(front.cache.ask("GET", PRODUCT)["age"]) < 5)


def test_what_is_stale_is_given_while_the_origin_is_away(tmp_path):
    """`stale-if-error`: products outlive a shop that is down; what may not be stale is a 503."""
    with fronted(tmp_path, OGROM_FRESH="1") as front:
        first = front.cache.ask("GET", PRODUCT)
        assert 200 == front.cache.ask("GET", "/v1/de-DE/collages/1").status
        front.server.kill()
        stale = until(
            lambda: (
                (int((answer := front.cache.ask("GET", PRODUCT))["age"] or 0) >= 4 and answer)
                or None
            )
        )
        assert (200, first.content) == (stale.status, stale.content)
        away = front.cache.ask("GET", "/v1/de-DE/collages/1")
        assert (503, "2") == (away.status, away["retry-after"])
        assert "application/problem+json" == away["content-type"]


def test_health_and_metrics_are_not_for_the_public(front):
    """What the balancer asks stays inside."""
    assert 404 == front.cache.ask("GET", "/-/metrics").status
    assert 404 == front.cache.ask("GET", "/-/ready").status
