"""What is served: a service, and how it tells that it can do its work."""

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct, json

from ogrom.http import Response, Service

Check = Callable[[], Awaitable[None]]
"""Returns where all is well and raises where it is not; the exception says what is wrong."""


class App(Struct, frozen=True):
    """A service ready to be served.

    Args:
        service: answers requests.
        checks: what `/-/ready` asks, by name: one for each source that all depends on.
        name: the service's name in logs.
        release: the commit that runs; every response names it (`Ogrom-Release`).
    """

    service: Service
    checks: Mapping[str, Check] = {}
    name: str = "ogrom"
    release: str = ""


class Draining(Exception):
    """The server has been told to stop: it answers what it has, and takes nothing new."""

    def __init__(self) -> None:
        super().__init__("draining: no new requests, please")


async def health(app: App, path: str, *, draining: bool) -> Response | None:
    """The answer to `/-/live` and `/-/ready`; None where the path is another.

    Live: the process can answer at all. Ready: every check passes and no drain has begun.
    """
    if path == "/-/live":
        return _json(200, {"status": "live", "release": app.release})
    if path != "/-/ready":
        return None
    checks: dict[str, str] = {"drain": str(Draining())} if draining else {}
    for name, check in app.checks.items():
        try:
            await check()
        except Exception as error:  # noqa: BLE001 - whatever is wrong is the answer
            checks[name] = f"{type(error).__name__}: {error}"
        else:
            checks[name] = "ok"
    ready = all(said == "ok" for said in checks.values())
    status = "ready" if ready else "not ready"
    return _json(
        200 if ready else 503, {"status": status, "release": app.release, "checks": checks}
    )


def _json(status: int, value: object) -> Response:
    content = json.encode(value)
    fields = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(content))),
        ("Cache-Control", "no-store"),
    )
    return Response(status=status, headers=fields, content=content)
