"""One JSON line for each request, with the field names of the Elastic Common Schema."""

import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol

import msgspec
from msgspec import Struct, field

from ogrom import tracing
from ogrom.http import Request, Response
from ogrom.metrics import Metric, Metrics, sample
from ogrom.tracing import Trace


class RequestLog(Protocol):
    """Is told of every request once it is answered."""

    def request(self, request: Request, response: Response, *, seconds: float, client: str) -> None:
        """Note a request.

        Args:
            request: what was asked.
            response: what was answered; its `error` is an exception that nobody expected.
            seconds: from the head's arrival to the last byte of the answer.
            client: the address at the other end of the connection; "" where unknown.
        """
        ...

    def close(self) -> None:
        """Write what is still waiting."""
        ...


class JsonLog:
    """Writes JSON lines to a stream from a thread of its own, so that no request waits for it.

    A request only leaves a tuple; the thread makes lines of all that have come in `_GATHERED` seconds
    and writes them at once, in their order.

    Args:
        service: the service's name.
        release: the commit that runs.
        write: where lines go: one or several in a `bytes`, each with its newline; standard output by
            default.
        limit: how many lines may wait. Past it lines are dropped, and counted in a line of their
            own as soon as there is room.
    """

    def __init__(
        self,
        service: str,
        release: str,
        *,
        write: Callable[[bytes], object] | None = None,
        limit: int = 10_000,
    ) -> None:
        self._service: Final = service
        self._release: Final = release
        self._write = write or to_stdout
        self._waiting: deque[_Answered | dict[str, object]] = deque()  # appends and pops are atomic
        self._limit = limit
        self._dropped = 0  # and not told yet
        self.dropped = 0
        """How many lines were dropped, ever."""
        self._is_told = self._is_closing = False
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ogrom-log", daemon=True)
        self._thread.start()

    def request(self, request: Request, response: Response, *, seconds: float, client: str) -> None:
        """Note a request; see `RequestLog`."""
        self._note(
            (
                time.time(),
                request.method,
                request.path,
                request.query,
                request.id,
                request.headers.get("user-agent"),
                response.status,
                len(response.content) + response.streamed,
                response.route,
                response.error,
                seconds,
                client,
                tracing.current(),
            )
        )

    def put(self, line: dict[str, object]) -> None:
        """Write any other line; `@timestamp` is in seconds since 1970."""
        self._note(line)

    def close(self) -> None:
        """Write what is still waiting; at most five seconds are spent on it."""
        self._is_closing = True
        self._told.set()
        self._thread.join(timeout=5)

    def metrics(self) -> Iterable[Metric]:
        """How many lines wait, and how many were dropped."""
        yield Metric(
            "ogrom_log_dropped_lines_total",
            "counter",
            "Log lines dropped, as they could not be written as fast, or not at all.",
            (sample(self.dropped),),
        )
        yield Metric(
            "ogrom_log_waiting_lines",
            "gauge",
            "Log lines that wait to be written.",
            (sample(len(self._waiting)),),
        )

    def _note(self, what: "_Answered | dict[str, object]") -> None:
        waiting = self._waiting
        if len(waiting) >= self._limit:
            self._drop(1)
            return
        waiting.append(what)
        if not self._is_told:  # an event costs more than what is told by it
            self._is_told = True
            self._told.set()

    def _run(self) -> None:
        while not self._is_closing:
            self._told.wait()
            self._told.clear()
            if not self._is_closing:
                time.sleep(_GATHERED)
            self._is_told = False  # before looking: what comes from now on tells anew
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            service, release = self._service, self._release
            self._emit(
                [
                    _line(service, release, *each) if isinstance(each, tuple) else self._dated(each)
                    for each in some
                ]
            )
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            message = f"{dropped} log lines were dropped: the log could not be written as fast"
            line = {"@timestamp": time.time(), "log.level": "warn", "message": message}
            self._emit([self._dated(line)])

    def _dated(self, line: Mapping[str, object]) -> Mapping[str, object]:
        """Any other line, with its moment as it is written and whose it is."""
        when = line["@timestamp"]
        assert isinstance(when, float)
        whose = {"service.name": self._service, "service.version": self._release}
        return {**line, "@timestamp": _moment(when), **whose}

    def _emit(self, lines: Sequence["_Line | Mapping[str, object]"]) -> None:
        try:
            self._write(_encode_lines(lines))
        except (OSError, ValueError):  # the reader of the log is gone; the service is not
            self._drop(len(lines))

    def _drop(self, many: int) -> None:
        self._dropped += many
        self.dropped += many


