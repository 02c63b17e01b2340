"""Puts Liberator's cases to our engine: its resources and requests become ours.

What a case holds is described by its keys: Liberator's own names for rows of the graph. Whatever
has no meaning for us is left out here, and nowhere else.
"""

import gzip
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ogrom.http import (
    Accepted,
    Created,
    ETag,
    Media,
    MediaType,
    NoContent,
    Request,
    Resource,
    Response,
    SeeOther,
    Service,
    Updated,
)
from ogrom.http.testing import Reply, ask

CASES = Path(os.environ.get("OGROM_CASES") or Path(__file__).parent.parent / "conformance")
GROUPS = ("flow", "missing", "cond", "conneg", "mixed")

NAMES = {
    "known-method?": "method_known",
    "valid-content-header?": "content_headers_valid",
    "known-content-type?": "content_type_known",
    "valid-entity-length?": "content_length_valid",
    "if-match-star-exists-for-missing?": "if_match_exists_for_missing",
    "etag-matches-for-if-none?": "etag_matches_for_if_none_match",
    "if-none-match?": "if_none_match_reads",
    "handle-service-not-available": "handle_service_unavailable",
    "handle-unknown-method": "handle_not_implemented",
    "handle-malformed": "handle_bad_request",
    "handle-request-entity-too-large": "handle_content_too_large",
    "handle-unprocessable-entity": "handle_unprocessable_content",
    "handle-multiple-representations": "handle_multiple_choices",
    "handle-moved-temporarily": "handle_temporary_redirect",
}
"""Where our name is not Liberator's with other punctuation."""

ADDED = {
    "is_preflight", "query_valid", "too_many_requests", "unavailable_for_legal_reasons",
    "content_within_limit", "content_well_formed", "content_valid", "allowed_for_entity",
    "method_reads", "precondition_required", "precondition_exists", "permanent_redirect",
}  # fmt: skip
"""Decisions that Liberator does not have."""

MENDED = {
    "initialize-context",  # there is no context to be merged into
    "multiple_representations",  # asked before the preconditions, and only of what is read: 13.2.1
    "if_unmodified_since_exists",  # not asked after an If-Match: 13.1.4
    "if_modified_since_exists",  # not asked after an If-None-Match: 13.1.3
}
"""Decisions whose edges are others than Liberator's."""

SERVED = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
"""The methods that a resource of ours can have. Liberator answers any other as if it were GET."""

MESSAGES = {
    "handle-ok": "OK",
    "handle-accepted": "Accepted",
    "handle-malformed": "Bad request.",
    "handle-unauthorized": "Not authorized.",
    "handle-forbidden": "Forbidden.",
    "handle-not-found": "Resource not found.",
    "handle-method-not-allowed": "Method not allowed.",
    "handle-not-acceptable": "No acceptable resource available.",
    "handle-conflict": "Conflict.",
    "handle-gone": "Resource is gone.",
    "handle-precondition-failed": "Precondition failed.",
    "handle-request-entity-too-large": "Request entity too large.",
    "handle-uri-too-long": "Request URI too long.",
    "handle-unsupported-media-type": "Unsupported media type.",
    "handle-unprocessable-entity": "Unprocessable entity.",
    "handle-unknown-method": "Unknown method.",
    "handle-service-not-available": "Service not available.",
}
"""What Liberator says where a resource says nothing."""

ENTITY = "entity"
LOCATION_WHEN_NONE = "/elsewhere"


@dataclass(frozen=True)
class Case:
    """One of Liberator's cases, as it stands in the file."""

    id: int
    group: str
    resource: dict[str, Any]
    request: dict[str, Any]
    trace: list[list[Any]]
    response: dict[str, Any]
    deviations: list[str]

    @property
    def codes(self) -> set[str]:
        """The codes of its deviations from RFC 9110, such as "C3"."""
        return {deviation.partition("-")[0] for deviation in self.deviations}

    def header(self, name: str) -> str | None:
        """A field of the request."""
        return self.request["headers"].get(name)

    @property
    def path(self) -> list[str]:
        """Liberator's path in our names, without what we mended."""
        names = [translate(step[0]) for step in self.trace]
        return [name for name in names if name not in MENDED]

    async def specialised(self) -> Response:
        """What our engine says by the function that is made for the resource and the method."""
        path, _, query = self.request["uri"].partition("?")
        content = (self.request.get("body") or "").encode()
        fields = {name.lower(): value for name, value in self.request["headers"].items()}
        if content:
            fields.setdefault("content-length", str(len(content)))
        request = Request(
            method=self.request["method"], path=path, query=query, headers=fields, content=content,
            id="test",
        )  # fmt: skip
        return await Service({"/r": resource_of(self)}).respond(request)

    @cached_property
    def reply(self) -> Reply:
        """What our engine says on foot, and how it comes to it."""
        method, uri = self.request["method"], self.request["uri"]
        fields = dict(self.request["headers"])
        content = self.request.get("body") or b""
        return ask({"/r": resource_of(self)}, f"{method} {uri}", content, **fields)


@cache
def cases() -> tuple[Case, ...]:
    """The cases of the file: the same for all tests, so that each is walked once."""
    with gzip.open(CASES / "liberator.jsonl.gz", "rt", encoding="utf-8") as lines:
        found = (Case(**json.loads(line)) for line in lines)
        return tuple(case for case in found if case.group in GROUPS)


