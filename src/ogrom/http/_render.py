"""From the end of a walk to a response: the value is made, written, compressed and labelled."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from inspect import isawaitable
from typing import Any, Final, cast

import brotli  # type: ignore[import-untyped]
import msgspec
import zstandard

from ogrom.http import _questions as questions
from ogrom.http._conditional import format_http_date
from ogrom.http._content import REQUEST_CODINGS
from ogrom.http._cors import is_preflight
from ogrom.http._engine import as_refusal, handler_of
from ogrom.http._graph import HANDLERS
from ogrom.http._message import Response, Step
from ogrom.http._negotiate import choose_encoding, choose_media_type
from ogrom.http._outcome import Accepted, Answer, Created, Pieces, SeeOther, Stream, Updated
from ogrom.http._problem import NOT_KEPT, PROBLEM_JSON, Problem, complete
from ogrom.http._walk import Prepared, Walk

COMPRESS_FROM: Final = 512
"""Shorter contents, in bytes, are sent as they are: a packet carries them all the same."""

_zstd = zstandard.ZstdCompressor(level=3)

COMPRESS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda content: gzip.compress(content, compresslevel=5, mtime=0),
    "br": partial(cast("Callable[..., bytes]", brotli.compress), quality=4),  # pyright: ignore[reportUnknownMemberType]
    "zstd": _zstd.compress,
}
"""The content codings, at levels that cost about as much as they save on a fast line."""

DETAILS: Final[Mapping[int, str]] = {
    400: "The request is malformed.",
    401: "Say who you are: send the credentials that WWW-Authenticate names.",
    403: "You may not do this.",
    404: "There is nothing here.",
    405: "This method is not for this resource. Allow names those that are.",
    406: "None of what the Accept fields ask for is offered.",
    409: "The resource is in a state that does not allow this. Get it again, then decide.",
    410: "It was here, and will not come back.",
    412: "The resource is not as the request assumes. Get it again, then decide.",
    413: "The content is too long.",
    414: "The URI is too long.",
    415: "Content of this type is not read here. Accept names those that are.",
    422: "The content is understood, and cannot be processed.",
    428: "Send If-Match with the ETag of what you are about to change, so that nobody's is lost.",
    429: "Too many requests. Wait as long as Retry-After says.",
    451: "This is withheld for legal reasons.",
    500: "Something went wrong here. The request id names it in the log.",
    501: "No such method is known.",
    503: "This is out of service for now. Try again later.",
}
"""What problem details say when nobody else says more."""

Fields = list[tuple[str, str]]


async def respond(walk: Walk, handler: str, error: Exception | None) -> Response:
    """The response at the end of a walk. A handler that refuses or fails ends it anew; where that
    was an error's own, the defaults answer.

    Args:
        walk: as it is when it has come to the handler.
        handler: the name.
        error: what ended the walk, where that was an exception.
    """
    for _ in range(3):  # refused at the most once, failed at the most once, then the default
        if walk.steps is not None:
            walk.note(Step(handler))
        try:
            return await _respond(walk, handler, error)
        except Exception as raised:  # noqa: BLE001 - the boundary: a failing handler is a 500
            walk.refusal = as_refusal(raised, walk.prepared.refusals)
            if walk.refusal is not None and handler not in _LAST_RESORT:
                handler = handler_of(walk.refusal)
                continue
            if handler in _LAST_RESORT:
                walk.prepared = _without_handlers(walk)
            walk.refusal, error, handler = None, raised, "handle_internal_server_error"
    walk.prepared = _without_handlers(walk)
    return await _respond(walk, "handle_internal_server_error", error)


_LAST_RESORT: Final = frozenset(
    name for name, status in HANDLERS.items() if status >= 400 or name == "handle_refused"
)


def _without_handlers(walk: Walk) -> Prepared:
    given = [name for name in HANDLERS if hasattr(walk.resource, name)]
    defaults: dict[str, Any] = dict.fromkeys(given)
    return replace(walk.prepared, resource=replace(walk.resource, **defaults))


async def _respond(walk: Walk, handler: str, error: Exception | None) -> Response:
    status = HANDLERS[handler]
    if handler == "handle_refused":
        assert walk.refusal is not None  # nothing else leads there
        status = walk.refusal.status
    if handler in _WITHOUT_CONTENT:
        return finish(walk, handler, status, None, error)
    return finish(walk, handler, status, await _value(walk, handler, status), error)


_WITHOUT_CONTENT: Final = frozenset(
    {"handle_not_modified", "handle_no_content", "handle_preflight"}
)


def finish(
    walk: Walk, handler: str, status: int, value: object, error: Exception | None = None
) -> Response:
    """The response that shows a value, with all that goes along."""
    fields: Fields = []
    content = b""
    pieces: Pieces | None = None
    if handler not in _WITHOUT_CONTENT:
        if isinstance(value, Answer):
            fields.extend(value.headers.items())
            value = value.value
        if isinstance(value, Stream):
            pieces = value.pieces
            fields.extend(_announced(walk, value))
        else:
            if value is not None:
                content = _write(walk, value, status, fields)
            fields.append(("Content-Length", str(len(content))))
    if status < 400:
        _describe(walk, handler, fields)
    else:
        _explain(walk, status, fields)
    _validate(walk, handler, fields)
    if status == 405 or walk.request.method == "OPTIONS":
        fields.append(("Allow", ", ".join(walk.prepared.methods)))
    if walk.prepared.vary:
        fields.append(("Vary", walk.prepared.vary))
    if (cors := walk.prepared.cors) is not None:
        fields.extend(cors.fields(walk.request))
    if walk.request.method == "HEAD":
        content = b""
    return Response(
        status=status,
        headers=tuple(fields),
        content=content,
        route=walk.resource.name,
        error=error,
        pieces=pieces,
    )


def _announced(walk: Walk, value: Stream) -> Fields:
    """What is said of content before there is any."""
    kind = value.media_type or str(walk.prepared.media_types[walk.media or 0])
    fields = [("Content-Type", kind)]
    if walk.ctx.language is not None:
        fields.append(("Content-Language", walk.ctx.language))
    if value.length is not None:
        fields.append(("Content-Length", str(value.length)))
    return fields


async def _value(walk: Walk, handler: str, status: int) -> object:
    """What the handler sends: made by the resource's function, or what its absence means."""
    function = getattr(walk.resource, handler)
    outcome = walk.outcome
    if status >= 400:
        value = function(walk.ctx) if function else Problem()
    elif handler in {"handle_created", "handle_accepted"}:
        assert isinstance(outcome, Created | Accepted)
        value = function(walk.ctx, outcome.entity) if function else outcome.entity
    elif handler in {"handle_ok", "handle_multiple_choices"}:
        if isinstance(outcome, Updated | Created):
            walk.entity, walk.tag = outcome.entity, None
        value = function(walk.ctx, walk.entity) if function else walk.entity
    else:
        value = function(walk.ctx) if function else None
    return await settle(walk, value, status)


