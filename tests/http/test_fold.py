"""Partial evaluation changes nothing but the work: what is known is not asked."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from support.liberator import CASES, cases, resource_of

from ogrom.http import (
    DECISIONS,
    HANDLERS,
    Context,
    Refused,
    Request,
    Resource,
    Response,
    Service,
)
from ogrom.http._engine import fold, prepare
from ogrom.http.testing import ask

needs_cases = pytest.mark.skipif(
    not (CASES / "liberator.jsonl.gz").exists(), reason=f"there is no liberator.jsonl.gz in {CASES}"
)


def answer(resource: Resource[Any], request: Request) -> Response:
    """What is answered by a service that never waits."""
    with pytest.raises(StopIteration) as done:
        Service({"/r": resource}).respond(request).send(None)
    return done.value.value


def requests() -> Iterator[tuple[Resource[Any], Request]]:
    """Some thousand resources, each with a request."""
    for case in cases():
        asked = case.request
        content = (asked.get("body") or "").encode()
        fields = {name.lower(): value for name, value in asked["headers"].items()}
        yield (
            resource_of(case),
            Request(method=asked["method"], path="/r", headers=fields, content=content),
        )


@pytest.mark.no_cover
@needs_cases
def test_a_constant_answers_as_a_function_does_that_returns_it() -> None:
    """Whether a decision can be folded is a matter of cost, never of meaning."""
    for resource, request in islice(requests(), 0, None, 7):
        asked = replace(resource, **as_functions(resource))
        assert answer(asked, request) == answer(resource, request)


NOT_FUNCTIONS = {"precondition_required", "authorized", "exists"}


def as_functions(resource: Resource[Any]) -> dict[str, Any]:
    """Its constant decisions as functions that return them."""
    of_entity = {"allowed_for_entity", "multiple_representations", "conflict"}
    found = {name: getattr(resource, name, None) for name in DECISIONS}
    return {
        name: (lambda _, __, said=said: said) if name in of_entity else (lambda _, said=said: said)
        for name, said in found.items()
        if isinstance(said, bool)
        and name not in NOT_FUNCTIONS
        and not (name.startswith("can_") and not said)
    }


def test_what_is_known_is_not_asked() -> None:
    """A plain GET has a third of the graph left to walk, and ends where it would have."""

    async def find(_: Context) -> str:
        return "there"

    prepared = prepare(Resource(name="plain", exists=find))
    assert set(prepared.whole.steps) == set(DECISIONS)
    left = prepared.plans["GET"].steps
    assert "service_available" not in left
    assert "method_delete" not in left
    assert {"exists", "accept_exists", "if_none_match_exists"} <= set(left)
    assert all(
        target in left or target in HANDLERS or target in prepared.whole.after
        for _, yes, no in left.values()
        for target in (yes, no)
    )


def test_with_everything_known_only_the_end_is_left() -> None:
    """Folding follows edges to the very end."""
    plan = fold({}, dict.fromkeys(DECISIONS, False))
    assert plan.start == "handle_service_unavailable"


class PaymentRequired(Refused):
    """402, which no edge leads to."""

    status = 402


def test_a_refusal_by_a_status_of_ones_own_is_answered_with_it() -> None:
    """Whatever class of `Refused` a resource raises decides the status."""

    async def find(_: Context) -> None:
        raise PaymentRequired("Pay first.", headers={"Link": "</pay>"})

    reply = ask(Resource(exists=find), "GET /")
    assert reply.status == 402
    assert reply.trace[-2:] == ("exists", "handle_refused")
    assert reply.json()["title"] == "Payment Required"
    assert reply.json()["detail"] == "Pay first."
    assert reply.headers["link"] == "</pay>"