def metrics_of(log: RequestLog | None) -> tuple[Metrics, ...]:
    """What a log tells of itself; only one of ours does."""
    return (log.metrics,) if isinstance(log, JsonLog) else ()


_GATHERED: Final = 0.01
"""For how many seconds lines are gathered before they are written at once."""

_AT_ONCE: Final = 200
"""So many lines at most: a pipe takes them without a pause."""

_Answered = tuple[
    float, str, str, str, str, str | None, int, int, str, BaseException | None, float, str, Trace | None
]  # fmt: skip
"""What is kept of a request until its line is written."""


class _Line(Struct, gc=False, omit_defaults=True):
    """A request's line. A `Struct`, because one is written for every request: a third of a dict's cost."""

    at: str = field(name="@timestamp")
    level: str = field(name="log.level")
    message: str
    id: str = field(name="http.request.id")
    method: str = field(name="http.request.method")
    path: str = field(name="url.path")
    status: int = field(name="http.response.status_code")
    size: int = field(name="http.response.body.bytes")
    nanoseconds: int = field(name="event.duration")
    route: str = field(name="ogrom.route")
    service: str = field(name="service.name")
    release: str = field(name="service.version")
    query: str = field(name="url.query", default="")
    client: str = field(name="client.ip", default="")
    agent: str = field(name="user_agent.original", default="")
    trace: str = field(name="trace.id", default="")
    error_type: str | None = field(name="error.type", default=None)
    error_message: str | None = field(name="error.message", default=None)
    error_trace: str | None = field(name="error.stack_trace", default=None)


_encode_lines = msgspec.json.Encoder().encode_lines


def _line(
    service: str,
    release: str,
    now: float,
    method: str,
    path: str,
    query: str,
    request_id: str,
    agent: str | None,
    status: int,
    size: int,
    route: str,
    error: BaseException | None,
    seconds: float,
    client: str,
    trace: Trace | None,
) -> _Line:
    """A request's line."""
    line = _Line(
        _moment(now),
        "info" if status < 500 else "warn",
        f"{method} {path} {status}",
        request_id,
        method,
        path,
        status,
        size,
        int(seconds * 1e9),
        route,
        service,
        release,
        query,
        client,
        agent or "",
    )
    if trace is not None and (trace.given or trace.id):
        line.trace = trace.begun().id
    if error is not None:
        line.level = "error"
        line.error_type, line.error_message, line.error_trace = _error(error)
    return line


def _moment(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 writes them, with milliseconds."""
    return _millisecond(int(seconds * 1000))


@lru_cache(maxsize=4)
def _millisecond(number: int) -> str:
    return f"{_second(number // 1000)}.{number % 1000:03d}Z"


@lru_cache(maxsize=4)
def _second(number: int) -> str:
    return datetime.fromtimestamp(number, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class LogHandler(logging.Handler):
    """Makes records of the standard library's `logging` lines of the same log.

    Args:
        log: where they go.
        level: the lowest level that is told.
    """

    def __init__(self, log: JsonLog, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record."""
        level = {"WARNING": "warn", "CRITICAL": "fatal"}.get(
            record.levelname, record.levelname.lower()
        )
        line: dict[str, object] = {
            "@timestamp": record.created,
            "log.level": level,
            "log.logger": record.name,
            "message": _sound(record.getMessage()),
        }
        if record.exc_info is not None and record.exc_info[1] is not None:
            line |= zip(_ERROR, _error(record.exc_info[1]), strict=True)
        self._log.put(line)


_ERROR: Final = "error.type", "error.message", "error.stack_trace"


def _error(error: BaseException) -> tuple[str, str, str]:
    """Its type, its message and its traceback."""
    whole = "".join(traceback.format_exception(error))
    return type(error).__name__, _sound(str(error)), _sound(whole)


def _sound(text: str) -> str:
    """The text as it can be written: names of files may have in them what is no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def to_stdout(line: bytes) -> None:
    """Write a line to standard output, at once."""
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
