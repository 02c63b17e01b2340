"""A resource's own graph as data: what is left for a method, who decides what, and where that is written."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from ogrom.http import _questions as questions
from ogrom.http._engine import fold, known_answers
from ogrom.http._graph import ACTIONS, DECISIONS, HANDLERS
from ogrom.http._message import METHODS
from ogrom.http._resource import Resource
from ogrom.http._walk import Plan, Prepared
from ogrom.http._words import words

Kind = Literal["decision", "action", "end"]


class Place(Struct, frozen=True):
    """A function, and where it is written."""

    keyword: str
    """Of the resource: "exists"."""
    name: str
    """The function's: "product.find"."""
    where: str
    """File and line: "shop/src/shop/core/products.py:56"; "" where that cannot be told."""


class Source(Struct, frozen=True):
    """Who answers a question, or does an action."""

    by: Literal["own", "declared", "http"]
    """A function of the resource's own, a constant that it declares, or HTTP itself."""
    places: tuple[Place, ...] = ()
    """The function that decides; for a question of HTTP's, those that it asks for what it compares."""


class Node(Struct, frozen=True):
    """A place in the graph."""

    name: str
    kind: Kind
    says: str
    rfc: str
    source: Source
    status: int = 0
    """Of an end; 0 where that is not known beforehand."""


class Edge(Struct, frozen=True):
    """A way from one place to another."""

    start: str
    answer: bool | None
    end: str


class Anatomy(Struct, frozen=True):
    """What is left of the graph for one method of a resource: no part of it is out of reach.

    The nodes stand in an order in which every edge leads forward.
    """

    resource: str
    method: str
    start: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def path(self, steps: tuple[str, ...]) -> tuple[str, ...]:
        """What of a whole walk's steps is in this graph."""
        names = {node.name for node in self.nodes} | {steps[-1] if steps else ""}
        return tuple(name for name in steps if name in names)


_DEFAULTS: Final[Mapping[str, Any]] = {field.name: field.default for field in fields(Resource)}

_ASKS: Final[Mapping[str, tuple[str, ...]]] = {
    "etag_matches_for_if_match": ("etag",),
    "etag_matches_for_if_none_match": ("etag",),
    "modified_since": ("last_modified",),
    "unmodified_since": ("last_modified",),
    "precondition_exists": ("last_modified",),
    "delete_enacted": ("delete",),
    "patch_enacted": ("patch",),
    "put_enacted": ("put",),
    "post_enacted": ("post",),
    "post_redirect": ("post",),
    "new": ("post", "put"),
    "respond_with_entity": ("post", "put", "patch", "delete"),
}
"""Which of a resource's functions a question of HTTP's asks for what it compares."""

ORDER: Final = tuple(
    each
    for name in (*DECISIONS, *HANDLERS)
    for each in ((*ACTIONS, name) if name == "delete_enacted" else (name,))
)
"""Every place of the graph, each before those that it leads to."""


def source_of(resource: Resource[Any], name: str, method: str = "") -> Source:
    """Who answers a question of this resource, or does an action.

    Args:
        resource: the resource.
        name: of a decision, an action or a handler.
        method: where only one is meant; of the actions, it is that one's then.
    """
    given = None if name == "precondition_required" else getattr(resource, name, None)
    if callable(given):
        return Source("own", (place_of(name, given),))
    if given is not None and given != _DEFAULTS.get(name):
        return Source("declared")
    asked = [
        (keyword, function)
        for keyword in _ASKS.get(name, ())
        if callable(function := getattr(resource, keyword, None))
        and (keyword not in ACTIONS or method in {"", keyword.upper()})
    ]
    return Source("http", tuple(place_of(keyword, function) for keyword, function in asked))


def place_of(keyword: str, function: Callable[..., Any]) -> Place:
    """What a function is called, and where it is written."""
    bare: Any = function
    while isinstance(bare, functools.partial):
        bare = bare.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    bare = inspect.unwrap(bare)
    if not hasattr(bare, "__code__"):
        bare = getattr(bare, "__func__", None) or type(bare).__call__
    name = str(getattr(bare, "__qualname__", type(bare).__name__)).replace(".<locals>", "")
    code = getattr(bare, "__code__", None)
    where = f"{short_path(code.co_filename)}:{code.co_firstlineno}" if code is not None else ""
    return Place(keyword, name, where)


def short_path(filename: str) -> str:
    """A file's name from the working directory, or its last three parts where it is elsewhere."""
    path = Path(filename)
    here = Path(os.path.normpath(Path.cwd()))
    if path.is_absolute() and path.is_relative_to(here):
        return str(path.relative_to(here))
    return "/".join(path.parts[-3:])


def plan_of(prepared: Prepared, method: str) -> Plan:
    """What is left of the graph for a method; for one that HTTP does not know, too."""
    if method in METHODS:
        return prepared.plans[method]
    known = dict(known_answers(prepared, method))
    if prepared.resource.method_known is None:
        known["method_known"] = False
    tests = {name: step[0] for name, step in prepared.whole.steps.items()}
    return fold(tests, known)


def edges_of(plan: Plan) -> Iterator[Edge]:
    """Every edge that can be reached from a plan's start, in the order of the graph."""
    reached = {plan.start}
    for name in ORDER:  # every edge leads forward, so once through is enough
        if name not in reached:
            continue
        if (step := plan.steps.get(name)) is not None:
            found = [Edge(name, True, step[1]), Edge(name, False, step[2])]
        elif (following := plan.after.get(name)) is not None:
            found = [Edge(name, None, following)]
        else:
            found = []
        for edge in found:
            reached.add(edge.end)
            yield edge


def anatomy(prepared: Prepared, method: str) -> Anatomy:
    """The graph that is left of a resource for a method, with who decides what."""
    resource = prepared.resource
    plan = plan_of(prepared, method)
    edges = tuple(edges_of(plan))
    names = {plan.start} | {edge.end for edge in edges}
    return Anatomy(
        resource=resource.name,
        method=method,
        start=plan.start,
        nodes=tuple(node_of(resource, name, method) for name in ORDER if name in names),
        edges=edges,
    )


def node_of(resource: Resource[Any], name: str, method: str) -> Node:
    """A place of the graph, as this resource has it."""
    kind: Kind = "end" if name in HANDLERS else "action" if name in ACTIONS else "decision"
    says, rfc = words(name)
    return Node(name, kind, says, rfc, source_of(resource, name, method), HANDLERS.get(name, 0))


def decides_itself(resource: Resource[Any], name: str) -> bool:
    """Whether a resource's own code answers a question, or did what it asks about."""
    if name in questions.OF_METHOD:
        return False
    if name in _ASKS and any(keyword in ACTIONS for keyword in _ASKS[name]):
        return True
    return callable(getattr(resource, name, None)) and name != "precondition_required"
