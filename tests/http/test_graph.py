"""The graph: whole, without circles, and every edge of it taken by some request."""

from collections.abc import Iterator

import pytest
from msgspec import Struct
from support.liberator import cases

from ogrom.http import (
    ACTIONS,
    DECISIONS,
    HANDLERS,
    START,
    Context,
    Cors,
    Outcome,
    Refused,
    Resource,
    Step,
    Updated,
    _questions,
    to_dot,
)
from ogrom.http._graph import edges
from ogrom.http.testing import Reply, ask

RAISED = {"handle_internal_server_error", "handle_refused"}


def test_every_edge_leads_somewhere() -> None:
    """A decision, an action or a handler."""
    places = {*DECISIONS, *ACTIONS, *HANDLERS}
    assert {end for _, _, end in edges()} <= places
    assert {start for start, _, _ in edges()} == {*DECISIONS, *ACTIONS}


def test_every_place_is_reached_from_the_start() -> None:
    """But for the handlers of what is raised."""
    reached, waiting = {START}, [START]
    while waiting:
        here = waiting.pop()
        for start, _, end in edges():
            if start == here and end not in reached:
                reached.add(end)
                waiting.append(end)
    assert {*DECISIONS, *ACTIONS, *HANDLERS} - reached == RAISED


def test_nobody_walks_in_circles() -> None:
    """From every place the handlers are ahead: the places can be put in an order."""
    leads: dict[str, set[str]] = {}
    for start, _, end in edges():
        leads.setdefault(start, set()).add(end)
    done = set(HANDLERS)
    while leads:
        ready = {start for start, ends in leads.items() if ends <= done}
        assert ready, f"a circle among {sorted(leads)}"
        done |= ready
        for start in ready:
            del leads[start]


def test_every_question_is_answered() -> None:
    """By a keyword of the resource, by the method, or by a function of that name."""
    keywords = set(Resource.__dataclass_fields__)
    known = {*keywords, *_questions.OF_METHOD, *vars(_questions)}
    assert set(DECISIONS) <= known
    assert set(ACTIONS) <= keywords
    assert not set(_questions.OF_METHOD) & (keywords | set(vars(_questions)))


def test_every_handler_but_those_without_content_has_a_keyword() -> None:
    """204 and 304 have nothing to say."""
    silent = {"handle_no_content", "handle_not_modified", "handle_preflight"}
    assert set(HANDLERS) - set(Resource.__dataclass_fields__) == silent


def test_the_picture_is_drawn_from_the_table() -> None:
    """Every edge is in it."""
    picture = to_dot()
    assert all(f"{start} -> {end}" in picture for start, _, end in edges())


class Wish(Struct):
    """What the rich resource below takes."""

    stars: int


class Sought(Struct, forbid_unknown_fields=True):
    """Its query."""

    page: int = 1


async def find(ctx: Context) -> str | None:
    """Something, unless the path says otherwise."""
    return None if ctx["what"] == "gone" else ctx["what"]


async def put(ctx: Context, _: str) -> Outcome:
    """Whatever."""
    return Updated(ctx.body(Wish))


RICH = Resource(
    query=Sought,
    body=Wish,
    max_content=100,
    cors=Cors(origins=("https://a.example",)),
    languages=("de", "en"),
    exists=find,
    existed=True,
    etag=lambda _: "r1",
    allowed_for_entity=lambda ctx, what: what != "secret",
    too_many_requests=lambda ctx: ctx["what"] == "flood",
    unavailable_for_legal_reasons=lambda ctx: ctx["what"] == "banned",
    permanent_redirect="/elsewhere",
    precondition_required=True,
    put=put,
    handle_ok=lambda ctx, entity: entity,
)


def rich() -> Iterator[Reply]:
    """What the rich resource answers to requests that the recorded cases lack."""
    routes = {"/{what}": RICH}
    yield ask(routes, "GET /thing?page=x")
    yield ask(routes, "GET /secret")
    yield ask(routes, "GET /flood")
    yield ask(routes, "GET /banned")
    yield ask(routes, "GET /gone")
    yield ask(routes, "GET /thing", accept_language="*;q=0")
    yield ask(routes, "OPTIONS /x", origin="https://a.example", access_control_request_method="PUT")
    yield ask(routes, "PUT /thing", json={"stars": 1})
    yield ask(routes, "PUT /thing", json={"stars": 1}, if_match='"r1"')
    yield ask(routes, "PUT /thing", json={"stars": "many"})
    yield ask(routes, "PUT /thing", "{", content_type="application/json")
    yield ask(routes, "PUT /thing", "[" * 101, content_type="application/json", content_length="1")


def test_every_edge_is_taken() -> None:
    """By a recorded case or by a request to the rich resource."""
    steps: set[tuple[str, bool | None]] = set()

    def note(found: tuple[Step, ...]) -> None:
        steps.update((step.name, step.answer) for step in found)

    for case in cases():
        note(case.reply.steps)
    ends = [reply.trace[-1] for reply in rich()]
    for reply in rich():
        note(reply.steps)
    assert [edge for edge in edges() if edge[:2] not in steps] == []
    assert ends == [
        "handle_bad_request",
        "handle_forbidden",
        "handle_too_many_requests",
        "handle_unavailable_for_legal_reasons",
        "handle_permanent_redirect",
        "handle_not_acceptable",
        "handle_preflight",
        "handle_precondition_required",
        "handle_ok",
        "handle_unprocessable_content",
        "handle_bad_request",
        "handle_content_too_large",
    ]


def test_what_is_raised_ends_at_its_handler() -> None:
    """Rule 4 of the graph."""

    class Teapot(Refused):
        status = 418

    async def refuse(_: Context) -> None:
        raise Teapot

    reply = ask(Resource(exists=refuse), "GET /")
    assert (418, "handle_refused") == (reply.status, reply.trace[-1])

    async def fail(_: Context) -> None:
        raise LookupError("secret")

    with pytest.raises(LookupError):
        ask(Resource(exists=fail), "GET /")
