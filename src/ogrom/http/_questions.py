"""The questions that a request answers by itself, one function for each, named as in the graph.

Each gets the walk and says yes or no. A few note why, for the trace.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from ogrom.http._conditional import (
    ETag,
    parse_etags,
    parse_http_date,
)
from ogrom.http._conditional import (
    modified_since as is_modified_since,
)
from ogrom.http._content import (
    REQUEST_CODINGS,
    QueryError,
    Undecodable,
    decompress,
    field_error,
)
from ogrom.http._cors import is_preflight as asks_before
from ogrom.http._errors import BadRequest, ContentTooLarge, FieldError, UnprocessableContent
from ogrom.http._media import FORM
from ogrom.http._message import METHODS
from ogrom.http._negotiate import (
    choose_charset,
    choose_encoding,
    choose_language,
    choose_media_type,
)
from ogrom.http._negotiate import (
    content_type as parse_content_type,
)
from ogrom.http._outcome import Accepted, Created, SeeOther, Updated
from ogrom.http._walk import Reader, Walk
from ogrom.http._wrong import Wrong, wrong

READS: Final = frozenset({"GET", "HEAD"})
OVERWRITES: Final = frozenset({"PUT", "PATCH", "DELETE"})


def _is(*methods: str) -> Callable[[str], bool]:
    return frozenset(methods).__contains__


OF_METHOD: Final[Mapping[str, Callable[[str], bool]]] = {
    "is_options": _is("OPTIONS"),
    "method_reads": _is(*READS),
    "if_none_match_reads": _is(*READS),  # 304, and 412 for the others (RFC 9110, section 13.1.2)
    "method_put": _is("PUT"),
    "put_to_existing": _is("PUT"),
    "method_post": _is("POST"),
    "post_to_existing": _is("POST"),
    "post_to_missing": _is("POST"),
    "post_to_gone": _is("POST"),
    "method_delete": _is("DELETE"),
    "method_patch": _is("PATCH"),
}
"""The questions that the method alone answers."""

OF_CONTENT: Final = frozenset(
    {
        "content_type_known", "content_length_valid", "content_within_limit",
        "content_well_formed", "content_valid",
    }
)  # fmt: skip
"""The questions whose answer is yes where no content is read."""


# the request line


def method_known(walk: Walk) -> bool:
    """Whether RFC 9110 or RFC 5789 defines the method."""
    return walk.request.method in METHODS


def is_preflight(walk: Walk) -> bool:
    """Whether a browser asks for leave, and the resource has a rule for that."""
    cors = walk.prepared.cors
    return (
        cors is not None
        and asks_before(walk.request)
        and cors.allows(walk.request.headers["origin"])
    )


def method_allowed(walk: Walk) -> bool:
    """Whether the resource has something to do for the method."""
    return walk.request.method in walk.prepared.methods


def query_valid(walk: Walk) -> bool:
    """Decodes the query, where the resource names a type for it."""
    read = walk.prepared.read_query
    if read is None:
        return True
    try:
        walk.ctx._query = read(walk.request.query)  # pyright: ignore[reportPrivateUsage]
    except QueryError as error:
        walk.refusal = BadRequest("The query is not what this resource takes.", errors=error.errors)
        return False
    return True


# the content's header fields


def content_headers_valid(walk: Walk) -> bool:
    """No Content-Range with PUT (RFC 9110, section 14.5), and a length that is a number (8.6)."""
    if walk.request.method == "PUT" and walk.header("content-range") is not None:
        walk.refusal = BadRequest("A part of the content cannot be PUT: send the whole, or PATCH.")
        return False
    length = walk.header("content-length")
    if length is not None and not (length.isascii() and length.isdigit()):
        walk.refusal = BadRequest("Content-Length is not a decimal number.")
        return False
    return True


def content_type_known(walk: Walk) -> bool:
    """Whether the content is of a type, and in a coding, that can be read here."""
    reader = _reader(walk)
    if reader is None or not _has_content(walk):
        return True
    coding = (walk.header("content-encoding") or "identity").strip().lower()
    if coding != "identity" and coding not in REQUEST_CODINGS:
        walk.why = f"Content-Encoding {coding} is not read here (RFC 9110, section 8.4)"
        return False
    field = walk.header("content-type")
    if field is None:
        walk.why = "there is content, and no Content-Type (RFC 9110, section 8.3)"
        return False
    return _media_index(reader, field) is not None


def content_length_valid(walk: Walk) -> bool:
    """Whether the content says that it is short enough."""
    if _reader(walk) is None:
        return True
    length = walk.header("content-length")
    digits = "" if length is None else length.lstrip("0")
    limit = walk.resource.max_content
    return len(digits) <= len(str(limit)) and int(digits or "0") <= limit


def _reader(walk: Walk) -> Reader | None:
    return walk.prepared.readers.get(walk.request.method)


def _has_content(walk: Walk) -> bool:
    if isinstance(walk.request.content, bytes):
        return bool(walk.request.content)
    length = walk.header("content-length")
    return length not in {None, "0"} or walk.header("transfer-encoding") is not None


def _media_index(reader: Reader, field: str) -> int | None:
    """Which of the media types the field names; parameters are not compared."""
    sent = parse_content_type(field)
    if sent is None:
        return None
    for index, media in enumerate(reader.media):
        if (media.type.type, media.type.subtype) == (sent.type, sent.subtype):
            return index
    return None


# negotiation


def accept_exists(walk: Walk) -> bool:
    """Whether `Accept` was sent."""
    return walk.header("accept") is not None


def media_type_available(walk: Walk) -> bool:
    """Chooses the media type (RFC 9110, section 12.5.1)."""
    choice = choose_media_type(walk.header("accept"), walk.prepared.media_types)
    walk.media, walk.why = choice.index, choice.why
    return choice.index is not None


def accept_language_exists(walk: Walk) -> bool:
    """Whether `Accept-Language` was sent."""
    return walk.header("accept-language") is not None


def language_available(walk: Walk) -> bool:
    """Chooses the language, where any is offered (RFC 9110, section 12.5.4; RFC 4647, 3.4)."""
    if not walk.prepared.languages:
        return True
    choice = choose_language(walk.header("accept-language"), walk.prepared.languages)
    walk.language, walk.why = choice.index, choice.why
    walk.ctx.language = walk.prepared.languages[choice.index or 0]
    return choice.index is not None


def accept_charset_exists(walk: Walk) -> bool:
    """Whether `Accept-Charset` was sent, which RFC 9110 deprecates."""
    return walk.header("accept-charset") is not None


def charset_available(walk: Walk) -> bool:
    """Chooses the charset (RFC 9110, section 12.5.2)."""
    choice = choose_charset(walk.header("accept-charset"), walk.prepared.charsets)
    walk.charset, walk.why = choice.index, choice.why
    return choice.index is not None


def accept_encoding_exists(walk: Walk) -> bool:
    """Whether `Accept-Encoding` was sent."""
    return walk.header("accept-encoding") is not None


def encoding_available(walk: Walk) -> bool:
    """Chooses the content coding (RFC 9110, section 12.5.3)."""
    choice = choose_encoding(walk.header("accept-encoding"), walk.prepared.encodings)
    walk.encoding, walk.why = choice.index, choice.why
    return choice.index is not None


# the content


async def content_within_limit(walk: Walk) -> bool:
    """Reads the content, where this method has any, and undoes its coding."""
    if _reader(walk) is None:
        return True
    limit = walk.resource.max_content
    content = walk.request.content
    if not isinstance(content, bytes):
        try:
            content = await content()
        except ContentTooLarge:
            return False
    if len(content) > limit:
        return False
    coding = REQUEST_CODINGS.get((walk.header("content-encoding") or "").strip().lower())
    if coding is not None and content:
        try:
            plain = decompress(content, coding, limit)
        except Undecodable as error:
            raise BadRequest(str(error)) from None
        if plain is None:
            walk.why = f"it is longer than {limit} bytes when unpacked"
            return False
        content = plain
    walk.content = content
    return True


def content_well_formed(walk: Walk) -> bool:
    """Decodes the content. What is well formed and not valid is the next question's matter."""
    reader = _reader(walk)
    if reader is None:
        return True
    field = walk.header("content-type")
    index = 0 if field is None else _media_index(reader, field)
    try:
        body = reader.decoders[index or 0](walk.content)
    except msgspec.ValidationError as error:
        walk.content_error = error
        return True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        detail = str(error) if walk.content else f"It is empty; {reader.accept} is read here"
        where = [FieldError("#", f"{detail.rstrip('.')}.")]
        walk.refusal = BadRequest("The content is malformed.", errors=where)
        return False
    walk.ctx._body = body  # pyright: ignore[reportPrivateUsage]
    return True


