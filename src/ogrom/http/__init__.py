"""The engine: HTTP semantics as a table, resources as values, routes as data. No I/O.

from ogrom.http import Resource, Service

hello = Resource(name="hello", handle_ok=lambda ctx, _: {"hello": ctx["name"]})
service = Service({"/hello/{name}": hello})
"""

from ogrom.http._conditional import ETag
from ogrom.http._cors import Cors
from ogrom.http._errors import (
    BadRequest,
    Conflict,
    ContentTooLarge,
    FieldError,
    Forbidden,
    Gone,
    NotFound,
    PreconditionFailed,
    Refused,
    ResourceError,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    UnprocessableContent,
)
from ogrom.http._graph import ACTIONS, DECISIONS, HANDLERS, START, to_dot
from ogrom.http._media import CSV, FORM, JSON, MERGE_PATCH, MSGPACK, Media, Written
from ogrom.http._message import Context, Head, Request, Response, Step
from ogrom.http._negotiate import MediaType
from ogrom.http._outcome import (
    Accepted,
    Answer,
    Created,
    NoContent,
    Outcome,
    Pieces,
    SeeOther,
    Stream,
    Updated,
    aged,
)
from ogrom.http._problem import Problem, problem
from ogrom.http._resource import Resource
from ogrom.http._routing import LinkError, Match, Route, Router, RoutesError
from ogrom.http._service import Routes, Service, Traced, problem_response

__all__ = [
    "ACTIONS",
    "CSV",
    "DECISIONS",
    "FORM",
    "HANDLERS",
    "JSON",
    "MERGE_PATCH",
    "MSGPACK",
    "START",
    "Accepted",
    "Answer",
    "BadRequest",
    "Conflict",
    "ContentTooLarge",
    "Context",
    "Cors",
    "Created",
    "ETag",
    "FieldError",
    "Forbidden",
    "Gone",
    "Head",
    "LinkError",
    "Match",
    "Media",
    "MediaType",
    "NoContent",
    "NotFound",
    "Outcome",
    "Pieces",
    "PreconditionFailed",
    "Problem",
    "Refused",
    "Request",
    "Resource",
    "ResourceError",
    "Response",
    "Route",
    "Router",
    "Routes",
    "RoutesError",
    "SeeOther",
    "Service",
    "ServiceUnavailable",
    "Step",
    "Stream",
    "TooManyRequests",
    "Traced",
    "Unauthorized",
    "UnprocessableContent",
    "Updated",
    "Written",
    "aged",
    "problem",
    "problem_response",
    "to_dot",
]
