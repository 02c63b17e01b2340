"""Why a question of the graph was answered as it was: explained from what the question itself looks at.

An explanation is worked out anew, apart from the answer, so that one can be held against the other:
`Why.answer` is what follows from what is shown. It is None where only a resource's own function knows.
Nothing here changes a walk, and of the resource's functions only `last_modified` is asked again.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ogrom.http import _questions as questions
from ogrom.http import _why_conditional as conditional
from ogrom.http._because import Row, Why, field
from ogrom.http._content import REQUEST_CODINGS, QueryError
from ogrom.http._cors import is_preflight
from ogrom.http._graph import ACTIONS, HANDLERS
from ogrom.http._message import METHODS
from ogrom.http._negotiate import (
    Choice,
    choose_charset,
    choose_encoding,
    choose_language,
    choose_media_type,
    content_type,
    range_for,
)
from ogrom.http._outcome import Accepted, Created, SeeOther, Updated
from ogrom.http._walk import Walk


def explain(walk: Walk, name: str) -> Why:
    """Why a walk that has just taken the step `name` took it as it did.

    Args:
        walk: as it was left by the step.
        name: of a decision, an action or a handler.
    """
    if name in HANDLERS:
        return _end(walk, name)
    if name in ACTIONS:
        return Why(None, f"{walk.request.method}: the resource's own {name} did it")
    if (is_it := questions.OF_METHOD.get(name)) is not None:
        return Why(is_it(walk.request.method), f"the method is {walk.request.method}")
    given = None if name in _OF_HTTP else getattr(walk.resource, name, None)
    if given is not None and not (name == "exists" and given is True):
        return _own(walk, name, given)
    explainer = _EXPLAINERS.get(name)
    return explainer(walk) if explainer else Why(None, "nothing was declared, so the default holds")


_OF_HTTP: Final = frozenset({"precondition_required"})
"""Keywords that are a part of a question, and not its answer."""


def _own(walk: Walk, name: str, given: Any) -> Why:
    if isinstance(given, bool):
        default = type(walk.resource).__dataclass_fields__[name].default
        return Why(None, f"{'the default' if given is default else 'declared'}: {name}={given}")
    if isinstance(given, str):
        return Why(True, f"declared: {name}={given!r}")
    if name == "exists":
        found = f"a {type(walk.entity).__name__}" if walk.exists else "None, which is absence"
        return Why(walk.exists, f"the resource's own function returned {found}")
    if name in {
        "put_to_different_url",
        "moved_permanently",
        "permanent_redirect",
        "moved_temporarily",
    }:
        return Why(walk.location is not None, f"the resource's own function said {walk.location!r}")
    return Why(None, "the resource's own function says so")


def _end(walk: Walk, name: str) -> Why:
    if walk.refusal is not None and HANDLERS[name] in {walk.refusal.status, 0}:
        kind = type(walk.refusal).__name__
        return Why(None, f"{kind}: {walk.refusal.detail}" if walk.refusal.detail else kind)
    return Why(None, "here the walk ends")


# the request line


def _method_known(walk: Walk) -> Why:
    known = walk.request.method in METHODS
    return Why(
        known, f"{walk.request.method} is {'' if known else 'not '}one of {', '.join(METHODS)}"
    )


def _is_preflight(walk: Walk) -> Why:
    cors, request = walk.prepared.cors, walk.request
    if cors is None:
        return Why(False, "the resource is for no other origins: it has no cors")
    if not is_preflight(request):
        return Why(False, "a preflight is OPTIONS with Origin and Access-Control-Request-Method")
    origin = request.headers["origin"]
    allowed = cors.allows(origin)
    row = Row(origin, ", ".join(cors.origins), "allowed" if allowed else "not allowed", allowed)
    return Why(allowed, "a preflight; its origin is compared with those allowed", (row,))


def _method_allowed(walk: Walk) -> Why:
    method, methods = walk.request.method, walk.prepared.methods
    return Why(method in methods, f"{method} against {', '.join(methods)}")


def _query_valid(walk: Walk) -> Why:
    read = walk.prepared.read_query
    if read is None:
        return Why(True, "the resource names no type for its query, so any will do")
    kind = getattr(walk.resource.query, "__name__", "the type")
    try:
        read(walk.request.query)
    except QueryError as error:
        rows = tuple(Row(each.pointer, kind, each.detail, holds=False) for each in error.errors)
        return Why(False, f"the query is not a {kind}", rows)
    return Why(True, f"the query was read as {kind}")


# the content


def _content_headers_valid(walk: Walk) -> Why:
    rows: list[Row] = []
    part = walk.header("content-range")
    if walk.request.method == "PUT" and part is not None:
        rows.append(Row(f"Content-Range: {part}", "PUT", "a part cannot be PUT", holds=False))
    length = walk.header("content-length")
    if length is not None:
        number = length.isascii() and length.isdigit()
        says = "a number" if number else "not a decimal number"
        rows.append(Row(f"Content-Length: {length}", "", says, number))
    answer = all(row.holds for row in rows)
    return Why(answer, "Content-Range and Content-Length are looked at", tuple(rows))


def _unread(walk: Walk) -> Why | None:
    if walk.request.method in walk.prepared.readers:
        return None
    return Why(True, f"no content is read with {walk.request.method}")


def _content_type_known(walk: Walk) -> Why:
    if (unread := _unread(walk)) is not None:
        return unread
    content, length = walk.request.content, walk.header("content-length")
    empty = (
        not content
        if isinstance(content, bytes)
        else (length in {None, "0"} and walk.header("transfer-encoding") is None)
    )
    if empty:
        return Why(True, "there is no content")
    coding = (walk.header("content-encoding") or "identity").strip().lower()
    coded = coding == "identity" or coding in REQUEST_CODINGS
    rows: list[Row] = []
    if coding != "identity":
        rows.append(
            Row(
                f"Content-Encoding: {coding}",
                ", ".join(REQUEST_CODINGS),
                "read" if coded else "not read",
                coded,
            )
        )
    field = walk.header("content-type")
    sent = None if field is None else content_type(field)
    known = False
    for media in walk.prepared.readers[walk.request.method].media:
        same = sent is not None and (sent.type, sent.subtype) == (
            media.type.type,
            media.type.subtype,
        )
        known = known or same
        rows.append(
            Row(
                field or "no Content-Type", str(media.type), "the same" if same else "another", same
            )
        )
    return Why(
        coded and known, "the Content-Type is compared with those that are read", tuple(rows)
    )


def _content_length_valid(walk: Walk) -> Why:
    if (unread := _unread(walk)) is not None:
        return unread
    length, limit = walk.header("content-length"), walk.resource.max_content
    if length is None:
        return Why(True, "there is no Content-Length to compare")
    digits = length.lstrip("0") or "0"
    short = len(digits) < len(str(limit)) or (
        len(digits) == len(str(limit)) and digits <= str(limit)
    )
    row = Row(length[:40], f"at most {limit}", "short enough" if short else "too long", short)
    return Why(short, "Content-Length is compared with max_content, in bytes", (row,))


def _content_within_limit(walk: Walk) -> Why:
    if (unread := _unread(walk)) is not None:
        return unread
    return Why(None, f"{len(walk.content)} bytes were read, of {walk.resource.max_content} at most")


def _content_well_formed(walk: Walk) -> Why:
    if (unread := _unread(walk)) is not None:
        return unread
    if walk.refusal is not None:
        rows = tuple(
            Row(each.pointer, "", each.detail, holds=False) for each in walk.refusal.errors
        )
        return Why(False, "it cannot be decoded", rows)
    return Why(
        True, f"{walk.header('content-type') or 'content of the first type'} could be decoded"
    )


def _content_valid(walk: Walk) -> Why:
    if (unread := _unread(walk)) is not None:
        return unread
    kind = getattr(walk.resource.body_of(walk.request.method), "__name__", "the type")
    error = walk.content_error
    if isinstance(error, msgspec.ValidationError):
        return Why(
            False, f"it is not a {kind}", (Row("the content", kind, str(error), holds=False),)
        )
    return Why(True, f"it was read as {kind}")


# negotiation


def _board(offered: tuple[str, ...], choice: Choice, ranges: tuple[str, ...] = ()) -> Why:
    """The score board: each candidate, its weight, and which of them was chosen."""
    rows = tuple(
        Row(
            name,
            f"q={score:g}" + (f" by {ranges[at]}" if ranges and ranges[at] else ""),
            "chosen" if at == choice.index else "",
            at == choice.index,
        )
        for at, (name, score) in enumerate(zip(offered, choice.scores, strict=False))
    )
    return Why(choice.index is not None, choice.why, rows)


def _media_type_available(walk: Walk) -> Why:
    field, offered = walk.header("accept"), walk.prepared.media_types
    ranges = tuple(range_for(field or "", each) for each in offered)
    return _board(tuple(map(str, offered)), choose_media_type(field, offered), ranges)


def _language_available(walk: Walk) -> Why:
    offered = walk.prepared.languages
    if not offered:
        return Why(True, "no languages are offered, so there is nothing to choose")
    return _board(offered, choose_language(walk.header("accept-language"), offered))


def _charset_available(walk: Walk) -> Why:
    offered = walk.prepared.charsets
    return _board(offered, choose_charset(walk.header("accept-charset"), offered))


def _encoding_available(walk: Walk) -> Why:
    offered = walk.prepared.encodings
    return _board(offered, choose_encoding(walk.header("accept-encoding"), offered))


# what the action did


def _outcome(*kinds: type[Any]) -> Callable[[Walk], Why]:
    def explainer(walk: Walk) -> Why:
        return Why(isinstance(walk.outcome, kinds), f"it returned {type(walk.outcome).__name__}")

    return explainer


def _enacted(walk: Walk) -> Why:
    return Why(not isinstance(walk.outcome, Accepted), f"it returned {type(walk.outcome).__name__}")


def _new(walk: Walk) -> Why:
    made = type(walk.outcome).__name__
    if walk.exists and walk.request.method == "PUT":
        return Why(False, f"it returned {made}, and a PUT to what is there creates nothing")
    return Why(isinstance(walk.outcome, Created), f"it returned {made}")


def _respond_with_entity(walk: Walk) -> Why:
    outcome = walk.outcome
    shows = isinstance(outcome, Updated) or (
        isinstance(outcome, Created) and outcome.entity is not None
    )
    return Why(shows, f"it returned {type(outcome).__name__}")


_EXPLAINERS: Final[Mapping[str, Callable[[Walk], Why]]] = {
    "method_known": _method_known,
    "is_preflight": _is_preflight,
    "method_allowed": _method_allowed,
    "query_valid": _query_valid,
    "content_headers_valid": _content_headers_valid,
    "content_type_known": _content_type_known,
    "content_length_valid": _content_length_valid,
    "content_within_limit": _content_within_limit,
    "content_well_formed": _content_well_formed,
    "content_valid": _content_valid,
    "accept_exists": field("Accept"),
    "media_type_available": _media_type_available,
    "accept_language_exists": field("Accept-Language"),
    "language_available": _language_available,
    "accept_charset_exists": field("Accept-Charset"),
    "charset_available": _charset_available,
    "accept_encoding_exists": field("Accept-Encoding"),
    "encoding_available": _encoding_available,
    **conditional.EXPLAINERS,
    "delete_enacted": _enacted,
    "patch_enacted": _enacted,
    "put_enacted": _enacted,
    "post_enacted": _enacted,
    "post_redirect": _outcome(SeeOther),
    "new": _new,
    "respond_with_entity": _respond_with_entity,
}
