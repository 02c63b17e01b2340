"""What is served: a service, and how it tells that it can do its work."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from msgspec import Struct, json, structs

from ogrom import metrics
from ogrom.http import Request, Response
from ogrom.metrics import Metrics
from ogrom.serve._refusal import refuse
from ogrom.serve._siblings import Siblings

Check = Callable[[], Awaitable[str | None]]
"""Returns where all is well, with what there is to say, and raises where it is not; the exception
says what is wrong.
"""


class Answering(Protocol):
    """Answers requests, and never raises: a `Service`, or what stands in front of one."""

    def respond(self, request: Request) -> Coroutine[Any, Any, Response]:
        """The response to a request."""
        ...


@runtime_checkable
class Hearing(Protocol):
    """A service that wants to hear of more than requests, as traces do. It must not wait."""

    def refused(self, head: bytes, request: Request, response: Response, detail: str) -> None:
        """A head was refused before any resource was asked; `head` is what of it had come."""
        ...

    def drains(self) -> None:
        """The server wants to stop: what never ends by itself has to end."""
        ...


class App(Struct, frozen=True):
    """A service ready to be served.

    Args:
        service: answers requests.
        checks: what `/-/ready` asks, by name: one for each source that all depends on.
        optional: what it asks besides, of sources that only some endpoints need. It tells what is
            wrong and stays ready: the others would go down with it.
        metrics: what `/-/metrics` tells.
        name: the service's name in logs.
        release: the commit that runs; every response names it (`Ogrom-Release`).
    """

    service: Answering
    checks: Mapping[str, Check] = {}
    optional: Mapping[str, Check] = {}
    metrics: Sequence[Metrics] = ()
    name: str = "ogrom"
    release: str = ""


class Draining(Exception):
    """The server has been told to stop: it answers what it has, and takes nothing new."""

    def __init__(self) -> None:
        super().__init__("draining: no new requests, please")


METHODS: Final = ("GET", "HEAD", "OPTIONS")


async def health(
    app: App, request: Request, *, draining: bool, siblings: Siblings | None = None
) -> Response | None:
    """The answer to `/-/live`, `/-/ready` and `/-/metrics`; None where the path is another.

    Live: the process can answer at all. Ready: every check passes and no drain has begun; degraded
    is ready too, but for an optional check. Of several workers, the one that is asked says both of
    itself, and which one it is; the metrics are those of all.
    """
    if request.path not in {"/-/live", "/-/ready", "/-/metrics"}:
        return None
    allow = ("Allow", ", ".join(METHODS))
    if request.method == "OPTIONS":
        return Response(status=200, headers=(allow, ("Content-Length", "0")))
    if request.method not in METHODS:
        made = refuse(request, 405, "This can be read, and no more.")
        return structs.replace(made, headers=(*made.headers, allow))
    made = await _told(app, request.path, draining, siblings)
    return structs.replace(made, content=b"") if request.method == "HEAD" else made


async def _told(app: App, path: str, draining: bool, siblings: Siblings | None) -> Response:
    which = {} if siblings is None else {"worker": siblings.number}
    if path == "/-/live":
        return _json(200, {"status": "live", "release": app.release, **which})
    if path == "/-/metrics":
        told = (each for tell in app.metrics for each in tell())
        found = metrics.text(told if siblings is None else await siblings.metrics())
        return _answer(200, metrics.CONTENT_TYPE, found.encode())
    said: dict[str, str] = {"drain": str(Draining())} if draining else {}
    wrong = [*said, *await _ask(app.checks, said)]
    failing = await _ask(app.optional, said)
    status = "not ready" if wrong else "degraded" if failing else "ready"
    answer = {"status": status, "release": app.release, "checks": said, **which}
    return _json(503 if wrong else 200, answer)


async def _ask(checks: Mapping[str, Check], said: dict[str, str]) -> list[str]:
    """Adds what each check says to `said`; the names of those that fail."""
    failing: list[str] = []
    for name, check in checks.items():
        try:
            said[name] = await check() or "ok"
        except Exception as error:  # noqa: BLE001 - whatever is wrong is the answer
            said[name] = f"{type(error).__name__}: {error}"
            failing.append(name)
    return failing


def _json(status: int, value: object) -> Response:
    return _answer(status, "application/json", json.encode(value))


def _answer(status: int, kind: str, content: bytes) -> Response:
    fields = (
        ("Content-Type", kind),
        ("Content-Length", str(len(content))),
        ("Cache-Control", "no-store"),
    )
    return Response(status=status, headers=fields, content=content)