def content_valid(walk: Walk) -> bool:
    """Whether the content is of the type that the resource names."""
    error = walk.content_error
    if error is None:
        return True
    assert isinstance(error, msgspec.ValidationError)
    told = _all_wrong(walk) or [Wrong(str(error))]
    walk.refusal = UnprocessableContent(
        "The content is not what this resource takes.", errors=list(map(field_error, told))
    )
    return False


def _all_wrong(walk: Walk) -> list[Wrong]:
    """What is wrong with the content; nothing where that cannot be told apart."""
    reader = _reader(walk)
    assert reader is not None
    field = walk.header("content-type")
    media = reader.media[(0 if field is None else _media_index(reader, field)) or 0]
    assert media.decoder is not None
    try:
        value = media.decoder(Any)(walk.content)
        kind = walk.resource.body_of(walk.request.method)
        return wrong(value, kind, strict=media is not FORM)
    except (ValueError, TypeError, RecursionError):  # a media type of somebody's own, or too deep
        return []


# conditional requests


def precondition_required(walk: Walk) -> bool:
    """Whether this method, here, must name the state that it changes (RFC 6585, section 3)."""
    return walk.resource.precondition_required and walk.request.method in OVERWRITES


def precondition_exists(walk: Walk) -> bool:
    """Whether it names it. A date is not enough where there is none to compare it with."""
    return (
        walk.header("if-match") is not None
        or walk.header("if-none-match") is not None
        or (walk.header("if-unmodified-since") is not None and last_modified(walk) is not None)
    )


