"""One request is answered by the plain walk, and all that can be told of it is written down."""

import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from shlex import quote
from time import perf_counter
from typing import Any, Final

import msgspec

from ogrom import tracing
from ogrom.http import ACTIONS, HANDLERS, ETag, Match, Request, Response, Service, Step
from ogrom.http.insight import (
    Prepared,
    Source,
    Walk,
    Why,
    anatomy,
    explain,
    node_of,
    short_path,
    tried,
    words,
)
from ogrom.trace._calls import listener
from ogrom.trace._redact import Redactor, scrub
from ogrom.trace._show import shown
from ogrom.trace._trace import (
    Added,
    Call,
    Error,
    Kept,
    Message,
    Raw,
    Summary,
    Trace,
    TracedStep,
)

LONGEST: Final = 32 << 10
"""So many characters of a content, and of a traceback, are shown."""

_KEPT_CONTENT: Final = 1 << 20
"""Content of so many bytes can be sent again."""

_KNOWN: Final[Mapping[str, Callable[[Walk], object]]] = {
    "query": lambda walk: walk.ctx._query,  # pyright: ignore[reportPrivateUsage]
    "principal": lambda walk: walk.ctx._principal,  # pyright: ignore[reportPrivateUsage]
    "media type": lambda walk: _of(walk.prepared.media_types, walk.media),
    "language": lambda walk: _of(walk.prepared.languages, walk.language),
    "charset": lambda walk: _of(walk.prepared.charsets, walk.charset),
    "coding": lambda walk: _of(walk.prepared.encodings, walk.encoding),
    "content": lambda walk: walk.content,
    "body": lambda walk: walk.ctx._body,  # pyright: ignore[reportPrivateUsage]
    "entity": lambda walk: walk.entity,
    "tag": lambda walk: walk.tag,
    "location": lambda walk: walk.location,
    "outcome": lambda walk: walk.outcome,
    "refusal": lambda walk: walk.refusal,
}
"""What a walk comes to know, step by step."""


def _of(offered: tuple[Any, ...], index: int | None) -> object:
    return str(offered[index]) if index is not None and index < len(offered) else None


