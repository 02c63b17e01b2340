"""OpenTelemetry, where a tracer is configured: each request is a span, and below it each call of a source.

Who configures one does so before the server starts. Where nobody has, or nothing of it is installed, there
is no trace of this: what answers is the service itself, and `ogrom.tracing.listener` is None.

Names are those of https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final

from ogrom import tracing
from ogrom.http import Request, Response, Service
from ogrom.serve._app import Answering
from ogrom.tracing import Attributes, Span, Trace

Respond = Callable[[Request], Coroutine[Any, Any, Response]]

_KNOWN: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY"}
)
"""Methods that are told by their names; a client may invent any number of others."""


def served(service: Answering) -> Respond:
    """What answers requests, each within a span; the service itself where no tracer is configured."""
    respond, api = service.respond, _configured()
    if api is None:
        return respond
    routes = _routes(service)
    tracer, listener = api.get_tracer("ogrom"), Telling(api)

    async def spanned(request: Request) -> Response:
        if request.path.startswith("/-/"):
            return await respond(request)
        method = request.method if request.method in _KNOWN else "_OTHER"
        trace = tracing.current()
        with tracer.start_as_current_span(
            method, context=_parent(api, trace), kind=api.SpanKind.SERVER,
            attributes=_asked(request, method), record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            _goes_on(trace, span)
            tracing.listen(listener)
            response = await respond(request)
            if response.route:
                route = routes(request.path) or response.route
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", response.status)
            if response.status >= 500:
                error = response.error
                kind = str(response.status) if error is None else type(error).__name__
                span.set_attribute("error.type", kind)
                span.set_status(api.StatusCode.ERROR)
            return response

    return spanned


class Telling:
    """Makes each call of a source a span of kind "client", below the present one."""

    def __init__(self, api: Any) -> None:
        self._api: Final = api
        self._tracer: Final = api.get_tracer("ogrom")

    @contextmanager
    def __call__(self, name: str, attributes: Attributes) -> Generator[Span]:
        """The span of one call."""
        api = self._api
        present = api.get_current_span().get_span_context().is_valid
        with self._tracer.start_as_current_span(
            name, context=None if present else _parent(api, tracing.current()),
            kind=api.SpanKind.CLIENT, attributes=dict(attributes), record_exception=False,
            set_status_on_exception=False,
        ) as span:  # fmt: skip
            yield _Told(api, span)


class _Told(Span):
    """A span that OpenTelemetry is told of. Exceptions are named and not quoted: a database's quote values."""

    __slots__ = ("_api", "_failed", "_span")

    def __init__(self, api: Any, span: Any) -> None:
        self._api, self._span, self._failed = api, span, False

    def note(self, name: str, value: str | int) -> None:
        self._span.set_attribute(name, value)
        if name == "error.type":
            self._failed = True
            self._span.set_status(self._api.StatusCode.ERROR)

    @property
    def failed(self) -> bool:
        return self._failed

    def fields(self) -> dict[str, str]:
        told = self._span.get_span_context()
        sent = {
            "traceparent": f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}"
        }
        if state := told.trace_state.to_header():
            sent["tracestate"] = state
        return sent


def _configured() -> Any:
    """OpenTelemetry's API where it has a provider, else None.

    Who has set one has loaded the API. One that is only named in the environment is loaded by it.
    """
    name = "opentelemetry.trace"
    if os.environ.get("OTEL_PYTHON_TRACER_PROVIDER") and importlib.util.find_spec("opentelemetry"):
        importlib.import_module(name)
    api: Any = sys.modules.get(name)
    if api is None or isinstance(
        api.get_tracer_provider(), api.ProxyTracerProvider | api.NoOpTracerProvider
    ):
        return None
    return api


def _routes(service: Any) -> Callable[[str], str]:
    """Finds the pattern of a path, /products/{id}; of the service, or of that which it stands before."""
    inner = service if isinstance(service, Service) else getattr(service, "service", None)

    def pattern(path: str) -> str:
        match = inner.router.match(path) if isinstance(inner, Service) else None
        return match.route.pattern if match is not None else ""

    return pattern


def _asked(request: Request, method: str) -> dict[str, str | int]:
    """What is known of a request beforehand. Its query may have secrets in it, and is left out."""
    asked: dict[str, str | int] = {
        "http.request.method": method,
        "url.path": request.path,
        "url.scheme": "http",
    }
    if method == "_OTHER":
        asked["http.request.method_original"] = request.method
    if host := request.headers.get("host"):
        name, _, port = host.rpartition(":")
        asked["server.address"] = name if port.isdecimal() else host
        if port.isdecimal() and name:
            asked["server.port"] = int(port[:5])
    if agent := request.headers.get("user-agent"):
        asked["user_agent.original"] = agent
    return asked


def _parent(api: Any, trace: Trace | None) -> Any:
    """The request's trace as a context; None, which is the present one, where it brought none."""
    if (
        trace is None
        or not trace.begun().parent
        or api.get_current_span().get_span_context().is_valid
    ):
        return None
    remote = api.SpanContext(
        trace_id=int(trace.id, 16),
        span_id=int(trace.parent, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(int(trace.flags, 16)),
        trace_state=api.TraceState.from_header([trace.state]) if trace.state else None,
    )
    return api.set_span_in_context(api.NonRecordingSpan(remote))


def _goes_on(trace: Trace | None, span: Any) -> None:
    """From here on the request's trace is that of its span: in the log, and below a streamed response."""
    if trace is not None:
        told = span.get_span_context()
        trace.id, trace.parent = f"{told.trace_id:032x}", f"{told.span_id:016x}"
        trace.flags = f"{told.trace_flags:02x}"