def if_match_exists(walk: Walk) -> bool:
    """Whether `If-Match` was sent."""
    return walk.header("if-match") is not None


if_match_exists_for_missing = if_match_exists
"""No tag matches what is missing, and no star either (RFC 9110, section 13.1.1)."""


def if_match_star(walk: Walk) -> bool:
    """Whether anything at all will do."""
    return parse_etags(walk.request.headers["if-match"]) == "*"


def etag_matches_for_if_match(walk: Walk) -> bool:
    """Strongly (RFC 9110, section 13.1.1). The tag of any variant names the present revision."""
    tags = parse_etags(walk.request.headers["if-match"])
    present = current_tag(walk)
    if present is None or tags == "*":
        return False
    if isinstance(present, ETag):
        matches = any(tag.strongly_equals(present) for tag in tags)
    else:
        matches = any(not tag.weak and _names_revision(walk, tag, present) for tag in tags)
    walk.why = (
        f"{walk.request.headers['if-match'][:200]} against {present}, strongly (RFC 9110, 8.8.3.2)"
    )
    return matches


def if_unmodified_since_exists(walk: Walk) -> bool:
    """Whether `If-Unmodified-Since` was sent."""
    return walk.header("if-unmodified-since") is not None


def if_unmodified_since_valid_date(walk: Walk) -> bool:
    """Whether it is a date; it is ignored otherwise (RFC 9110, section 13.1.4)."""
    return parse_http_date(walk.request.headers["if-unmodified-since"]) is not None


def unmodified_since(walk: Walk) -> bool:
    """Whether the entity is as old; ignored where it has no date (RFC 9110, section 13.1.4)."""
    return not _changed_after(walk, "if-unmodified-since", unknown=False)


def if_none_match_exists(walk: Walk) -> bool:
    """Whether `If-None-Match` was sent."""
    return walk.header("if-none-match") is not None


