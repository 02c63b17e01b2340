"""One specialised function for each route and method, generated from what `fold` left of the graph.

The graph stays written down once, in `_graph`. This module follows a `Plan` from its start along
the ordinary way and writes it down as Python without a fork: `_asked` has how each question is
written, `_ends` how a response is. Wherever an answer is not the ordinary one the function hands
over to the plain walk, at the very node where the ways part (`_resume`); what is rare is thus
decided in one place only.

Generated source, not closures: a closure costs a call for each question, and of those a GET has a
dozen at 50 ns each, where `"if-match" in headers` in place takes 10. A function is made at its
first request, so that a service starts as fast as before: routes of one name and shape (the locales
of an API) are compiled once. Measured by `bench/engine.py` on CPython 3.11.
"""

import linecache
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from json import dumps
from types import CodeType, FunctionType
from typing import Any

from ogrom.http._asked import ask
from ogrom.http._ends import acted, ended
from ogrom.http._graph import ACTIONS, HANDLERS
from ogrom.http._links import Links
from ogrom.http._message import Request, Response
from ogrom.http._source import Source
from ogrom.http._variant import unasked
from ogrom.http._walk import Prepared

Answers = Callable[[Request, Mapping[str, object]], Coroutine[Any, Any, Response]]
"""Answers the requests of one method for one route, whose parameters it is given."""


def specialise(prepared: Prepared, method: str, links: Links) -> Answers:
    """The function that answers a route's requests of one method.

    Args:
        prepared: what follows from the route's resource.
        method: the method.
        links: how paths are written from the route.
    """
    text, names = generate(prepared, method)
    filename = f"<ogrom: {method} {prepared.resource.name or 'a resource'}>"
    code = _code(text, filename)
    # A copy: CPython keeps in the code where it last found a name, and so for one function only.
    made: Any = FunctionType(code.replace(), names | {"LINKS": links})
    return made  # type: ignore[no-any-return]


def generate(prepared: Prepared, method: str) -> tuple[str, dict[str, Any]]:
    """The source of the function, and what its names mean but for `LINKS`."""
    source = Source(prepared, method)
    source.means(FAVOURITE=unasked(prepared))
    node: str | None = source.plan.start
    while node is not None:
        if node in HANDLERS:
            ended(source, node)
            break
        if node in ACTIONS:
            acted(source, node)
            break
        node = ask(source, node)
    doc = f"{method} {prepared.resource.name or 'a resource'}"
    lines = [
        "async def answer(request, params):",
        f"    {dumps(doc)}",
        "    headers = request.headers",
        "    ctx = Context(request, params, LINKS, LANGUAGE)",
        *(f"    {name} = {start}" for name, start in source.known.items()),
        "    try:",
        *source.lines,
        "    except Exception as error:",
        "        raised = error",
        f"    return await fail(raised, {source.learnt})",
    ]
    return "\n".join([*lines, ""]), source.names


def forget() -> None:
    """Drops the code objects kept, so that the next function is compiled anew."""
    _code.cache_clear()


@lru_cache(maxsize=1024)
def _code(source: str, filename: str) -> CodeType:
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    module = compile(source, filename, "exec")
    return next(each for each in module.co_consts if isinstance(each, CodeType))
