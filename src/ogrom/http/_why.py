"""Why a question of the graph was answered as it was: explained from what the question itself looks at.

An explanation is worked out anew, apart from the answer, so that one can be held against the other:
`Why.answer` is what follows from what is shown. It is None where only a resource's own function knows.
Nothing here changes a walk, and of the resource's functions only `last_modified` is asked again.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from ogrom.http import _questions as questions
from ogrom.http._conditional import ETag, format_http_date, parse_etags, parse_http_date
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


class Row(Struct, frozen=True):
    """One thing held against another."""

    what: str
    against: str
    verdict: str
    holds: bool | None = None
    """Whether it is what was looked for; None where that is not the question."""


class Why(Struct, frozen=True):
    """Why a question was answered as it was."""

    answer: bool | None
    """What follows from what is shown; None where the resource alone can say."""
    text: str
    rows: tuple[Row, ...] = ()


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


def _field(name: str) -> Callable[[Walk], Why]:
    def explainer(walk: Walk) -> Why:
        value = walk.header(name.lower())
        return Why(
            value is not None, f"{name}: {value}" if value is not None else f"there is no {name}"
        )

    return explainer


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


# conditional requests


def _precondition_required(walk: Walk) -> Why:
    required, method = walk.resource.precondition_required, walk.request.method
    over = method in questions.OVERWRITES
    text = f"precondition_required={required}; {method} {'changes' if over else 'does not change'} what is there"
    return Why(required and over, text)


def _precondition_exists(walk: Walk) -> Why:
    rows: list[Row] = []
    for name in ("If-Match", "If-None-Match", "If-Unmodified-Since"):
        value = walk.header(name.lower())
        holds, says = value is not None, "there" if value is not None else "not there"
        if holds and name == "If-Unmodified-Since" and _changed(walk) is None:
            holds, says = False, "there, and nothing to compare it with"
        rows.append(Row(name, value or "", says, holds))
    return Why(any(row.holds for row in rows), "any of the three will do", tuple(rows))


def _star(name: str) -> Callable[[Walk], Why]:
    def explainer(walk: Walk) -> Why:
        value = walk.header(name.lower()) or ""
        return Why(value.strip(" \t") == "*", f"{name}: {value}")

    return explainer


def _etag_matches_for_if_match(walk: Walk) -> Why:
    tags, present = parse_etags(walk.header("if-match") or ""), walk.tag
    if tags == "*" or present is None:
        return Why(False, "what is there has no tag, so none matches")
    shown = f'"{present}"' if isinstance(present, str) else str(present)
    rows: list[Row] = []
    for tag in tags:
        says, same = "another revision", False
        if tag.weak:
            says = "weak: it never equals strongly"
        elif isinstance(present, ETag):
            same = tag.strongly_equals(present)
            says = "the same" if same else "weak is what is there" if present.weak else says
        elif tag.opaque == present:
            says, same = "the same", True
        elif tag.opaque.startswith(f"{present}~"):
            same = walk.prepared.variants.issuperset(tag.opaque[len(present) + 1 :].split("~"))
            says = (
                "another variant of the same revision" if same else "of no variant that is offered"
            )
        rows.append(Row(str(tag), shown, says, same))
    return _list(rows, "strongly (RFC 9110, section 8.8.3.2)")


def _etag_matches_for_if_none_match(walk: Walk) -> Why:
    tags, present = parse_etags(walk.header("if-none-match") or ""), walk.tag
    if tags == "*" or present is None:
        return Why(False, "what is there has no tag, so none matches")
    tag = ETag(present + questions.variant(walk)) if isinstance(present, str) else present
    rows = [
        Row(
            str(each),
            str(tag),
            "the same" if each.opaque == tag.opaque else "another",
            each.opaque == tag.opaque,
        )
        for each in tags
    ]
    return _list(rows, "weakly, with the variant that would be sent (RFC 9110, section 8.8.3.2)")


def _list(rows: list[Row], how: str) -> Why:
    if not rows:
        return Why(False, "the field names no well-formed tag")
    return Why(any(row.holds for row in rows), f"each of the list is compared {how}", tuple(rows))


def _is_date(name: str) -> Callable[[Walk], Why]:
    def explainer(walk: Walk) -> Why:
        value = walk.header(name.lower()) or ""
        date = parse_http_date(value)
        return Why(
            date is not None, f"{value} is {'a date' if date else 'no date: the field is ignored'}"
        )

    return explainer


def _reads_if_modified_since(walk: Walk) -> Why:
    if walk.request.method not in questions.READS:
        return Why(False, f"it is not looked at with {walk.request.method}")
    return _field("If-Modified-Since")(walk)


def _changed(walk: Walk) -> datetime | None:
    try:
        return questions.last_modified(walk)
    except Exception:  # noqa: BLE001 - it said so before, when the question was asked
        return None


def _modified_since(walk: Walk) -> Why:
    return _dates(walk, "if-modified-since", newer=True)


def _unmodified_since(walk: Walk) -> Why:
    return _dates(walk, "if-unmodified-since", newer=False)


def _dates(walk: Walk, field: str, *, newer: bool) -> Why:
    value = walk.header(field) or ""
    since, changed = parse_http_date(value), _changed(walk)
    if since is None or changed is None:
        return Why(True, "what is there has no date to compare it with: the field is ignored")
    whole = changed.replace(microsecond=0)
    later = whole > since
    row = Row(
        f"last modified {format_http_date(changed)}", value,
        "newer" if later else "the same" if whole == since else "older", later == newer,
    )  # fmt: skip
    return Why(later == newer, "compared in whole seconds", (row,))


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
    "accept_exists": _field("Accept"),
    "media_type_available": _media_type_available,
    "accept_language_exists": _field("Accept-Language"),
    "language_available": _language_available,
    "accept_charset_exists": _field("Accept-Charset"),
    "charset_available": _charset_available,
    "accept_encoding_exists": _field("Accept-Encoding"),
    "encoding_available": _encoding_available,
    "precondition_required": _precondition_required,
    "precondition_exists": _precondition_exists,
    "if_match_exists": _field("If-Match"),
    "if_match_exists_for_missing": _field("If-Match"),
    "if_match_star": _star("If-Match"),
    "etag_matches_for_if_match": _etag_matches_for_if_match,
    "if_unmodified_since_exists": _field("If-Unmodified-Since"),
    "if_unmodified_since_valid_date": _is_date("If-Unmodified-Since"),
    "unmodified_since": _unmodified_since,
    "if_none_match_exists": _field("If-None-Match"),
    "if_none_match_star": _star("If-None-Match"),
    "etag_matches_for_if_none_match": _etag_matches_for_if_none_match,
    "if_modified_since_exists": _reads_if_modified_since,
    "if_modified_since_valid_date": _is_date("If-Modified-Since"),
    "modified_since": _modified_since,
    "delete_enacted": _enacted,
    "patch_enacted": _enacted,
    "put_enacted": _enacted,
    "post_enacted": _enacted,
    "post_redirect": _outcome(SeeOther),
    "new": _new,
    "respond_with_entity": _respond_with_entity,
}
