"""Problem details: what every error tells the client (RFC 9457)."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType, structs

from ogrom.http._errors import FieldError
from ogrom.http._message import Context
from ogrom.http._negotiate import MediaType

PROBLEM_JSON: Final = MediaType("application", "problem+json")
NOT_KEPT: Final = ("Cache-Control", "no-store")
"""What every error carries that says nothing else of it: it is about one request, whose id it names.
Without it, caches may keep a 404, 405, 410, 414, 451 or 501 as long as they like (RFC 9110, 15.1).
"""


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Problem details; the engine fills in what a handler leaves out.

    `errors` names the places that are wrong. `request_id` is the one in the service's log.
    """

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    instance: str | UnsetType = UNSET
    errors: tuple[FieldError, ...] = ()
    request_id: str = ""


def problem(
    detail: str, *, type: str = "about:blank", title: str = ""
) -> Callable[[Context], Problem]:
    """A handler that answers with these problem details.

    Args:
        detail: what is wrong with this request and what to do.
        type: a URI that names the kind of problem.
        title: the kind of problem in short; the status' reason phrase where it is left out.
    """
    prepared = Problem(type=type, title=title, detail=detail)

    def explain(_: Context) -> Problem:
        return prepared

    return explain


def complete(given: Problem, *, status: int, detail: str, request_id: str, **more: Any) -> Problem:
    """The problem with its blanks filled in: status, title, detail, request id and errors."""
    return structs.replace(
        given,
        status=status,
        title=given.title or phrase(status),
        detail=given.detail or detail,
        request_id=request_id,
        errors=given.errors or more.get("errors", ()),
    )


_KNOWN: Final = frozenset(status.value for status in HTTPStatus)


def phrase(status: int) -> str:
    """The reason phrase of RFC 9110, which renamed 413 and 422 since the standard library's."""
    renamed = {413: "Content Too Large", 422: "Unprocessable Content"}
    if status in renamed:
        return renamed[status]
    return HTTPStatus(status).phrase if status in _KNOWN else ""
