"""Cross-origin resource sharing, as the Fetch standard has it."""

from collections.abc import Sequence
from dataclasses import dataclass

from ogrom.http._errors import ResourceError
from ogrom.http._message import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Which other origins' pages may use a resource, and how.

    A preflight is answered before anybody is asked who they are: browsers send no credentials
    with it (https://fetch.spec.whatwg.org, "CORS-preflight fetch").

    Args:
        origins: such as "https://shop.example"; ("*",) for all of them.
        headers: the request header fields that a page may send.
        expose: the response header fields that a page may read.
        credentials: whether cookies and `Authorization` are let through; not with "*".
        max_age: for how many seconds a browser may remember a preflight.
    """

    origins: Sequence[str]
    headers: Sequence[str] = (
        "Accept", "Authorization", "Content-Type", "If-Match", "If-None-Match",
    )  # fmt: skip
    expose: Sequence[str] = ("ETag", "Link", "Location", "Retry-After", "X-Request-Id")
    credentials: bool = False
    max_age: int = 600

    def __post_init__(self) -> None:
        if isinstance(self.origins, str):
            raise ResourceError(
                f"Cors(origins={self.origins!r}): write a tuple, ({self.origins!r},)."
            )
        if self.credentials and "*" in self.origins:
            raise ResourceError(
                "Cors(credentials=True) with origins=('*',) is refused by browsers: name the origins."
            )

    def allows(self, origin: str) -> bool:
        """Whether pages of that origin may use the resource."""
        return "*" in self.origins or origin in self.origins

    def vary(self) -> tuple[str, ...]:
        """What a cache must tell answers apart by."""
        return () if "*" in self.origins else ("Origin",)

    def everybody(self) -> list[tuple[str, str]]:
        """What every answer carries where all origins are allowed, else nothing.

        Whether an `Origin` was sent or not: a cache may give the answer to a page that was made for
        somebody without one (https://fetch.spec.whatwg.org, "CORS protocol and HTTP caches").
        """
        return self._allowed("*") if "*" in self.origins else []

    def fields(self, request: Request) -> tuple[tuple[str, str], ...]:
        """What the answer to a request carries."""
        origin = request.headers.get("origin")
        if "*" in self.origins or origin is None:
            return tuple(self.everybody())
        return tuple(self._allowed(origin)) if self.allows(origin) else ()

    def _allowed(self, origin: str) -> list[tuple[str, str]]:
        fields = [("Access-Control-Allow-Origin", origin)]
        if self.credentials:
            fields.append(("Access-Control-Allow-Credentials", "true"))
        if self.expose:
            fields.append(("Access-Control-Expose-Headers", ", ".join(self.expose)))
        return fields

    def preflight(self, methods: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """What the answer to a preflight carries besides."""
        return (
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", ", ".join(self.headers)),
            ("Access-Control-Max-Age", str(self.max_age)),
        )


def is_preflight(request: Request) -> bool:
    """Whether a browser asks before the request proper."""
    return (
        request.method == "OPTIONS"
        and "origin" in request.headers
        and "access-control-request-method" in request.headers
    )
