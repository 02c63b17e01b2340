"""Which trace a request belongs to (W3C Trace Context), and how it is handed on. Imports nothing of ours.

Whoever takes a request in says what it brought; whoever calls another service for it sends `fields()`:

    tracing.set(request.headers.get("traceparent"), request.headers.get("tracestate"))   # the server
    session.get(url, headers=tracing.fields())                                           # a source

A request that brought no trace, or none that can be read, begins one of its own as soon as anybody
asks for it, so that one which calls nobody pays nothing. Each call gets a span id of its own.

Calls of sources are put into a `span`. Who wants to know of them listens, for one request: OpenTelemetry
where a tracer is configured (`ogrom.serve`), and the traces of `ogrom dev`. Else nothing is done.

https://www.w3.org/TR/trace-context/
"""

import random
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Final

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
        """`tracestate` as it came; "" where it did not, or is too long to be one, or has letters like ä."""
        state = self._state or ""
        return state if len(state) <= _LONGEST_STATE and state.isascii() else ""


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


Attributes = Mapping[str, str | int]
"""What is said of a call, by the names of OpenTelemetry's semantic conventions."""


class Span:
    """One call of a source. Of this one nobody is told; who listens gives one that tells."""

    __slots__ = ()

    def note(self, name: str, value: str | int) -> None:
        """Say something more of the call. What has an `error.type` has failed."""

    @property
    def failed(self) -> bool:
        """Whether an `error.type` was noted."""
        return False

    def fields(self) -> dict[str, str]:
        """The fields to send, so that what the other side does hangs below this span."""
        return fields()


Listener = Callable[[str, Attributes], AbstractContextManager[Span]]
"""Is told of a call: its name and what is known of it beforehand. The block is as long as the call."""

_LISTENER: ContextVar[Listener | None] = ContextVar("ogrom.tracing.listener", default=None)

listener: Final = _LISTENER.get
"""Who is told of the calls that are made for this request; None for nobody, and then say nothing."""

listen: Final = _LISTENER.set
"""From here on, tell of each call that is made for this request."""


@contextmanager
def span(name: str, attributes: Attributes) -> Generator[Span]:
    """A span of kind "client" around one call, for who listens; what is raised makes it a failure."""
    told = _LISTENER.get()
    if told is None:
        yield _NOBODY
        return
    with told(name, attributes) as made:
        try:
            yield made
        except BaseException as error:
            if not made.failed:
                made.note("error.type", type(error).__name__)
            raise


_NOBODY: Final = Span()