def if_none_match_star(walk: Walk) -> bool:
    """Whether nothing at all may be there."""
    return parse_etags(walk.request.headers["if-none-match"]) == "*"


def etag_matches_for_if_none_match(walk: Walk) -> bool:
    """Weakly, and with the variant that would be sent (RFC 9110, section 13.1.2)."""
    tags = parse_etags(walk.request.headers["if-none-match"])
    present = variant_tag(walk)
    if present is None or tags == "*":
        return False
    walk.why = f"{walk.request.headers['if-none-match'][:200]} against {present}, weakly (RFC 9110, 8.8.3.2)"
    return any(tag.weakly_equals(present) for tag in tags)


def if_modified_since_exists(walk: Walk) -> bool:
    """Whether `If-Modified-Since` was sent with a method that it is for (RFC 9110, 13.1.3)."""
    return walk.request.method in READS and walk.header("if-modified-since") is not None


def if_modified_since_valid_date(walk: Walk) -> bool:
    """Whether it is a date; it is ignored otherwise (RFC 9110, section 13.1.3)."""
    return parse_http_date(walk.request.headers["if-modified-since"]) is not None


def modified_since(walk: Walk) -> bool:
    """Whether the entity is newer; ignored where it has no date (RFC 9110, section 13.1.3)."""
    return _changed_after(walk, "if-modified-since", unknown=True)


def _changed_after(walk: Walk, field: str, *, unknown: bool) -> bool:
    since = parse_http_date(walk.request.headers[field])
    changed = last_modified(walk)
    if since is None or changed is None:
        return unknown
    walk.why = f"last modified {changed:%Y-%m-%d %H:%M:%S}, against {since:%Y-%m-%d %H:%M:%S}"
    return is_modified_since(changed, since)


# what the action did


def delete_enacted(walk: Walk) -> bool:
    """Whether it is done, not merely accepted."""
    return not isinstance(walk.outcome, Accepted)


patch_enacted = put_enacted = post_enacted = delete_enacted


def post_redirect(walk: Walk) -> bool:
    """Whether the answer is elsewhere."""
    return isinstance(walk.outcome, SeeOther)


def new(walk: Walk) -> bool:
    """Whether something was created; a PUT to what exists never does (RFC 9110, 9.3.4)."""
    return isinstance(walk.outcome, Created) and not (walk.exists and walk.request.method == "PUT")


def respond_with_entity(walk: Walk) -> bool:
    """Whether there is something to show."""
    outcome = walk.outcome
    return isinstance(outcome, Updated) or (
        isinstance(outcome, Created) and outcome.entity is not None
    )


# validators


def current_tag(walk: Walk) -> ETag | str | None:
    """The present revision, or the tag where the resource gives a whole one; asked once."""
    if walk.tag is None:
        given = walk.resource.etag
        walk.tag = given(walk.entity) if callable(given) else given
    return walk.tag


def variant_tag(walk: Walk) -> ETag | None:
    """The tag of the variant chosen."""
    present = current_tag(walk)
    return ETag(present + variant(walk)) if isinstance(present, str) else present


def _names_revision(walk: Walk, tag: ETag, revision: str) -> bool:
    """Whether a tag that this resource sent is of that revision, in whatever variant."""
    head, *parts = tag.opaque[len(revision) :].split("~")
    return tag.opaque.startswith(revision) and not head and walk.prepared.variants.issuperset(parts)


def variant(walk: Walk) -> str:
    """Tells a strong tag's variants apart (RFC 9110, section 8.8.1); "" for the favourite one."""
    prepared = walk.prepared
    parts: list[str] = []
    if walk.media:
        parts.append(prepared.media_types[walk.media].subtype)
    if walk.language:
        parts.append(prepared.languages[walk.language])
    if walk.charset:
        parts.append(prepared.charsets[walk.charset])
    if walk.encoding is not None and prepared.encodings[walk.encoding] != "identity":
        parts.append(prepared.encodings[walk.encoding])
    return "".join(f"~{part}" for part in parts)


def last_modified(walk: Walk) -> datetime | None:
    """When the entity last changed."""
    given = walk.resource.last_modified
    return given(walk.entity) if callable(given) else given