class Recording:
    """Watches one walk. It changes with each step."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self.walk: Walk | None = None
        self.steps: list[TracedStep] = []
        self.names: list[str] = []
        self.answers: dict[str, bool] = {}
        self.calls: list[Call] = []
        self._known: dict[str, object] = {}
        self._began = self._since = perf_counter()
        self.writing = 0.0
        """How many seconds it took to write all this down."""

    def watch(self, walk: Walk, step: Step) -> None:
        """A step was taken. What it takes to write it down is not counted."""
        now = perf_counter()
        microseconds = (now - self._since) * 1e6
        self.walk = walk
        self.names.append(step.name)
        if step.answer is not None:
            self.answers[step.name] = step.answer
        before = self.names[-2] if len(self.names) > 1 else ""
        if before in ACTIONS:  # noted before it was done: what it took comes with the next step
            self._add(walk, microseconds)
            microseconds = 0.0
        self.steps.append(self._told(walk, step, microseconds))
        self._since = perf_counter()
        self.writing += self._since - now

    def _told(self, walk: Walk, step: Step, microseconds: float) -> TracedStep:
        node = node_of(walk.resource, step.name, walk.request.method)
        try:
            why = explain(walk, step.name)
        except Exception as error:  # noqa: BLE001 - what cannot be explained is shown all the same
            why = Why(None, f"it could not be explained: {type(error).__name__}: {error}")
        text = step.why if step.why.startswith("raised") else why.text
        return TracedStep(
            name=step.name, kind=node.kind, answer=step.answer, says=node.says, why=text,
            rows=why.rows, rfc=node.rfc, source=node.source, added=self._news(walk),
            microseconds=round(microseconds, 1),
        )  # fmt: skip

    def _news(self, walk: Walk) -> tuple[Added, ...]:
        """What is known now and was not before."""
        found: list[Added] = []
        for name, look in _KNOWN.items():
            value = look(walk)
            if value is not self._known.get(name) and value not in (None, b""):
                if self._known.get(name) != value:
                    found.append(Added(name, self._redactor.show(value)))
                self._known[name] = value
        # What would be sent unasked is known from the start, and no news of the first step.
        return tuple(
            found if len(self.steps) else [each for each in found if each.to not in _UNASKED]
        )

    def _add(self, walk: Walk, microseconds: float) -> None:
        last = self.steps[-1]
        self.steps[-1] = msgspec.structs.replace(
            last,
            microseconds=round(microseconds, 1),
            added=self._news(walk),
            why=f"it returned {type(walk.outcome).__name__}" if walk.outcome else last.why,
        )

    def done(self) -> None:
        """The response is there: what the last step took."""
        if self.steps and self.walk is not None:
            self._add(self.walk, (perf_counter() - self._since) * 1e6)

    def elapsed(self) -> float:
        """How many seconds the request has taken so far."""
        return perf_counter() - self._began - self.writing


_UNASKED: Final = frozenset({"media type", "language", "charset", "coding"})


async def record(
    service: Service,
    request: Request,
    redactor: Redactor,
    keep: Callable[[Kept], object],
    number: Callable[[], int],
    *,
    replays: str = "",
    meant: str = "",
) -> Response:
    """The response to a request, by the plain walk; its trace is given to `keep`, whatever happens.

    Args:
        service: answers.
        request: what is asked.
        redactor: what must not be shown.
        keep: takes the trace.
        number: gives the trace its number when it is written: they count in the order of ending.
        replays: the trace of the request that this one repeats.
        meant: the end that it was made up to come to.
    """
    recording = Recording(redactor)
    tracing.listen(listener(tracing.listener(), recording.elapsed, recording.calls.append))
    read: list[bytes] = []
    if not isinstance(request.content, bytes):
        request = msgspec.structs.replace(request, content=_noting(request.content, read))
    at, started = time.time(), perf_counter()

    def ended(response: Response | None, error: BaseException | None) -> None:
        seconds = perf_counter() - started - recording.writing
        recording.done()
        content = request.content if isinstance(request.content, bytes) else b"".join(read)
        written = _Writer(service, request, content, recording, redactor)
        keep(written.kept(number(), at, seconds, response, error, replays, meant))

    try:
        response = await service.watch(request, recording.watch)
    except BaseException as raised:
        ended(None, raised)
        raise
    ended(response, None)
    return response


def _noting(
    read: Callable[[], Awaitable[bytes]], noted: list[bytes]
) -> Callable[[], Awaitable[bytes]]:
    async def reading() -> bytes:
        content = await read()
        noted.append(content)
        return content

    return reading


class _Writer:
    """Makes a trace of what was recorded."""

    def __init__(
        self,
        service: Service,
        request: Request,
        content: bytes,
        recording: Recording,
        redactor: Redactor,
    ) -> None:
        self._service, self._request, self._content = service, request, content
        self._recording, self._redactor = recording, redactor

    def kept(
        self,
        number: int,
        at: float,
        seconds: float,
        response: Response | None,
        raised: BaseException | None,
        replays: str,
        meant: str,
    ) -> Kept:
        request, redactor, recording = self._request, self._redactor, self._recording
        match, prepared = self._matched()
        params = match.params if match is not None else dict[str, object]()
        error = raised or (response.error if response is not None else None)
        refusal = recording.walk.refusal if recording.walk is not None else None
        status = response.status if response is not None else 0
        fields = tuple(response.headers) if response is not None else ()
        answer = response.content if response is not None else b""
        end = recording.names[-1] if recording.names and raised is None else ""
        summary = Summary(
            number=number,
            id=secrets.token_urlsafe(12),
            at=at,
            method=request.method,
            target=redactor.target(request.path, request.query),
            status=status,
            milliseconds=round(seconds * 1e3, 2),
            end=end if end in HANDLERS else "",
            route=match.route.pattern if match else "",
            error=error is not None,
        )
        own = anatomy(prepared, request.method) if prepared else None
        path = own.path(tuple(recording.names)) if own else ()
        brought = tracing.current()
        trace = Trace(
            summary=summary,
            request_id=request.id,
            trace_id=brought.begun().id if brought is not None else "",
            traceparent=request.headers.get("traceparent", ""),
            client_traced=brought is not None and brought.given,
            request=Message(
                redactor.fields(request.headers.items()),
                *shown(self._content, request.headers, redactor, LONGEST),
            ),
            resource=match.route.name or "" if match else "",
            pattern=match.route.pattern if match else "",
            parameters=tuple((name, redactor.show(value)) for name, value in params.items()),
            tried=tried(self._service.router, request.path, 5 if match is None else 3),
            steps=tuple(recording.steps) or (_unrouted(status),),
            path=path,
            calls=tuple(recording.calls),
            error=_error(error, expected=False) if error else _error(refusal, expected=True),
            response=Message(
                redactor.fields(fields),
                *(
                    ("", "it is made while it is sent, and not kept")
                    if response is not None and response.pieces is not None
                    else shown(answer, _lower(fields), redactor, LONGEST)
                ),
            ),
            curl=self._curl(),
            replays=replays,
            meant=meant,
        )
        sent = [(name, value) for name, value in request.headers.items()]
        hidden = redactor.values([*sent, *fields], request.query, [self._content, answer])
        plain = scrub(msgspec.to_builtins(trace), hidden)
        return Kept(
            summary=msgspec.convert(plain["summary"], Summary),
            written=msgspec.json.encode(plain),
            pattern=trace.pattern,
            path=path,
            raw=self._raw(),
        )

    def _matched(self) -> tuple[Match[Any] | None, Prepared | None]:
        try:
            match = self._service.router.match(self._request.path)
        except ValueError:
            return None, None
        return match, self._service.prepared(match.route) if match is not None else None

    def _raw(self) -> Raw:
        walk, request = self._recording.walk, self._request
        tag = walk.tag if walk is not None else None
        changed = _changed(walk) if walk is not None else None
        return Raw(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=dict(request.headers),
            content=self._content[:_KEPT_CONTENT],
            answers=self._recording.answers,
            revision=tag if isinstance(tag, str) else None,
            tag=(tag.opaque, tag.weak) if isinstance(tag, ETag) else None,
            changed=changed.timestamp() if changed is not None else None,
        )

    def _curl(self) -> str:
        """The request as a command; secrets are variables of the shell's."""
        request, redactor = self._request, self._redactor
        host = request.headers.get("host", "127.0.0.1:8080")
        target = redactor.target(request.path, request.query)
        words_ = ["curl", "-i", quote(f"http://{host}{target}")]
        if request.method == "HEAD":
            words_.append("--head")
        elif request.method != "GET":
            words_ += ["-X", request.method]
        for name, value in request.headers.items():
            if name in {"host", "content-length", "connection", "transfer-encoding"}:
                continue
            if redactor.is_secret(name):
                words_ += ["-H", f'"{name}: ${name.upper().replace("-", "_")}"']
            else:
                words_ += ["-H", quote(f"{name}: {value}")]
        content, _ = shown(self._content, {}, redactor, LONGEST, pretty=False)
        if content:
            words_ += ["--data-binary", quote(content)]
        return " ".join(words_)


def _unrouted(status: int) -> TracedStep:
    """The one step of a request that came to no resource."""
    said = "is malformed" if status == 400 else "leads to no resource"
    return TracedStep(
        name="route", kind="decision", answer=False, says="Does the path lead to a resource?",
        why=f"the path {said}", rows=(), rfc=words("exists")[1], source=Source("http"), added=(),
        microseconds=0.0,
    )  # fmt: skip


def _changed(walk: Walk) -> datetime | None:
    given = walk.resource.last_modified
    if not callable(given):
        return given
    if walk.entity is None:
        return None
    try:
        return given(walk.entity)
    except Exception:  # noqa: BLE001 - it said so before, when it was asked for the response
        return None


def _error(error: BaseException | None, *, expected: bool) -> Error | None:
    if error is None:
        return None
    lines = "".join(traceback.format_exception(error))
    here = short_path("/").rstrip("/")
    text = lines.replace(f"{here}/", "") if len(here) > 1 else lines
    return Error(type(error).__name__, str(error)[:2000], text[-LONGEST:], expected)


def _lower(fields: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in fields}
