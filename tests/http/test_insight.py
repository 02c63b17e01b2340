"""Why a walk went as it did, what of the graph is left for a resource, and what would come elsewhere."""

import asyncio
import importlib.util
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from ogrom.http import (
    ACTIONS,
    DECISIONS,
    HANDLERS,
    Accepted,
    Created,
    ETag,
    NoContent,
    Request,
    Resource,
    Service,
    Updated,
)
from ogrom.http._anatomy import ORDER
from ogrom.http._questions import last_modified
from ogrom.http.insight import Seen, anatomy, ends_of, explain, reach, words

# Resources and requests as chance has them: those that the two ways of answering are compared with.
_spec = importlib.util.spec_from_file_location(
    "made_up", Path(__file__).with_name("test_compile.py")
)
assert _spec is not None
assert _spec.loader is not None
made_up = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made_up)


QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # to shrink what chance made takes minutes


def watched(service: Service, request: Request) -> tuple[Any, list[Any], list[Any], Any]:
    """A response, the steps to it, why each was taken, and the walk as it was left."""
    steps: list[Any] = []
    whys: list[Any] = []
    walks: list[Any] = []

    def watcher(walk: Any, step: Any) -> None:
        steps.append(step)
        walks.append(walk)
        if not step.why.startswith("raised"):
            whys.append((step, explain(walk, step.name)))

    response = asyncio.run(made_up.run(lambda each: service.watch(each, watcher), request))
    return response, steps, whys, walks[-1] if walks else None


def some_request(choose: Any) -> Request:
    fields = {
        name: values[choose(len(values))]
        for name, values in made_up.HEADERS.items()
        if choose(4) == 0
    }
    content = [b"", b'{"name":"hat"}', b"{", b'{"name":1}'][choose(4)]
    method = made_up.METHODS[choose(len(made_up.METHODS))]
    query = made_up.QUERIES[choose(len(made_up.QUERIES))]
    return Request(method=method, path="/r", query=query, headers=fields, content=content, id="i")


def test_every_place_of_the_graph_is_in_words():
    """Each decision, action and handler says what it asks or does, and where that is written."""
    for name in (*DECISIONS, *ACTIONS, *HANDLERS):
        says, where = words(name)
        assert says.endswith(("?", "."))
        assert where or name == "handle_refused"


def test_every_edge_leads_forward():
    """There is an order of all places in which no edge goes back."""
    assert set(ORDER) == {*DECISIONS, *ACTIONS, *HANDLERS}
    for name, edges in DECISIONS.items():
        assert ORDER.index(name) < min(map(ORDER.index, edges))
    for name, following in ACTIONS.items():
        assert ORDER.index(name) < ORDER.index(following)


@settings(max_examples=150, deadline=None, phases=QUICK)
@given(st.data())
def test_an_explanation_agrees_with_the_answer(data: Any) -> None:
    """Whatever resource and request: what an explanation comes to is what the walk was answered."""
    choose = data.draw(st.randoms(use_true_random=False)).randrange
    service = made_up.service(choose, [])
    for _ in range(6):
        for step, why in watched(service, some_request(choose))[2]:
            assert why.text
            assert why.answer in {None, step.answer}, (step, why)


@pytest.mark.no_cover
@settings(max_examples=150, deadline=None, phases=QUICK)
@given(st.data())
def test_the_way_taken_is_in_the_resources_own_graph(data: Any) -> None:
    """What is left of a traced walk in the method's own graph goes from edge to edge."""
    choose = data.draw(st.randoms(use_true_random=False)).randrange
    service = made_up.service(choose, [])
    prepared = service.prepared(next(service.leaves()))
    for _ in range(6):
        request = some_request(choose)
        response, steps, _, walk = watched(service, request)
        drawn = anatomy(prepared, request.method)
        assert {edge.end for edge in drawn.edges} | {drawn.start} == {
            node.name for node in drawn.nodes
        }
        path = drawn.path(tuple(step.name for step in steps))
        edges = {(edge.start, edge.end) for edge in drawn.edges}
        ended = response.error is not None or walk.refusal is not None
        pairs = list(pairwise(path))
        assert path[0] == drawn.start or ended
        if not ended:
            assert [pair for pair in pairs if pair not in edges] == []