def translate(name: str) -> str:
    """Liberator's name of a node in ours."""
    return NAMES.get(name) or (name if name in MENDED else name.rstrip("?!").replace("-", "_"))


def path_of(reply: Reply) -> list[str]:
    """Our path, without what Liberator does not have and what we mended."""
    return [name for name in reply.trace if name not in ADDED and name not in MENDED]


def resource_of(case: Case) -> Resource[str]:
    """Liberator's resource as one of ours."""
    given = case.resource
    allowed = [method.upper() for method in given.get("allowed-methods", ["get", "head"])]
    if given.get("method-allowed?") is True and case.request["method"] not in {
        "GET",
        "HEAD",
        "OPTIONS",
    }:
        allowed.append(case.request["method"])
    methods = [method for method in allowed if method in SERVED]
    keywords: dict[str, Any] = {"name": "r", "methods": tuple(dict.fromkeys(methods))}
    keywords |= _offers(given)
    keywords |= _decisions(given)
    keywords |= _lookups(given, methods)
    keywords |= {
        method.lower(): _action(method.lower(), given)
        for method in ("POST", "PUT", "PATCH", "DELETE")
        if method in methods
    }
    for name in Resource.__dataclass_fields__:
        if name.startswith("handle_") and (key := _HANDLERS.get(name)):
            keywords[name] = _handler(name, given.get(key, MESSAGES.get(key)))
    return Resource(**keywords)


_HANDLERS = {
    translate(key): key
    for key in (*MESSAGES, "handle-options", "handle-created", "handle-multiple-representations",
                "handle-moved-permanently", "handle-see-other", "handle-moved-temporarily")
}  # fmt: skip


def _handler(name: str, value: Any) -> Any:
    if name in {"handle_ok", "handle_created", "handle_accepted", "handle_multiple_choices"}:
        return lambda ctx, entity: value
    return lambda ctx: value


def _offers(given: dict[str, Any]) -> dict[str, Any]:
    media = [_media(text) for text in given.get("available-media-types", []) if "*" not in text]
    languages = [
        tag for tag in given.get("available-languages", []) if isinstance(tag, str) and tag != "*"
    ]
    charsets = [name for name in given.get("available-charsets", []) if _is_charset(name)]
    encodings = [
        name for name in given.get("available-encodings", []) if name in {"gzip", "br", "zstd"}
    ]
    return {
        "media_types": tuple(dict.fromkeys(media)) or (_media("text/plain"),),
        "languages": tuple(dict.fromkeys(languages)),
        "charsets": tuple(dict.fromkeys(charsets)) or ("utf-8",),
        "encodings": tuple(dict.fromkeys(encodings)),
    }


def _media(text: str) -> Media:
    return Media(MediaType.parse(text.partition(";q=")[0]), _plain)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_charset(name: str) -> bool:
    try:
        "".encode(name)
    except LookupError:
        return False
    return True


def _decisions(given: dict[str, Any]) -> dict[str, Any]:
    known = given.get(
        "known-methods", ["get", "head", "options", "put", "post", "delete", "trace", "patch"]
    )
    keywords: dict[str, Any] = {
        "method_known": lambda ctx: ctx.method.lower() in known,
        "challenge": "Test",
    }
    for key in (
        "service-available?", "known-method?", "uri-too-long?", "method-allowed?", "malformed?",
        "authorized?", "allowed?", "valid-content-header?", "known-content-type?",
        "valid-entity-length?", "processable?", "multiple-representations?", "conflict?",
    ):  # fmt: skip
        if key in given:
            keywords[translate(key)] = given[key]
    return keywords


def _lookups(given: dict[str, Any], methods: list[str]) -> dict[str, Any]:
    there = given.get("exists?", True)

    async def find(ctx: object) -> str | None:
        return ENTITY if there else None

    location = given.get("location", LOCATION_WHEN_NONE)
    keywords: dict[str, Any] = {"exists": find, "existed": given.get("existed?", False)}
    if keywords["existed"]:
        for key in ("moved-permanently?", "moved-temporarily?"):
            keywords[translate(key)] = location if given.get(key) else None
    if "PUT" in methods:
        keywords["put_to_different_url"] = location if given.get("put-to-different-url?") else None
        keywords["can_put_to_missing"] = given.get("can-put-to-missing?", True)
    if "POST" in methods:
        keywords["can_post_to_missing"] = given.get("can-post-to-missing?", True)
        keywords["can_post_to_gone"] = keywords["existed"] and given.get("can-post-to-gone?", False)
    if given.get("etag") is not None:
        keywords["etag"] = ETag(given["etag"])
    modified = given.get("last-modified")
    if modified is not None:
        seconds = modified["$ms"] / 1000 if isinstance(modified, dict) else modified
        keywords["last_modified"] = datetime.fromtimestamp(seconds, UTC)
    return keywords


def _action(name: str, given: dict[str, Any]) -> Any:
    async def act(ctx: object, entity: object) -> Any:
        location = given.get("location")
        if not given.get(f"{name}-enacted?", True):
            return Accepted()
        if name == "post" and given.get("post-redirect?"):
            return SeeOther(location or LOCATION_WHEN_NONE)
        if name in {"post", "put"} and given.get("new?", True) and not (name == "put" and entity):
            return Created(at=location)
        return Updated(ENTITY) if given.get("respond-with-entity?") else NoContent()

    return act