async def settle(walk: Walk, value: object, status: int) -> object:
    """What a handler returned, awaited where it must be; a problem with its blanks filled in."""
    if isawaitable(value):
        value = await value
    if isinstance(value, Problem):
        refusal = walk.refusal
        return complete(
            value,
            status=status,
            detail=(refusal.detail if refusal else "") or DETAILS.get(status, ""),
            errors=refusal.errors if refusal else (),
            request_id=walk.request.id,
        )
    return value


def _write(walk: Walk, value: object, status: int, fields: Fields) -> bytes:
    """The value in the media type, charset and coding chosen; the fields that say so."""
    prepared = walk.prepared
    media = walk.media or 0
    if status >= 400:  # perhaps before anything was negotiated, or because nothing could be
        media = choose_media_type(walk.header("accept"), prepared.media_types).index or 0
    label = prepared.media_types[media]
    written: bytes | str
    if isinstance(value, Problem) and label.subtype != "msgpack":
        label, written = PROBLEM_JSON, msgspec.json.encode(value)
    else:
        try:
            written = prepared.encoders[media](value)
        except Exception as error:
            error.add_note(
                f"This was the answer of {walk.resource.name!r}, in {label}: answer what can be written in it,"
                " such as Structs, dataclasses, dicts, lists, texts, numbers and datetimes."
            )
            raise
    content_type = str(label)
    if isinstance(written, str):
        charset = prepared.charsets[walk.charset or 0]
        try:
            content = written.encode(charset)
        except UnicodeEncodeError:  # better in another charset than with holes in it
            content, charset = written.encode(), "utf-8"
        content_type = f"{content_type}; charset={charset}"
    else:
        content = written
    fields.append(("Content-Type", content_type))
    if status < 400 and walk.ctx.language is not None:
        fields.append(("Content-Language", walk.ctx.language))
    coding = prepared.encodings[walk.encoding] if walk.encoding is not None else "identity"
    if coding != "identity" and len(content) >= compress_from(walk):
        content = compressed(coding, content)
        fields.append(("Content-Encoding", coding))
    return content


