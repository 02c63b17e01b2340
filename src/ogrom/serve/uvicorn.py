"""Serving over HTTP/1.1 by uvicorn, on uvloop and httptools."""

import asyncio
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ogrom.http import problem_response
from ogrom.serve._limits import Limits
from ogrom.serve._listen import listen
from ogrom.serve.asgi import AsgiApp


def serve(app: AsgiApp, where: str = "127.0.0.1:8080") -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and return.

    Args:
        app: what `asgi` made.
        where: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/shop.sock` or `fd:3`; see `listen`.

    Raises:
        ListenError: the place cannot be listened on; the message says what to do.
    """
    listener = listen(where)
    limits = app.limits
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType] - scopes are plain mappings to us
        fd=None,
        loop="uvloop",
        http=_protocol(limits),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(limits.idle_seconds),
        timeout_graceful_shutdown=int(limits.drain_seconds),
    )
    with listener:
        _Server(config, app).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells the application that it drains, before the server does."""

    def __init__(self, config: uvicorn.Config, app: AsgiApp) -> None:
        super().__init__(config)
        self._served = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._served.draining = True
        if self.should_exit:  # asked twice: now, then
            self.force_exit = True
        # uvicorn notes the signal to raise it again when all is done, which would end a clean stop
        # with that signal's exit status; so it is not noted
        self.should_exit = True
        del sig, frame


def _protocol(limits: Limits) -> type[asyncio.Protocol]:
    """Uvicorn's protocol, with limits on the size of a request's head and the time that it takes."""

    class Limited(HttpToolsProtocol):
        _head_bytes = 0
        _in_head = False
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._start_head()

        def data_received(self, data: bytes) -> None:
            if not self._in_head and self._answered():
                self._start_head()
            if self._in_head:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._in_head and self._head_bytes > limits.head:
                self._refuse(431, f"More than {limits.head} bytes of header fields.")

        def on_headers_complete(self) -> None:
            self._end_head()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_head()
            super().connection_lost(exc)

        def _answered(self) -> bool:
            cycle: RequestResponseCycle | None = getattr(self, "cycle", None)
            return cycle is None or cycle.response_complete

        def _start_head(self) -> None:
            self._end_head()
            self._in_head, self._head_bytes = True, 0
            self._timer = self.loop.call_later(limits.head_seconds, self._too_slow)

        def _end_head(self) -> None:
            self._in_head = False
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _too_slow(self) -> None:
            self._timer = None
            self._refuse(408, "The request did not come in time.")

        def _refuse(self, status: int, detail: str) -> None:
            self._end_head()
            if self.transport.is_closing():
                return
            made = problem_response(status, detail)
            reason = {408: "Request Timeout", 431: "Request Header Fields Too Large"}[status]
            head = [f"HTTP/1.1 {status} {reason}", "Connection: close"]
            head += [f"{name}: {value}" for name, value in made.headers]
            self.transport.write("\r\n".join([*head, "", ""]).encode() + made.content)
            self.transport.close()

    return Limited
