"""Ask a resource something, without a server, a socket or an event loop.

reply = ask(product(one_shirt), "GET /", if_match='"r0"')

assert 412 == reply.status
assert "etag_matches_for_if_match" == reply.trace[-2]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ogrom.http._message import Request, Response, Step
from ogrom.http._resource import Resource
from ogrom.http._service import Routes, Service

__all__ = ["Reply", "ask", "ask_async"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, and how it came about."""

    response: Response
    steps: tuple[Step, ...]

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields, by lower-case name; those that came several times joined by ", "."""
        found: dict[str, str] = {}
        for name, value in self.response.headers:
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return found

    @property
    def content(self) -> bytes:
        """The content."""
        return self.response.content

    @property
    def text(self) -> str:
        """The content as text."""
        return self.response.content.decode()

    def json(self) -> Any:
        """The content, decoded from JSON."""
        return msgspec.json.decode(self.response.content)

    @property
    def trace(self) -> tuple[str, ...]:
        """The names of what was asked and done, the handler last."""
        return tuple(step.name for step in self.steps)


def ask(
    what: Resource[Any] | Routes | Service,
    line: str,
    content: bytes | str | None = None,
    *,
    json: object = None,
    **headers: str,
) -> Reply:
    """Ask a resource, routes or a service. Errors that become a 500 are raised instead.

    Args:
        what: whom to ask; a resource alone is at "/".
        line: the method and the target, such as "GET /products?q=shirt".
        content: what to send.
        json: what to send as JSON, with its `Content-Type`.
        headers: header fields; `if_match='"r0"'` is `If-Match: "r0"`.

    Raises:
        RuntimeError: the resource waits for I/O; use `ask_async` in an event loop.
        ValueError: the line has no path.
    """
    asked = ask_async(what, line, content, json=json, **headers)
    try:
        asked.send(None)
    except StopIteration as done:
        reply: Reply = done.value
        return reply
    asked.close()
    raise RuntimeError(f"{line}: this waits for I/O. Write `await ask_async(…)` in an event loop.")


async def ask_async(
    what: Resource[Any] | Routes | Service,
    line: str,
    content: bytes | str | None = None,
    *,
    json: object = None,
    **headers: str,
) -> Reply:
    """As `ask`, for resources that wait for I/O."""
    method, _, target = line.partition(" ")
    if not target:
        raise ValueError(
            f"ask(…, {line!r}): write the method and the path, such as 'GET /products'."
        )
    path, _, query = target.partition("?")
    fields = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    if json is not None:
        content = msgspec.json.encode(json)
        fields.setdefault("content-type", "application/json")
    body = content.encode() if isinstance(content, str) else content or b""
    if body:
        fields.setdefault("content-length", str(len(body)))
    if isinstance(what, Resource):
        what = {"/": what}
    service = what if isinstance(what, Service) else Service(what)
    request = Request(
        method=method, path=path, query=query, headers=fields, content=body, id="test"
    )
    traced = await service.trace(request)
    if traced.response.error is not None:
        raise traced.response.error
    return Reply(traced.response, traced.steps)
