"""What every way of serving says of requests that go no further."""

import re
from typing import Final

from msgspec import structs

from ogrom.http import Refused, Request, Response, problem_response

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
"""An id that a client may choose: nothing in it can harm a log."""

CLIENT_CLOSED_REQUEST: Final = 499
"""Not an HTTP status: what logs commonly say of a client that left before its answer."""


class ClientGone(Exception):
    """The client closed the connection before its content was whole."""


class RequestTimeout(Refused):
    """408: the content did not come in time (RFC 9110, section 15.5.9)."""

    status = 408


def refuse(
    request: Request, status: int, detail: str, error: BaseException | None = None
) -> Response:
    """Problem details for a request that the engine does not answer.

    Args:
        request: what was asked.
        status: of 400 to 599.
        detail: what is wrong and what to do.
        error: for the log; never sent.
    """
    made = problem_response(
        status,
        detail,
        accept=request.headers.get("accept"),
        request_id=request.id,
        method=request.method,
    )
    return made if error is None else structs.replace(made, error=error)
