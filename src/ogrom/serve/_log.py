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
        fixed = msgspec.json.encode({"service.name": service, "service.version": release})
        self._end: Final = b"," + fixed[1:] + b"\n"
        """How every line ends, written once."""
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
            self._emit([_line(*each) if isinstance(each, tuple) else _dated(each) for each in some])
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            message = f"{dropped} log lines were dropped: the log could not be written as fast"
            line = {"@timestamp": _moment(time.time()), "log.level": "warn", "message": message}
            self._emit([line])

    def _emit(self, lines: Sequence[Mapping[str, object]]) -> None:
        encode, end = msgspec.json.encode, self._end
        try:
            self._write(b"".join([encode(each)[:-1] + end for each in lines]))
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


def _line(
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
) -> dict[str, object]:
    """A request's line."""
    line: dict[str, object] = {
        "@timestamp": _moment(now),
        "log.level": "error" if error else "warn" if status >= 500 else "info",
        "message": f"{method} {path} {status}",
        "http.request.id": request_id,
        "http.request.method": method,
        "url.path": path,
        "http.response.status_code": status,
        "http.response.body.bytes": size,
        "event.duration": int(seconds * 1e9),
        "ogrom.route": route,
    }
    if query:
        line["url.query"] = query
    if client:
        line["client.ip"] = client
    if agent:
        line["user_agent.original"] = agent
    if trace is not None and (trace.given or trace.id):
        line["trace.id"] = trace.begun().id
    if error is not None:
        line |= _error(error)
    return line


def _dated(line: dict[str, object]) -> dict[str, object]:
    """Any other line, with its moment as it is written."""
    when = line["@timestamp"]
    assert isinstance(when, float)
    return {**line, "@timestamp": _moment(when)}


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _moment(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 writes them, with milliseconds."""
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


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
            "message": record.getMessage(),
        }
        if record.exc_info is not None and record.exc_info[1] is not None:
            line |= _error(record.exc_info[1])
        self._log.put(line)


def _error(error: BaseException) -> dict[str, object]:
    return {
        "error.type": type(error).__name__,
        "error.message": str(error),
        "error.stack_trace": "".join(traceback.format_exception(error)),
    }


def to_stdout(line: bytes) -> None:
    """Write a line to standard output, at once."""
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
