"""The walker: it asks the graph's questions of one resource and one request, and takes the edges.

What depends on the resource alone is prepared once, when the service starts (`Prepared`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from inspect import isawaitable
from typing import Any, Final

from ogrom.http import _questions as questions
from ogrom.http._content import query_decoder
from ogrom.http._cors import Cors
from ogrom.http._errors import Refused
from ogrom.http._graph import ACTIONS, DECISIONS, HANDLER_OF, START
from ogrom.http._media import Decode, Media
from ogrom.http._message import METHODS, SERVED, Context, Step
from ogrom.http._outcome import Outcome
from ogrom.http._resource import METHOD_OF_ACTION, Resource
from ogrom.http._walk import Plan, Prepared, Reader, Refusals, Test, Walk


def prepare(
    resource: Resource[Any], *, cors: Cors | None = None, refusals: Refusals | None = None
) -> Prepared:
    """Work out what can be known of a resource before any request.

    Args:
        resource: the resource.
        cors: the service's rule, for a resource that has none of its own.
        refusals: which exceptions are refusals.
    """
    cors = resource.cors or cors
    readers: dict[str, Reader] = {}
    for method in METHOD_OF_ACTION.values():
        if (kind := resource.body_of(method)) is not None:
            media = resource.consumes_for(method)
            readers[method] = Reader(media, tuple(_decoder(each, kind) for each in media))
    offered = {
        "Accept": len(resource.media_types) > 1,
        "Accept-Language": len(resource.languages) > 1,
        "Accept-Charset": len(resource.charsets) > 1,
        "Accept-Encoding": bool(resource.encodings),
    }
    vary = [name for name, several in offered.items() if several]
    subtypes = [media.type.subtype for media in resource.media_types]
    tests = {name: _test(resource, name) for name in DECISIONS}
    whole = fold(tests, {})
    prepared = Prepared(
        resource=resource,
        whole=whole,
        plans={},
        methods=resource.allowed_methods(),
        cors=cors,
        media_types=tuple(media.type for media in resource.media_types),
        encoders=tuple(media.encode for media in resource.media_types if media.encode),
        languages=tuple(resource.languages),
        charsets=tuple(resource.charsets),
        encodings=(*resource.encodings, "identity"),
        variants=frozenset(
            [*subtypes, *resource.languages, *resource.charsets, *resource.encodings]
        ),
        vary=", ".join([*vary, *(cors.vary() if cors else ())]),
        read_query=None if resource.query is None else query_decoder(resource.query),
        readers=readers,
        refusals=refusals or {},
    )
    plans = {method: fold(tests, known_answers(prepared, method)) for method in METHODS}
    return replace(prepared, plans=plans)


def fold(tests: Mapping[str, Test], known: Mapping[str, bool]) -> Plan:
    """The graph that is left when some answers are known: every edge leads past them.

    Args:
        tests: how each decision is answered.
        known: the answers known beforehand.
    """

    def past(node: str) -> str:
        while node in known:
            node = DECISIONS[node].yes if known[node] else DECISIONS[node].no
        return node

    steps = {
        name: (tests[name], past(edges.yes), past(edges.no))
        for name, edges in DECISIONS.items()
        if name not in known
    }
    return Plan(past(START), steps, {name: past(following) for name, following in ACTIONS.items()})


def known_answers(prepared: Prepared, method: str) -> Mapping[str, bool]:
    """The answers that do not depend on a request, but for its method."""
    resource = prepared.resource
    known = {
        name: given
        for name in DECISIONS
        if isinstance(given := getattr(resource, name, None), bool)
        and name not in {"precondition_required", "method_allowed"}
    }
    known |= {name: is_it(method) for name, is_it in questions.OF_METHOD.items()}
    if resource.method_known is None:
        known["method_known"] = True
    if resource.method_allowed is None:
        known["method_allowed"] = method in prepared.methods
    if prepared.cors is None or method != "OPTIONS":
        known["is_preflight"] = False
    if prepared.read_query is None:
        known["query_valid"] = True
    if method not in prepared.readers:
        unasked = (name for name in questions.OF_CONTENT if getattr(resource, name, None) is None)
        known |= dict.fromkeys(unasked, True)
    if not resource.precondition_required or method not in questions.OVERWRITES:
        known["precondition_required"] = False
    if method not in questions.READS:
        known["if_modified_since_exists"] = False
    if resource.last_modified is None:  # a date is ignored where there is none to compare it with
        known |= {"if_modified_since_exists": False, "if_unmodified_since_exists": False}
    known |= {name: False for name in _LOCATIONS if getattr(resource, name) is None}
    return known


def as_refusal(error: Exception, refusals: Refusals) -> Refused | None:
    """The refusal that an exception is, or that it means; None where it means none."""
    if isinstance(error, Refused):
        return error
    for kind in type(error).__mro__:
        if (make := refusals.get(kind)) is not None:
            return make(error)
    return None


def _decoder(media: Media, kind: type[Any]) -> Decode:
    if kind is bytes:
        return bytes
    assert media.decoder is not None  # `consumes_for` leaves the others out
    return media.decoder(kind)


async def walk(state: Walk, start: str | None = None) -> tuple[str, Exception | None]:
    """From a node to a handler: its name, and the exception where one ended the walk (rule 4).

    Args:
        state: what is known there.
        start: the node; None for START.

    A walk that is traced takes every step of the graph. Any other takes those that are left when
    the resource and the method are known: `fold` has taken the rest beforehand.
    """
    prepared = state.prepared
    if state.steps is None:
        plan = prepared.plans.get(state.request.method, prepared.whole)
    else:
        plan = prepared.whole
    steps = plan.steps
    node = start or plan.start
    try:
        while True:
            if (step := steps.get(node)) is not None:
                test, yes, no = step
                answer = test(state)
                if answer is not True and answer is not False:
                    answer = await answer
                if state.steps is not None:
                    _record(state, node, answer=answer)
                node = yes if answer else no
            elif (following := plan.after.get(node)) is not None:
                _record(state, node)
                state.outcome = await act(state, node)
                node = following
            else:
                return node, None
    except Exception as error:  # noqa: BLE001 - the boundary: whatever a resource raises is a 500
        _record(state, node, why=f"raised {type(error).__name__}")
        return ended_by(state, error)


def ended_by(state: Walk, error: Exception) -> tuple[str, Exception | None]:
    """The handler at which a walk ends that an exception ended, and the exception where it is none
    that was meant (rule 4).
    """
    state.refusal = as_refusal(error, state.prepared.refusals)
    if state.refusal is None:
        return "handle_internal_server_error", error
    return handler_of(state.refusal), None


def handler_of(refusal: Refused) -> str:
    """The handler that a refusal ends at."""
    return HANDLER_OF.get(refusal.status, "handle_refused")


def _record(state: Walk, name: str, *, answer: bool | None = None, why: str = "") -> None:
    if state.steps is not None and (not why or not state.steps or state.steps[-1].name != name):
        state.note(Step(name, answer, why or state.why))
    state.why = ""


async def act(state: Walk, name: str) -> Outcome:
    action = getattr(state.resource, name)
    if action is None:  # `methods` cannot lead here, but `method_allowed` can
        raise TypeError(
            f"method_allowed lets {state.request.method} in, but there is no {name}=… to do it."
        )
    return checked(state.resource, name, await action(state.ctx, state.entity))


def checked(resource: Resource[Any], name: str, outcome: object) -> Outcome:
    """What an action returned; TypeError where that is no outcome."""
    if not isinstance(outcome, Outcome):
        raise TypeError(
            f"{name} of {resource.name or 'a resource'} returned {outcome!r}: return Created(…),"
            " Updated(…), NoContent(), Accepted(…) or SeeOther(…)."
        )
    return outcome


def _test(resource: Resource[Any], name: str) -> Test:
    """How a decision is answered: by the resource where it has that keyword, else by the request."""
    if name == "exists":
        return _exists(resource.exists)
    if name == "authorized":
        return _authorized(resource.authorized)
    if name in _LOCATIONS:
        return _location(getattr(resource, name))
    if (is_it := questions.OF_METHOD.get(name)) is not None:
        return lambda state: is_it(state.request.method)
    built_in: Test | None = getattr(questions, name, None)
    given = None if name == "precondition_required" else getattr(resource, name, None)
    if given is None:
        assert built_in is not None, f"nobody answers {name}"
        return built_in
    if name == "method_allowed":
        return _allowed(given)
    if isinstance(given, bool):
        return _constant(given)
    return _asked_of_entity(given) if name in _OF_ENTITY else _asked(given)


_LOCATIONS: Final = frozenset(
    {"put_to_different_url", "moved_permanently", "permanent_redirect", "moved_temporarily"}
)
_OF_ENTITY: Final = frozenset({"allowed_for_entity", "multiple_representations", "conflict"})


def _constant(answer: bool) -> Test:
    return lambda _: answer


def _asked(function: Callable[[Context], bool | Awaitable[bool]]) -> Test:
    return lambda state: truth(function(state.ctx))


def _asked_of_entity(function: Callable[[Context, Any], bool | Awaitable[bool]]) -> Test:
    return lambda state: truth(function(state.ctx, state.entity))


def _allowed(given: bool | Callable[[Context], bool | Awaitable[bool]]) -> Test:
    """Whatever a resource allows: TRACE and CONNECT have no place in a resource's graph."""
    ask = _constant(given) if isinstance(given, bool) else _asked(given)
    return lambda state: state.request.method in SERVED and ask(state)


def truth(answer: object) -> bool | Awaitable[bool]:
    return _awaited_truth(answer) if isawaitable(answer) else bool(answer)


async def _awaited_truth(answer: Awaitable[object]) -> bool:
    return bool(await answer)


def _exists(given: bool | Callable[[Context], Awaitable[Any]]) -> Test:
    if isinstance(given, bool):
        return _constant(given)

    async def find(state: Walk) -> bool:
        state.entity = await given(state.ctx)
        state.exists = state.entity is not None
        return state.exists

    return find


def _authorized(given: bool | Callable[[Context], Awaitable[object]]) -> Test:
    if isinstance(given, bool):
        return _constant(given)

    async def authorize(state: Walk) -> bool:
        principal = await given(state.ctx)
        state.ctx._principal = principal  # pyright: ignore[reportPrivateUsage]
        return principal is not None and principal is not False

    return authorize


def _location(given: Any) -> Test:
    if given is None:
        return _constant(False)
    if isinstance(given, str):

        def constant(state: Walk) -> bool:
            state.location = given
            return True

        return constant

    async def locate(state: Walk) -> bool:
        found = given(state.ctx)
        state.location = await found if isawaitable(found) else found
        return state.location is not None

    return locate
