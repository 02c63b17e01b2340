"""Which trace a request belongs to (W3C Trace Context), and how it is handed on. Imports nothing of ours.

Whoever takes a request in says what it brought; whoever calls another service for it sends `fields()`:

    tracing.set(request.headers.get("traceparent"), request.headers.get("tracestate"))   # the server
    session.get(url, headers=tracing.fields())                                           # a source

A request that brought no trace, or none that can be read, begins one of its own as soon as anybody
asks for it, so that one which calls nobody pays nothing. Each call gets a span id of its own. Where
OpenTelemetry is installed, `span` records the call there; else it does nothing.

https://www.w3.org/TR/trace-context/
"""

import importlib
import random
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Final

from msgspec import Struct

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LONGEST_STATE: Final = 512
"""Section 3.3.1.5: at least so much of `tracestate` is handed on."""


class Trace(Struct, eq=False):
    """One request's trace. Its ids are worked out when somebody first asks for them.

    A `Struct`, because one is made for every request.
    """

    _given: str | None = None
    _state: str | None = None
    id: str = ""
    """32 hexadecimal digits."""
    parent: str = ""
    """The span that the request came from, 16 digits; "" where the trace begins here."""
    flags: str = "01"

    def begun(self) -> "Trace":
        """The trace with its ids."""
        if not self.id:
            self.id, self.parent, self.flags = _read(self._given) or (_random(128), "", "01")
            if not self.parent:  # section 3.4: a state without its parent is nobody's
                self._state = None
        return self

    @property
    def given(self) -> bool:
        """Whether the request brought a trace."""
        return self._given is not None

    @property
    def state(self) -> str:
        """`tracestate` as it came; "" where it did not, or is too long to be one."""
        state = self._state or ""
        return state if len(state) <= _LONGEST_STATE else ""


_TRACE: ContextVar[Trace | None] = ContextVar("ogrom.tracing", default=None)


def set(parent: str | None, state: str | None = None) -> None:  # noqa: A001 - read as tracing.set
    """From here on, all is part of the trace that these fields name, or of a new one."""
    _TRACE.set(Trace(parent, state))


set_trace = _TRACE.set
"""The same for a `Trace`: what a server sets for every request."""


def current() -> Trace | None:
    """The trace that this is part of; None outside of any request."""
    return _TRACE.get()


def fields() -> dict[str, str]:
    """The fields to send with one call: `traceparent` with a new span id, and `tracestate`."""
    trace = (_TRACE.get() or Trace()).begun()
    sent = {"traceparent": f"00-{trace.id}-{_random(64)}-{trace.flags}"}
    if trace.state:
        sent["tracestate"] = trace.state
    return sent


def _read(parent: str | None) -> tuple[str, str, str] | None:
    """The ids of trace and span, and the flags; None where it is none (section 3.2.2)."""
    match = _PARENT.fullmatch(parent) if parent else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if (
        version == "ff"
        or (version == "00" and more)
        or not (int(trace_id, 16) and int(span_id, 16))
    ):
        return None
    return trace_id, span_id, flags if version == "00" else f"{int(flags, 16) & 1:02x}"


def _random(bits: int) -> str:
    return f"{random.getrandbits(bits) or 1:0{bits // 4}x}"


Told = Callable[[str, Mapping[str, str | int], float], object]
"""Is told of a call that was made: its name, what is said of it, and how many seconds it took."""

_TOLD: ContextVar[Told | None] = ContextVar("ogrom.tracing.told", default=None)


def tell(told: Told) -> None:
    """From here on, tell of each call that is made for this request."""
    _TOLD.set(told)


class Span:
    """One call, as OpenTelemetry is told of it; where that is not installed, nothing."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def note(self, name: str, value: str | float) -> None:
        """Say something of the call, by the names of OpenTelemetry's semantic conventions."""
        if self._span is not None:
            self._span.set_attribute(name, value)

    def fields(self) -> dict[str, str]:
        """The fields to send, so that what the other side does hangs below this span."""
        if self._span is None:
            return fields()
        told = self._span.get_span_context()
        if not told.is_valid:  # the API is there, and nobody listens
            return fields()
        sent = {
            "traceparent": f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}"
        }
        if state := told.trace_state.to_header():
            sent["tracestate"] = state
        return sent


@contextmanager
def span(name: str, attributes: Mapping[str, str | int]) -> Generator[Span]:
    """A span of kind "client" around one call, where OpenTelemetry is installed.

    It hangs below OpenTelemetry's present span; where there is none, below the request's own trace.
    An exception is recorded, and goes on.
    """
    told = _TOLD.get()
    if told is not None:
        started = perf_counter()
        try:
            with _spanned(name, attributes) as made:
                yield made
        finally:
            told(name, attributes, perf_counter() - started)
        return
    with _spanned(name, attributes) as made:
        yield made


@contextmanager
def _spanned(name: str, attributes: Mapping[str, str | int]) -> Generator[Span]:
    api = _opentelemetry()
    if api is None:
        yield Span()
        return
    tracer = api.get_tracer("ogrom")
    context = None if api.get_current_span().get_span_context().is_valid else _context(api)
    with tracer.start_as_current_span(
        name, context=context, kind=api.SpanKind.CLIENT, attributes=dict(attributes)
    ) as started:
        yield Span(started)


def _context(api: Any) -> Any:
    """The request's trace as OpenTelemetry's remote parent."""
    trace = _TRACE.get()
    if trace is None or not trace.begun().parent:
        return None
    remote = api.SpanContext(
        trace_id=int(trace.id, 16),
        span_id=int(trace.parent, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(int(trace.flags, 16)),
        trace_state=api.TraceState.from_header([trace.state]) if trace.state else None,
    )
    return api.set_span_in_context(api.NonRecordingSpan(remote))


_API: list[Any] = []
"""OpenTelemetry's module, or None where it is not installed; empty until somebody asks."""


def _opentelemetry() -> Any:
    if not _API:
        try:
            _API.append(importlib.import_module("opentelemetry.trace"))
        except ImportError:
            _API.append(None)
    return _API[0]