def compress_from(walk: Walk) -> int:
    """The length from which content is compressed, once a coding is chosen: any, where what is not
    coded is refused (`identity;q=0`; RFC 9110, section 12.5.3).
    """
    return 0 if choose_encoding(walk.header("accept-encoding"), ()).index is None else COMPRESS_FROM


def compressed(coding: str, content: bytes) -> bytes:
    """The content in a coding. What is short is remembered: the same list is asked for again."""
    if len(content) <= _LONGEST_REMEMBERED:
        return _compressed(coding, content)
    return COMPRESS[coding](content)


_LONGEST_REMEMBERED: Final = 16 << 10


@lru_cache(maxsize=128)  # 2 MB and what they are compressed to, at most
def _compressed(coding: str, content: bytes) -> bytes:
    return COMPRESS[coding](content)


def _describe(walk: Walk, handler: str, fields: Fields) -> None:
    """What a response that is no error says besides."""
    resource, outcome, method = walk.resource, walk.outcome, walk.request.method
    if handler in {"handle_options", "handle_preflight"}:
        if reader := walk.prepared.readers.get("PATCH"):
            fields.append(("Accept-Patch", reader.accept))
        if walk.prepared.cors is not None and is_preflight(walk.request):
            fields.extend(walk.prepared.cors.preflight(walk.prepared.methods))
    if walk.location is not None:
        fields.append(("Location", walk.location))
    if isinstance(outcome, Created | Accepted | SeeOther) and outcome.at is not None:
        fields.append(("Location", outcome.at))
    if isinstance(outcome, Created) and outcome.etag is not None and method == "POST":
        fields.append(("ETag", f'"{outcome.etag}"'))
    if isinstance(outcome, Updated) and method != "POST":
        fields.append(("Content-Location", walk.request.path))
    if resource.cache_control is not None and outcome is None and handler in _SHOWS:
        fields.append(("Cache-Control", resource.cache_control))


def _validate(walk: Walk, handler: str, fields: Fields) -> None:
    """The validators of the entity, where the response shows it or stands for it."""
    if _current(walk, handler):
        if (tag := questions.variant_tag(walk)) is not None:
            fields.append(("ETag", str(tag)))
        if (changed := questions.last_modified(walk)) is not None:
            fields.append(("Last-Modified", format_http_date(changed)))


_SHOWS: Final = frozenset({"handle_ok", "handle_not_modified", "handle_multiple_choices"})
_ENTITY_FREE: Final = frozenset(
    {
        "handle_options", "handle_moved_permanently", "handle_see_other",
        "handle_temporary_redirect", "handle_permanent_redirect", "handle_precondition_failed",
    }
)  # fmt: skip


def _current(walk: Walk, handler: str) -> bool:
    """Whether the response shows, or stands for, the entity as it is now.

    After an action it is another, or none: only `PATCH` shows it (RFC 5789, section 2.1; for `PUT`
    see RFC 9110, section 9.3.4). A 412 tells whose precondition failed what is there instead.
    Validators that depend on no entity also go where there is none.
    """
    if isinstance(walk.outcome, Updated):
        return walk.request.method == "PATCH" and handler == "handle_ok"
    if walk.outcome is None and handler in _SHOWS:
        return True
    if walk.outcome is None and handler == "handle_precondition_failed" and walk.exists:
        return True
    constant = not (callable(walk.resource.etag) or callable(walk.resource.last_modified))
    return constant and handler in _ENTITY_FREE


def _explain(walk: Walk, status: int, fields: Fields) -> None:
    """What an error says besides."""
    resource, method = walk.resource, walk.request.method
    extra = dict(walk.refusal.headers) if walk.refusal is not None else {}
    if status == 401 and resource.challenge is not None:
        extra.setdefault("WWW-Authenticate", resource.challenge)
    elif status == 415 and (reader := walk.prepared.readers.get(method)) is not None:
        extra["Accept-Patch" if method == "PATCH" else "Accept"] = reader.accept
        extra["Accept-Encoding"] = ", ".join(dict.fromkeys(REQUEST_CODINGS))
    elif status == 503 and resource.retry_after is not None:
        extra.setdefault("Retry-After", str(resource.retry_after))
    fields.extend(extra.items())
    if not any(name.lower() == "cache-control" for name, _ in fields):
        fields.append(NOT_KEPT)
