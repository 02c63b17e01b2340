"""The ASGI adapter: a service for every server, test client and host that speaks ASGI 3."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final
from urllib.parse import quote

from msgspec import structs

from ogrom import deadline, tracing
from ogrom.http import ContentTooLarge, Request, Response
from ogrom.serve._app import App, health
from ogrom.serve._limits import Limits
from ogrom.serve._log import RequestLog, metrics_of
from ogrom.serve._refusal import (
    CLIENT_CLOSED_REQUEST,
    REQUEST_ID,
    ClientGone,
    RequestTimeout,
    refuse,
)
from ogrom.serve._stream import Sending
from ogrom.serve._telemetry import Respond, served

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


def asgi(
    make: Callable[[], AbstractAsyncContextManager[App]],
    *,
    limits: Limits | None = None,
    log: RequestLog | None = None,
) -> "AsgiApp":
    """An ASGI application.

        application = asgi(lambda: shop(Settings.from_env()))

    Args:
        make: opens what is to be served, and closes it at the end (ASGI's lifespan).
        limits: what is taken at most.
        log: is told of every request.
    """
    return AsgiApp(make, limits or Limits(), log)


class AsgiApp:
    """What `asgi` makes. It changes when it is started, told to drain, and stopped."""

    def __init__(
        self,
        make: Callable[[], AbstractAsyncContextManager[App]],
        limits: Limits,
        log: RequestLog | None,
    ) -> None:
        self.limits: Final = limits
        self.draining = False
        self.make: Final = make
        self.log: Final = log
        self._app: App | None = None
        self._served: Respond | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's one entrance."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # a WebSocket: refused as the ASGI specification has it
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            await receive()
            try:
                app = await stack.enter_async_context(self.make())
                self._app = structs.replace(app, metrics=(*app.metrics, *metrics_of(self.log)))
                self._served = served(app.service)
            except Exception as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            await send({"type": "lifespan.startup.complete"})
            await receive()
        self._app = None
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        app = self._app
        if app is None:
            raise RuntimeError("This server does not speak ASGI's lifespan: nothing was started.")
        request, complaint = self._request(scope, receive)
        response = complaint or await self._respond(app, request)
        broken: Exception | None = None
        if isinstance(response.error, ClientGone):
            response = Response(status=CLIENT_CLOSED_REQUEST, route=response.route)
        elif response.pieces is not None:
            response, broken = await self._stream(app, request, response, receive, send)
        else:
            await send(self._head(app, request, response))
            await send({"type": "http.response.body", "body": response.content})
        if self.log is not None and not request.path.startswith("/-/"):
            client = scope.get("client") or ("",)
            seconds = time.perf_counter() - started
            self.log.request(request, response, seconds=seconds, client=client[0])
        if broken is not None:  # the host cuts the connection, which says it to the client
            raise broken

    async def _stream(
        self, app: App, request: Request, response: Response, receive: Receive, send: Send
    ) -> tuple[Response, Exception | None]:
        """Send what is made while it is sent; what is to be logged, and what broke it off."""
        sending = Sending(
            response,
            _Host(self._head(app, request, response), send),
            seconds=self.limits.answer_seconds,
            bare=request.method == "HEAD",
        )
        work = asyncio.create_task(sending.run())
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({work, leaving}, return_when="FIRST_COMPLETED")
        finally:
            left = not work.done()
            for each in (work, leaving):
                each.cancel()
            await asyncio.wait({work, leaving})
        told = structs.replace(response, pieces=None, streamed=sending.sent)
        error = None if work.cancelled() else work.exception()
        if left:
            return structs.replace(told, status=CLIENT_CLOSED_REQUEST), None
        if not isinstance(error, Exception):
            return told, None
        if sending.has_begun:
            return structs.replace(told, error=error), error
        status = 503 if isinstance(error, TimeoutError) else 500
        refused = refuse(request, status, "It could not be made. Try again later.", error)
        await send(self._head(app, request, refused))
        await send({"type": "http.response.body", "body": refused.content})
        return refused, None

    async def _respond(self, app: App, request: Request) -> Response:
        if request.path.startswith("/-/"):
            answer = await health(app, request, draining=self.draining)
            if answer is not None:
                return answer
        deadline.set(seconds=self.limits.answer_seconds)
        tracing.set(request.headers.get("traceparent"), request.headers.get("tracestate"))
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                return await (self._served or app.service.respond)(request)
        except TimeoutError as error:
            return refuse(request, 503, "This took too long. Try again later.", error)

    def _head(self, app: App, request: Request, response: Response) -> Message:
        fields = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in response.headers
        ]
        fields.append((b"x-request-id", request.id.encode()))
        if app.release:
            fields.append((b"ogrom-release", app.release.encode()))
        if self.draining:
            fields.append((b"connection", b"close"))
        return {"type": "http.response.start", "status": response.status, "headers": fields}

    def _request(self, scope: Scope, receive: Receive) -> tuple[Request, Response | None]:
        """The request, and the answer where it goes no further."""
        headers: dict[str, str] = {}
        size, hosts = 0, 0
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            size += len(name) + len(value) + 4
            hosts += name == "host"
            joint = "; " if name == "cookie" else ", "
            headers[name] = f"{headers[name]}{joint}{value}" if name in headers else value
        given = headers.get("x-request-id", "")
        request = Request(
            method=scope["method"],
            path=_raw_path(scope),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            content=_reader(receive, self.limits, headers.get("content-length")),
            id=given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8),
        )
        if len(request.path) + len(request.query) > self.limits.target:
            return request, refuse(request, 414, "The URI is too long.")
        if size > self.limits.head:
            return request, refuse(request, 431, f"More than {self.limits.head} bytes of fields.")
        if hosts != 1 and (hosts > 1 or scope.get("http_version") == "1.1"):
            return request, refuse(request, 400, "There must be one Host (RFC 9112, section 3.2).")
        return request, None


class _Host:
    """A response on its way to an ASGI host, whose `send` waits where the client does not read."""

    def __init__(self, head: Message, send: Send) -> None:
        self._head: Final = head
        self._send: Final = send

    async def begin(self) -> None:
        """Send the head."""
        await self._send(self._head)

    async def piece(self, data: bytes) -> None:
        """Send some of the content."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """Say that this was all."""
        await self._send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _raw_path(scope: Scope) -> str:
    """The path as it was sent, without the part that the application is mounted at."""
    raw: bytes | None = scope.get("raw_path")
    path = quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if root else path


def _reader(receive: Receive, limits: Limits, length: str | None) -> Callable[[], Awaitable[bytes]]:
    """Reads the content when it is first asked for; a client that waits for "100 Continue" then
    gets it from the server (RFC 9110, section 10.1.1).
    """

    async def read() -> bytes:
        if length is not None and length.isdecimal() and int(length[:20]) > limits.content:
            raise ContentTooLarge(f"At most {limits.content} bytes are read.")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(limits.content_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limits.content:
                        raise ContentTooLarge(f"At most {limits.content} bytes are read.")
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            detail = f"The content did not come within {limits.content_seconds:g} seconds."
            raise RequestTimeout(detail) from None

    return read
