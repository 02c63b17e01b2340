"""The calls of sources that a request made, as they are shown."""

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext

from ogrom.trace._trace import Call
from ogrom.tracing import Attributes, Listener, Span

_LONGEST = 2000
"""So many characters of what was asked are shown."""


def listener(
    before: Listener | None, elapsed: Callable[[], float], keep: Callable[[Call], object]
) -> Listener:
    """Is told of each call, and tells whoever listened before.

    Args:
        before: who listened before.
        elapsed: how many seconds the request has taken so far.
        keep: takes each call when it has ended.
    """

    @contextmanager
    def told(name: str, attributes: Attributes) -> Generator[Span]:
        noted, began = dict(attributes), elapsed()
        with nullcontext(Span()) if before is None else before(name, attributes) as inner:
            try:
                yield _Noted(inner, noted)
            finally:
                keep(_called(name, noted, began, elapsed() - began))

    return told


class _Noted(Span):
    """Keeps what is said of a call."""

    __slots__ = ("_inner", "_noted")

    def __init__(self, inner: Span, noted: dict[str, str | int]) -> None:
        self._inner, self._noted = inner, noted

    def note(self, name: str, value: str | int) -> None:
        self._noted[name] = value
        self._inner.note(name, value)

    @property
    def failed(self) -> bool:
        return "error.type" in self._noted

    def fields(self) -> dict[str, str]:
        return self._inner.fields()


def _called(name: str, noted: Attributes, at: float, seconds: float) -> Call:
    """A call, from what was said of it by OpenTelemetry's names."""
    says = noted.get("db.query.text") or " ".join(
        str(noted[key]) for key in ("http.request.method", "url.full") if key in noted
    )
    status = noted.get("http.response.status_code") or noted.get("db.response.status_code", "")
    where = [str(noted[key]) for key in ("server.address", "server.port") if key in noted]
    return Call(
        source=str(noted.get("db.system.name", "http")),
        where=":".join(where) or str(noted.get("db.namespace", "")),
        name=name,
        says=str(says)[:_LONGEST],
        status=str(status),
        error=str(noted.get("error.type", "")),
        at=round(at * 1e3, 2),
        milliseconds=round(seconds * 1e3, 2),
    )
