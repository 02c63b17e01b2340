"""How a resource's functions refuse a request, and what its author is told.

ResourceError (ValueError)          whoever declares a resource must act: it cannot be right
Refused                             whoever sent the request must act, by its status:
├── BadRequest                400
├── Unauthorized              401
├── Forbidden                 403
├── NotFound                  404
├── Conflict                  409
├── Gone                      410
├── PreconditionFailed        412
├── ContentTooLarge           413
├── UnprocessableContent      422
├── TooManyRequests           429
└── ServiceUnavailable        503   nobody but the service: try again later
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec import Struct


class ResourceError(ValueError):
    """A resource or a table of routes that cannot be right; the message says how to mend it."""


class FieldError(Struct, frozen=True):
    """One thing wrong with what was sent: where, and what was expected there.

    `pointer` is a JSON pointer into the content ("#/stars"), as RFC 9457 shows, or the name of a
    query parameter ("?per_page").
    """

    pointer: str
    detail: str


class Refused(Exception):
    """Raised by a resource's function: the walk ends at the handler of `status`.

    Raise one of the classes below it.

    Args:
        detail: what is wrong with this request and what to do, for the client to read.
        errors: the places that are wrong, where they can be named.
        headers: fields to send along.
    """

    status: ClassVar[int]

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class BadRequest(Refused):
    """400: the request is malformed (RFC 9110, section 15.5.1)."""

    status = 400


class Unauthorized(Refused):
    """401: credentials are missing or wrong (RFC 9110, section 15.5.2).

    Args:
        detail: what is wrong.
        challenge: the `WWW-Authenticate` to send; the resource's own where this is None.
    """

    status = 401

    def __init__(self, detail: str = "", *, challenge: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge} if challenge else None)


class Forbidden(Refused):
    """403: it is known who asks, and they may not (RFC 9110, section 15.5.4)."""

    status = 403


class NotFound(Refused):
    """404: it is not there, or no longer when the action came to it (RFC 9110, 15.5.5)."""

    status = 404


class Conflict(Refused):
    """409: the state of the resource does not allow it (RFC 9110, section 15.5.10)."""

    status = 409


class Gone(Refused):
    """410: it was there and will not come back (RFC 9110, section 15.5.11)."""

    status = 410


class PreconditionFailed(Refused):
    """412: somebody else was quicker than the action (RFC 9110, section 15.5.13)."""

    status = 412


class ContentTooLarge(Refused):
    """413: the content is longer than is taken here (RFC 9110, section 15.5.14)."""

    status = 413


class UnprocessableContent(Refused):
    """422: the content is well formed and still wrong (RFC 9110, section 15.5.21)."""

    status = 422


class _Later(Refused):
    def __init__(self, detail: str = "", *, retry_after: int | None = None) -> None:
        headers = None if retry_after is None else {"Retry-After": str(max(0, retry_after))}
        super().__init__(detail, headers=headers)


class TooManyRequests(_Later):
    """429: this client asks too often (RFC 6585, section 4).

    Args:
        detail: what is wrong.
        retry_after: the seconds to wait before another request.
    """

    status = 429


class ServiceUnavailable(_Later):
    """503: what this endpoint needs is down or overloaded (RFC 9110, section 15.6.4).

    Args:
        detail: what is wrong.
        retry_after: the seconds to wait before another request.
    """

    status = 503
