"""A service: routes of resources, ready to answer requests. Sans I/O: it awaits only their functions."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct, json, msgpack, structs

from ogrom.http._compile import Answers, generate, specialise
from ogrom.http._cors import Cors
from ogrom.http._engine import prepare, walk
from ogrom.http._errors import ResourceError
from ogrom.http._media import JSON, MSGPACK
from ogrom.http._message import SERVED, Request, Response, Step
from ogrom.http._negotiate import choose_media_type
from ogrom.http._problem import NOT_KEPT, PROBLEM_JSON, Problem, complete
from ogrom.http._render import respond
from ogrom.http._resource import Resource
from ogrom.http._routing import MalformedPath, Route, Router
from ogrom.http._tree import Params
from ogrom.http._walk import Prepared, Refusals, Walk, begin

Routes = Mapping[str, "Routes | Resource[Any]"]
"""Paths and what is there: nested, and mounted anywhere. See `Service`."""


class Traced(Struct, frozen=True):
    """A response, and the steps that led to it."""

    response: Response
    steps: tuple[Step, ...]


class Service:
    """Answers requests with the resources of some routes.

    Routes are nested mappings: a path, or a part of one, leads to a resource or to further routes.

        Service({"/v1": {"/products/{product_id}": {"": product, "/comments": comments}}})

    Args:
        routes: what is where.
        cors: which other origins' pages may use the resources that have no rule of their own.
        refusals: what exceptions mean that know nothing of HTTP, by type, such as
            `{Unavailable: lambda error: ServiceUnavailable(retry_after=5)}`.

    Raises:
        RoutesError: two routes match the same paths, or one can never be reached.
        ResourceError: a route leads to something else than a resource.
    """

    def __init__(
        self, routes: Routes, *, cors: Cors | None = None, refusals: Refusals | None = None
    ) -> None:
        if complaint := _wrong(cors, refusals):
            raise ResourceError(complaint)
        self.router: Final[Router[Resource[Any]]] = Router(routes, name_of=_name_of)
        self.cors: Final = cors
        self._prepared: Final[dict[int, Prepared]] = {}
        for route in self.router.leaves():
            key = id(route.leaf)
            if key not in self._prepared:
                self._prepared[key] = prepare(route.leaf, cors=cors, refusals=refusals)
        self._ending: Final = self.router.ending

    def leaves(self) -> Iterator[Route[Resource[Any]]]:
        """Every route: its pattern, its parameters, its resource."""
        return iter(self.router.leaves())

    def respond(self, request: Request) -> Coroutine[Any, Any, Response]:
        """The response to a request. It never raises: what goes wrong is a 500 with `error`.

        The route is matched when this is called; what it returns waits only where the resource's
        functions do.
        """
        before, _, value = request.path.rpartition("/")
        short = self._ending.get(before)  # the most frequent kind of path, matched here
        if short is not None and value.isascii() and value.isalnum():
            name, route = short
            params: Params = {name: value}
        elif (found := self._found(request.path)) is not None:
            route, params = found
        else:
            return self.walk(request)
        answer: Answers | None = route.kept.get(request.method)
        if answer is None:
            answer = self._specialise(route, request.method)
        return answer(request, params)

    def _found(self, path: str) -> tuple[Route[Resource[Any]], Params] | None:
        try:
            return self.router.find(path)
        except MalformedPath:
            return None

    async def walk(self, request: Request) -> Response:
        """The response to a request by the plain walk, which `respond` is held equal to."""
        return (await self._on_foot(request, trace=False)).response

    async def trace(self, request: Request) -> Traced:
        """The response to a request by the plain walk, and every step that led to it."""
        return await self._on_foot(request, trace=True)

    async def watch(self, request: Request, watcher: Callable[[Walk, Step], object]) -> Response:
        """The response to a request by the plain walk, every step told to `watcher` as it is taken.

        What it is shown of the walk is the walk itself, on its way: it may look, and change nothing.
        """
        return (await self._on_foot(request, trace=True, watcher=watcher)).response

    def prepared(self, route: Route[Resource[Any]]) -> Prepared:
        """What is known of a route's resource before any request: the graph that is left for each
        method, with how its questions are answered. The route is one of `leaves`.
        """
        return self._prepared[id(route.leaf)]

    def source(self, name: str, method: str) -> str:
        """The function that answers a method's requests for a resource, as Python.

        Raises:
            LookupError: no resource has that name, or no function is made for that method.
        """
        for route in self.router.leaves():
            if route.name == name and method in SERVED:
                return generate(self._prepared[id(route.leaf)], method)[0]
        names = ", ".join(dict.fromkeys(route.name or "" for route in self.router.leaves()))
        raise LookupError(f"No {method} of {name!r}: there are {names}, and {', '.join(SERVED)}.")

    def _specialise(self, route: Route[Resource[Any]], method: str) -> Answers:
        """The function for a route and method, made when it is first needed."""
        if method not in SERVED:  # refused, and not worth a function
            return self._refused
        made = specialise(self._prepared[id(route.leaf)], method, self.router.links(route))
        route.kept[method] = made
        return made

    async def _refused(self, request: Request, _: Mapping[str, object]) -> Response:
        return await self.walk(request)

    async def _on_foot(
        self,
        request: Request,
        *,
        trace: bool,
        watcher: Callable[[Walk, Step], object] | None = None,
    ) -> Traced:
        if request.path == "*":
            return Traced(_about_the_server(request), ())
        try:
            match = self.router.match(request.path)
        except MalformedPath as error:
            return Traced(self._problem(request, 400, f"The path is malformed: {error}"), ())
        if match is None:
            return Traced(self._problem(request, 404, self._hint(request.path)), ())
        prepared = self._prepared[id(match.leaf)]
        state = begin(prepared, request, match, self.router, trace=trace)
        state.watch = watcher
        response = await respond(state, *await walk(state))
        return Traced(response, tuple(state.steps or ()))

    def _problem(self, request: Request, status: int, detail: str) -> Response:
        """Problem details that pages of other origins may read, where the service lets them."""
        made = _problem(request, status, detail)
        if self.cors is None:
            return made
        return structs.replace(made, headers=(*made.headers, *self.cors.fields(request)))

    def _hint(self, path: str) -> str:
        """What is there instead, where it is only a slash that is too much or too few."""
        other = path.rstrip("/") if path.endswith("/") else f"{path}/"
        if other and len(path) < 1000 and self.router.match(other) is not None:
            return f"There is nothing here, but there is at {other}"
        return "There is nothing here."


def _wrong(cors: object, refusals: Mapping[Any, object] | None) -> str | None:
    """What is not as it must be, for whoever has no type checker."""
    if cors is not None and not isinstance(cors, Cors):
        return f"Service(cors={cors!r}): write cors=Cors(origins=('https://shop.example',))."
    for kind, make in (refusals or {}).items():
        if not (isinstance(kind, type) and issubclass(kind, Exception) and callable(make)):
            return (
                f"Service(refusals={{{kind!r}: {make!r}}}): write the exception's type and a function of"
                " it: {Gone: lambda error: NotFound('…')}."
            )
    return None


def _name_of(resource: Resource[Any]) -> str | None:
    if not isinstance(resource, Resource):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ResourceError(f"Routes lead to resources or to further routes, not to {resource!r}.")
    return resource.name or None


def _about_the_server(request: Request) -> Response:
    """`OPTIONS *` (RFC 9110, section 9.3.7); nothing else can be asked of the server as a whole."""
    if request.method != "OPTIONS":
        return _problem(request, 400, "Only OPTIONS can be asked of the server as a whole.")
    return Response(status=200, headers=(("Allow", ", ".join(SERVED)), ("Content-Length", "0")))


def _problem(request: Request, status: int, detail: str) -> Response:
    return problem_response(
        status,
        detail,
        accept=request.headers.get("accept"),
        request_id=request.id,
        method=request.method,
    )


def problem_response(
    status: int,
    detail: str,
    *,
    accept: str | None = None,
    request_id: str = "",
    method: str = "GET",
) -> Response:
    """Problem details outside of any resource: for what no route matches, and for servers.

    Args:
        status: of 400 to 599.
        detail: what is wrong and what to do.
        accept: the request's `Accept`: MessagePack where that is preferred, else JSON.
        request_id: names the request in the log.
        method: HEAD gets no content.
    """
    value = complete(Problem(), status=status, detail=detail, request_id=request_id)
    wanted = choose_media_type(accept, (JSON.type, MSGPACK.type)).index
    label, content = (
        (MSGPACK.type, msgpack.encode(value)) if wanted == 1 else (PROBLEM_JSON, json.encode(value))
    )
    return Response(
        status=status,
        headers=(
            ("Content-Type", str(label)),
            ("Content-Length", str(len(content))),
            NOT_KEPT,
            ("Vary", "Accept"),
        ),
        content=b"" if method == "HEAD" else content,
    )
