"""One JSON line for each request, with the field names of the Elastic Common Schema."""

import logging
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from ogrom import tracing
from ogrom.http import Request, Response


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

    Args:
        service: the service's name.
        release: the commit that runs.
        write: where lines go, each a `bytes` with its newline; standard output by default.
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
        self._fixed = {"service.name": service, "service.version": release}
        self._write = write or to_stdout
        self._lines: queue.SimpleQueue[dict[str, object] | None] = queue.SimpleQueue()
        self._limit = limit
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="ogrom-log", daemon=True)
        self._thread.start()

    def request(self, request: Request, response: Response, *, seconds: float, client: str) -> None:
        """Note a request; see `RequestLog`."""
        level = "error" if response.error else "warn" if response.status >= 500 else "info"
        line: dict[str, object] = {
            "@timestamp": time.time(),
            "log.level": level,
            "message": f"{request.method} {request.path} {response.status}",
            "http.request.id": request.id,
            "http.request.method": request.method,
            "url.path": request.path,
            "http.response.status_code": response.status,
            "http.response.body.bytes": len(response.content),
            "event.duration": int(seconds * 1e9),
            "ogrom.route": response.route,
        }
        if request.query:
            line["url.query"] = request.query
        if client:
            line["client.ip"] = client
        if agent := request.headers.get("user-agent"):
            line["user_agent.original"] = agent
        if (trace := tracing.current()) is not None and (trace.given or trace.id):
            line["trace.id"] = trace.begun().id
        if response.error is not None:
            line |= _error(response.error)
        self.put(line)

    def put(self, line: dict[str, object]) -> None:
        """Write any other line; `@timestamp` is in seconds since 1970."""
        if self._lines.qsize() < self._limit:
            self._lines.put(line)
        else:
            self._dropped += 1

    def close(self) -> None:
        """Write what is still waiting; at most five seconds are spent on it."""
        self._lines.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            self._emit(line)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                message = f"{dropped} log lines were dropped: the log could not be written as fast"
                self._emit({"@timestamp": time.time(), "log.level": "warn", "message": message})

    def _emit(self, line: dict[str, object]) -> None:
        seconds = line["@timestamp"]
        assert isinstance(seconds, float)
        moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
        stamped = {**line, **self._fixed, "@timestamp": moment.replace("+00:00", "Z")}
        try:
            self._write(msgspec.json.encode(stamped) + b"\n")
        except (OSError, ValueError):  # the reader of the log is gone; the service is not
            self._dropped += 1


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