@pytest.mark.no_cover
@pytest.mark.slow
@settings(max_examples=40, deadline=None, phases=QUICK)
@given(st.data())
def test_a_request_that_depends_on_nobody_comes_where_it_was_meant_to(data: Any) -> None:
    """For every end of whatever resource: a request that needs nothing of it ends there when sent."""
    choose = data.draw(st.randoms(use_true_random=False)).randrange
    service = made_up.service(choose, [])
    seen = [look(service, Request(method=each, path="/r")) for each in ("GET", "PUT")]
    match = service.router.match("/r")
    assert match is not None
    prepared = service.prepared(match.route)
    for end in ends_of(prepared):
        found = reach(prepared, end, seen, match, service.router)
        assert found.says
        if not found.found or found.needs or found.request is None:
            continue
        response, steps, _, walk = watched(service, found.request)
        if response.error is None and walk.refusal is None:
            assert steps[-1].name == end, (found, steps)


def look(service: Service, request: Request, trace: str = "t") -> Seen:
    """What is known from a request, as a recorder notes it."""
    _, steps, _, walk = watched(service, request)
    answers = {step.name: step.answer for step in steps if step.answer is not None}
    tag = walk.tag if walk is not None else None
    changed = None
    if walk is not None and walk.entity is not None:
        with suppress(Exception):  # made up to fail
            changed = last_modified(walk)
    return Seen(request, answers, tag, changed, trace)


class Draft(Struct, frozen=True, forbid_unknown_fields=True):
    """What is put."""

    title: str


async def find(_: Any) -> str:
    """The entity."""
    return "there"


async def put(_: Any, __: Any) -> Any:
    """Puts it."""
    return Updated("new")


async def remove(_: Any, __: Any) -> Any:
    """Removes it."""
    return NoContent()


COLLAGE: Resource[str] = Resource(
    name="collage",
    body=Draft,
    exists=find,
    etag=lambda _: "r7",
    languages=("de-DE",),
    precondition_required=True,
    put=put,
    delete=remove,
)


@pytest.mark.parametrize(
    ("end", "method", "field"),
    [
        ("handle_ok", "GET", None),
        ("handle_not_modified", "GET", ("if-none-match", '"r7"')),
        ("handle_precondition_failed", "GET", ("if-match", '"no-such-tag"')),
        ("handle_not_acceptable", "GET", ("accept", "application/x-not-offered")),
        ("handle_method_not_allowed", "POST", None),
        ("handle_not_implemented", "BREW", None),
        ("handle_precondition_required", "PUT", None),
        ("handle_unsupported_media_type", "PUT", ("content-type", "application/x-not-offered")),
        ("handle_unprocessable_content", "PUT", ("content-type", "application/json")),
        ("handle_content_too_large", "PUT", ("content-length", str((1 << 20) + 1))),
        ("handle_bad_request", "PUT", None),
        ("handle_no_content", "DELETE", ("if-match", '"r7"')),
    ],
)
def test_a_request_is_found_for_each_end(end: str, method: str, field: Any) -> None:
    """With the tag that was seen where one is needed, and as few fields as will do."""
    service = Service({"/c": COLLAGE})
    seen = [look(service, Request(method="GET", path="/c"))]
    match = service.router.match("/c")
    assert match is not None
    found = reach(service.prepared(match.route), end, seen, match, service.router)
    assert found.found
    assert found.request is not None
    assert method == found.request.method
    if field is not None:
        assert field[1] == found.request.headers[field[0]]
    if end != "handle_no_content":  # what delete returns is its own say
        assert found.needs == ()
        assert end == watched(service, found.request)[1][-1].name
    else:
        assert [need.decision for need in found.needs] == ["delete_enacted", "respond_with_entity"]


def test_what_depends_on_the_resource_is_said() -> None:
    """404 of something that was there: the function that finds it would have to say so."""
    service = Service({"/c": COLLAGE})
    seen = [look(service, Request(method="GET", path="/c"))]
    match = service.router.match("/c")
    assert match is not None
    prepared = service.prepared(match.route)
    found = reach(prepared, "handle_not_found", seen, match, service.router)
    assert [("exists", False)] == [(need.decision, need.answer) for need in found.needs]
    assert "find (tests/http/test_insight.py:" in found.says
    assert "would have to return None" in found.says
    broken = reach(prepared, "handle_internal_server_error", seen, match, service.router)
    assert not broken.found
    assert "find (tests/http/test_insight.py:" in broken.says


