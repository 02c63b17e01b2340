"""What a trace is: one request, every step of its walk with its why, and what was answered. Frozen."""

from msgspec import Struct

from ogrom.http.insight import Row, Source, Tried


class Added(Struct, frozen=True):
    """What a step has added to what is known: "entity", and the value in short."""

    to: str
    value: str


class TracedStep(Struct, frozen=True):
    """One step of a walk."""

    name: str
    kind: str
    """"decision", "action" or "end"."""
    answer: bool | None
    says: str
    """What is asked, or done."""
    why: str
    rows: tuple[Row, ...]
    """What was compared with what."""
    rfc: str
    source: Source
    added: tuple[Added, ...]
    microseconds: float


class Call(Struct, frozen=True):
    """A call of a source that was made on the way."""

    source: str
    """What it is: "sqlite", "mariadb", "tantivy", "opensearch", "http" …"""
    where: str
    name: str
    says: str
    """The SQL without its values, or what was asked over HTTP."""
    status: str
    error: str
    """What kind of failure it was; "" for none."""
    at: float
    """How many milliseconds after the request."""
    milliseconds: float


class Error(Struct, frozen=True):
    """An exception."""

    kind: str
    message: str
    traceback: str
    expected: bool
    """Whether it is a refusal, which a resource may raise; else it is a fault."""


class Message(Struct, frozen=True):
    """Header fields and content, as they may be shown."""

    fields: tuple[tuple[str, str], ...]
    content: str
    note: str
    """What was done to the content so that it can be shown, and how long it is."""


class Summary(Struct, frozen=True):
    """A trace in one line of a list."""

    number: int
    id: str
    at: float
    """Seconds since 1970."""
    method: str
    target: str
    status: int
    milliseconds: float
    end: str
    route: str
    error: bool


class Trace(Struct, frozen=True):
    """One request."""

    summary: Summary
    request_id: str
    trace_id: str
    """Of W3C Trace Context."""
    traceparent: str
    client_traced: bool
    """Whether the request brought its trace."""
    request: Message
    resource: str
    pattern: str
    parameters: tuple[tuple[str, str], ...]
    tried: tuple[Tried, ...]
    steps: tuple[TracedStep, ...]
    path: tuple[str, ...]
    """What of the walk is in the resource's own graph."""
    calls: tuple[Call, ...]
    error: Error | None
    response: Message
    curl: str
    replays: str
    """The trace of the request that this one is a replay of."""
    meant: str
    """The end that it was made up to come to."""


class Raw(Struct, frozen=True):
    """A request as it was sent, secrets and all; kept to be sent again, and never shown."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    content: bytes
    answers: dict[str, bool]
    revision: str | None
    """The entity's, from which tags are made."""
    tag: tuple[str, bool] | None
    """A whole tag, and whether it is weak; where the resource gives one itself."""
    changed: float | None
    """When the entity last changed, in seconds since 1970."""


class Kept(Struct, frozen=True):
    """A trace in the ring."""

    summary: Summary
    written: bytes
    """The trace as JSON."""
    pattern: str
    path: tuple[str, ...]
    raw: Raw

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.written) + len(self.raw.content) + 2000