def test_a_put_to_what_is_there_is_never_said_to_create() -> None:
    """Whatever it returned: the graph's own rule stands before what a function might say."""
    service = Service({"/c": COLLAGE})
    seen = [look(service, Request(method="GET", path="/c"))]
    match = service.router.match("/c")
    assert match is not None
    found = reach(service.prepared(match.route), "handle_created", seen, match, service.router)
    assert not found.found


def test_without_a_tag_only_a_star_comes_to_304() -> None:
    """Where there is nothing to compare with; and of POST nothing at all comes there."""
    plain: Resource[Any] = Resource(name="plain", exists=find)
    service = Service({"/p": plain})
    match = service.router.match("/p")
    assert match is not None
    seen = [look(service, Request(method="GET", path="/p"))]
    prepared = service.prepared(match.route)
    found = reach(prepared, "handle_not_modified", seen, match, service.router)
    assert found.request is not None
    assert "*" == found.request.headers["if-none-match"]
    assert "handle_not_modified" == watched(service, found.request)[1][-1].name
    never = reach(prepared, "handle_created", seen, match, service.router)
    assert not never.found
    assert "No request" in never.says


def test_each_item_of_a_list_is_compared() -> None:
    """Weak, of another variant, another: each tag of If-Match has a verdict of its own."""
    service = Service({"/c": COLLAGE})
    fields = {"if-match": 'W/"r7", "r6", "r7~gzip"'}
    _, steps, whys, _ = watched(service, Request(method="GET", path="/c", headers=fields))
    why = next(why for step, why in whys if step.name == "etag_matches_for_if_match")
    assert [
        ('W/"r7"', '"r7"', "weak: it never equals strongly", False),
        ('"r6"', '"r7"', "another revision", False),
        ('"r7~gzip"', '"r7"', "another variant of the same revision", True),
    ] == [(row.what, row.against, row.verdict, row.holds) for row in why.rows]
    assert "handle_ok" == steps[-1].name


def test_the_score_board_has_every_candidate() -> None:
    """With its weight, the range that gave it, and which was chosen."""
    fields = {"accept": "application/*;q=0.5, application/msgpack"}
    _, _, whys, _ = watched(
        Service({"/c": COLLAGE}), Request(method="GET", path="/c", headers=fields)
    )
    why = next(why for step, why in whys if step.name == "media_type_available")
    assert [
        ("application/json", "q=0.5 by application/*;q=0.5", ""),
        ("application/msgpack", "q=1 by application/msgpack", "chosen"),
    ] == [(row.what, row.against, row.verdict) for row in why.rows]


def test_own_declared_and_default_are_told_apart() -> None:
    """A function is named with its file and line; a constant is the resource's too."""
    resource: Resource[Any] = Resource(
        name="r", exists=find, etag=ETag("e"), allowed=False, post=put, conflict=lambda *_: False
    )
    service = Service({"/r": resource})
    drawn = {
        node.name: node.source
        for node in anatomy(service.prepared(next(service.leaves())), "GET").nodes
    }
    assert {"handle_forbidden"} == set(drawn) - {"content_headers_valid"}
    service = Service({"/c": COLLAGE})
    drawn = {
        node.name: node.source
        for node in anatomy(service.prepared(next(service.leaves())), "PUT").nodes
    }
    assert "own" == drawn["exists"].by
    assert drawn["exists"].places[0].where.startswith("tests/http/test_insight.py:")
    assert "http" == drawn["etag_matches_for_if_match"].by
    assert ["etag"] == [each.keyword for each in drawn["etag_matches_for_if_match"].places]
    assert ["put"] == [each.keyword for each in drawn["put_enacted"].places]


def test_outcomes_name_the_action() -> None:
    """What an action returned is told by its type."""
    for outcome, end in ((Accepted("later"), "handle_accepted"), (Created("x"), "handle_created")):

        async def act(_: Any, __: Any, outcome: Any = outcome) -> Any:
            return outcome

        made: Resource[Any] = Resource(name="r", post=act)
        _, steps, whys, _ = watched(Service({"/r": made}), Request(method="POST", path="/r"))
        assert end == steps[-1].name
        why = next(why for step, why in whys if step.name == "post_enacted")
        assert type(outcome).__name__ in why.text
