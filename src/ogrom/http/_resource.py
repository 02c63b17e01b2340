"""A resource is a frozen value: one keyword for every question of the graph that it may answer."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass, fields
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, get_origin

from msgspec.inspect import CustomType, type_info

from ogrom.http._conditional import ETag
from ogrom.http._cors import Cors
from ogrom.http._errors import ResourceError
from ogrom.http._graph import ACTIONS, HANDLERS
from ogrom.http._media import JSON, MERGE_PATCH, MSGPACK, Media
from ogrom.http._message import SERVED, Context
from ogrom.http._outcome import Outcome

E = TypeVar("E")

Say = bool | Callable[[Context], bool | Awaitable[bool]]
"""A decision: a constant, or a function of what is known."""

SayOf = bool | Callable[[Context, E], bool | Awaitable[bool]]
"""A decision about an entity that is there."""

Where = str | Callable[[Context], str | Awaitable[str | None] | None] | None
"""A path or URL, or a function that gives one; None is "no"."""

Act = Callable[[Context, E], Awaitable[Outcome]]
"""An action; the entity is None where the resource is missing."""

Show = Callable[[Context, E], object]
"""Makes the value that is sent: plain, or awaitable where loading late pays."""

Explain = Callable[[Context], object]
"""Makes what is sent with an error: a `Problem`, or any other value."""

METHOD_OF_ACTION: Final = {name: name.upper() for name in ACTIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[E]):
    """An HTTP resource. Every keyword has a default; `dataclasses.replace` varies it.

    The functions get a `Context`, and after `exists` also the entity that it found. Those that
    look something up are `async`. Any of them may raise `Refused` (rule 4 of the graph).

    What it is:
        name: what `path_for` and the logs call it.
        methods: the methods allowed, exactly these. Left out, they follow from the keywords: GET
            and HEAD where anything is read, an action's method where it is given, and OPTIONS.
        query: a `msgspec.Struct` that the query is decoded into; `ctx.query(ThatType)`.
        body: the type that the content is decoded into, or one for each method;
            `ctx.body(ThatType)`. `bytes` leaves it as it is.
        consumes: the media types that content may have. `PATCH` also takes merge-patch+json.
        max_content: how long the content may be, in bytes, decompressed.
        cors: which other origins' pages may use it.

    What it offers, the favourite first:
        media_types: what answers can be written in.
        languages: language tags; the answer says which (`Content-Language`, `ctx.language`).
        charsets: for media types that are written as text.
        encodings: of "zstd", "br" and "gzip", those that answers are really compressed with.

    Validators (RFC 9110, section 8.8):
        etag: the entity's revision, from which a strong tag for each variant is made; or a whole
            `ETag`, taken as it is for every variant.
        last_modified: when the entity last changed.
        precondition_required: whether `PUT`, `PATCH` and `DELETE` of what exists must be
            conditional (428 otherwise, RFC 6585 section 3).
        cache_control: the `Cache-Control` of 200 and 304.

    Decisions, in the order in which they are asked:
        service_available: no is 503. `retry_after`: then, in how many seconds.
        method_known, uri_too_long, method_allowed: 501, 414, 405.
        malformed: yes is 400.
        authorized: who asks, for `ctx.principal(Type)`; nobody is 401 with the `challenge`.
        too_many_requests: yes is 429.
        allowed: no is 403.
        unavailable_for_legal_reasons: yes is 451.
        content_headers_valid, content_type_known, content_length_valid: 400, 415, 413.
        processable: no is 422.
        exists: finds the entity; None is absence. An empty list is there.
        allowed_for_entity: no is 403.
        multiple_representations: yes is 300, for GET and HEAD.
        put_to_different_url: where, 308.
        can_put_to_missing: whether PUT may create it; no is 404.
        existed: whether what is missing was there once; then it is 410, unless it moved:
        moved_permanently, permanent_redirect, moved_temporarily: where, 301, 308, 307.
        can_post_to_gone, can_post_to_missing: whether POST may go ahead all the same.
        conflict: yes is 409, for PUT and for POST to what exists.

    Actions return what they did: `Created`, `Updated`, `NoContent`, `Accepted`, `SeeOther`.
        post, put, patch, delete

    Handlers, one for each end of the graph, make what is sent; errors have problem details by
    default (`problem("…")` makes others).

    Raises:
        TypeError: a keyword that does not exist; the message has the right one.
        ResourceError: keywords that cannot be right together.
    """

    name: str = ""
    methods: Sequence[str] | None = None
    query: type[Any] | None = None
    body: type[Any] | Mapping[str, type[Any]] | None = None
    consumes: Sequence[Media] = (JSON, MSGPACK)
    max_content: int = 1 << 20
    cors: Cors | None = None

    media_types: Sequence[Media] = (JSON, MSGPACK)
    languages: Sequence[str] = ()
    charsets: Sequence[str] = ("utf-8",)
    encodings: Sequence[str] = ("zstd", "br", "gzip")

    etag: ETag | Callable[[E], str | ETag | None] | None = None
    last_modified: datetime | Callable[[E], datetime | None] | None = None
    precondition_required: bool = False
    cache_control: str | None = None

    service_available: Say = True
    retry_after: int | None = None
    method_known: Say | None = None
    uri_too_long: Say = False
    method_allowed: Say | None = None
    malformed: Say = False
    authorized: bool | Callable[[Context], Awaitable[object]] = True
    challenge: str | None = None
    too_many_requests: Say = False
    allowed: Say = True
    unavailable_for_legal_reasons: Say = False
    content_headers_valid: Say | None = None
    content_type_known: Say | None = None
    content_length_valid: Say | None = None
    processable: Say = True
    exists: bool | Callable[[Context], Awaitable[E | None]] = True
    allowed_for_entity: SayOf[E] = True
    multiple_representations: SayOf[E] = False
    put_to_different_url: Where = None
    can_put_to_missing: Say = False
    existed: Say = False
    moved_permanently: Where = None
    permanent_redirect: Where = None
    moved_temporarily: Where = None
    can_post_to_gone: Say = False
    can_post_to_missing: Say = False
    conflict: SayOf[E] = False

    post: Act[E] | None = None
    put: Act[E] | None = None
    patch: Act[E] | None = None
    delete: Act[E] | None = None

    handle_ok: Show[E] | None = None
    handle_options: Explain | None = None
    handle_created: Show[Any] | None = None
    handle_accepted: Show[Any] | None = None
    handle_multiple_choices: Show[E] | None = None
    handle_moved_permanently: Explain | None = None
    handle_see_other: Explain | None = None
    handle_temporary_redirect: Explain | None = None
    handle_permanent_redirect: Explain | None = None
    handle_bad_request: Explain | None = None
    handle_unauthorized: Explain | None = None
    handle_forbidden: Explain | None = None
    handle_not_found: Explain | None = None
    handle_method_not_allowed: Explain | None = None
    handle_not_acceptable: Explain | None = None
    handle_conflict: Explain | None = None
    handle_gone: Explain | None = None
    handle_precondition_failed: Explain | None = None
    handle_content_too_large: Explain | None = None
    handle_uri_too_long: Explain | None = None
    handle_unsupported_media_type: Explain | None = None
    handle_unprocessable_content: Explain | None = None
    handle_precondition_required: Explain | None = None
    handle_too_many_requests: Explain | None = None
    handle_unavailable_for_legal_reasons: Explain | None = None
    handle_internal_server_error: Explain | None = None
    handle_not_implemented: Explain | None = None
    handle_service_unavailable: Explain | None = None
    handle_refused: Explain | None = None

    if not TYPE_CHECKING:  # an editor sees the keywords above; this is for everybody else

        def __new__(cls, *args: object, **given: object) -> Self:
            if args:
                raise TypeError(
                    "Resource(…) takes keywords only, such as Resource(name='product')."
                )
            known = [field.name for field in fields(cls)]
            for keyword in given:
                if keyword not in known:
                    close = get_close_matches(keyword, known, n=1, cutoff=0.6)
                    hint = _OTHER_WORDS.get(keyword) or (
                        f"Did you mean {close[0]!r}?" if close else "help(Resource) lists them all."
                    )
                    raise TypeError(f"Resource has no keyword {keyword!r}. {hint}")
            return object.__new__(cls)

    def __post_init__(self) -> None:
        for check in (_check_functions, _check_methods, _check_offers, _check_combinations):
            if complaint := check(self):
                name = f"Resource(name={self.name!r})" if self.name else "Resource(…)"
                raise ResourceError(f"{name}: {complaint}")

    def allowed_methods(self) -> tuple[str, ...]:
        """The methods allowed, as `Allow` lists them."""
        if self.methods is not None:
            return tuple(self.methods)
        actions = {method for name, method in METHOD_OF_ACTION.items() if getattr(self, name)}
        reads = not actions or self.handle_ok is not None or callable(self.exists)
        free = {"GET", "HEAD", "OPTIONS"} if reads else {"OPTIONS"}
        return tuple(method for method in SERVED if method in actions | free)

    def body_of(self, method: str) -> type[Any] | None:
        """The type of the content of requests with that method; None where none is read."""
        if self.body is None or method not in METHOD_OF_ACTION.values():
            return None
        if isinstance(self.body, Mapping):
            return self.body.get(method)
        # DELETE's content has no meaning unless somebody gives it one (RFC 9110, section 9.3.5)
        given = getattr(self, method.lower()) is not None
        return self.body if given and method != "DELETE" else None

    def consumes_for(self, method: str) -> tuple[Media, ...]:
        """The media types that content may have with that method."""
        readable = tuple(media for media in self.consumes if media.decoder)
        if method == "PATCH" and JSON in readable and MERGE_PATCH not in readable:
            return (*readable, MERGE_PATCH)
        return readable


def _is_frozen(_: object, name: str, __: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}: dataclasses.replace makes another")


# What `dataclass` makes for a frozen class with slots raises a TypeError when `Resource[Product](…)` is
# to be noted on the value, where typing waits for an AttributeError.
setattr(Resource, "__setattr__", _is_frozen)  # noqa: B010 - it may not be named in the class

_OTHER_WORDS: Final = {
    "get": "GET is answered by 'handle_ok', with what 'exists' finds.",
    "head": "HEAD is answered as GET is, by 'handle_ok'.",
    "path": "A resource knows no path: Service({'/products': resource}).",
}
"""What those may look for who come from elsewhere."""

_ONE_ARGUMENT: Final = frozenset(
    {
        "service_available", "method_known", "uri_too_long", "method_allowed", "malformed",
        "authorized", "too_many_requests", "allowed", "unavailable_for_legal_reasons",
        "content_headers_valid", "content_type_known", "content_length_valid", "processable",
        "exists", "put_to_different_url", "can_put_to_missing", "existed", "moved_permanently",
        "permanent_redirect", "moved_temporarily", "can_post_to_gone", "can_post_to_missing",
        "etag", "last_modified",
    }
)  # fmt: skip

_TWO_ARGUMENTS: Final = frozenset(
    {
        "allowed_for_entity", "multiple_representations", "conflict", *ACTIONS,
        "handle_ok", "handle_created", "handle_accepted", "handle_multiple_choices",
    }
)  # fmt: skip


def _check_functions(resource: Resource[Any]) -> str | None:
    for field in fields(resource):
        value = getattr(resource, field.name)
        if isinstance(value, type) or get_origin(value) is not None or not callable(value):
            continue
        two = field.name in _TWO_ARGUMENTS
        if not two and field.name not in _ONE_ARGUMENT and field.name not in HANDLERS:
            return f"{field.name} is a plain value, not a function."
        if complaint := _check_arity(field.name, value, 2 if two else 1):
            return complaint
        needs_async = field.name in {"exists", "authorized", *ACTIONS}
        if needs_async and inspect.isfunction(value) and not _may_be_awaited(value):
            return f"{field.name} must be an `async def`; {value.__name__!r} is a plain one."
    return None


def _check_arity(name: str, function: Callable[..., object], count: int) -> str | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin that tells nothing of itself
        return None
    try:
        signature.bind(*range(count))
    except TypeError:
        first = "entity" if name in {"etag", "last_modified"} else "ctx"
        wanted = first if count == 1 else "ctx, entity"
        return f"{name} is called as {name}({wanted}), but it takes {signature}."
    return None


def _may_be_awaited(function: Callable[..., object]) -> bool:
    """Whether calling it can give an awaitable: async, or a plain function that says so."""
    if inspect.iscoroutinefunction(function):
        return True
    returned = inspect.signature(function).return_annotation
    return returned is not inspect.Signature.empty and "Awaitable" in str(returned)


def _check_methods(resource: Resource[Any]) -> str | None:
    if isinstance(resource.methods, str):
        return f"methods={resource.methods!r}: write a tuple, ({resource.methods!r},)."
    for method in resource.methods or ():
        if method != method.upper():
            return f"methods: {method!r} is written {method.upper()!r}; methods are case-sensitive."
        if method not in SERVED:
            return f"methods: {method!r} is not served; there are {', '.join(SERVED)}."
        if method.lower() in ACTIONS and getattr(resource, method.lower()) is None:
            return f"methods names {method}, so {method.lower()}=… must say what it does."
    for name, method in METHOD_OF_ACTION.items():
        if getattr(resource, name) and method not in resource.allowed_methods():
            return f"{name}=… is never called: methods does not name {method}."
    return None


def _check_offers(resource: Resource[Any]) -> str | None:
    for name in ("media_types", "languages", "charsets", "encodings", "consumes"):
        offered = getattr(resource, name)
        if isinstance(offered, str):
            return f"{name}={offered!r}: write a tuple, ({offered!r},)."
        if len(set(offered)) != len(offered):
            return f"{name} offers something twice."
        for each in offered if name in {"media_types", "consumes"} else ():
            if not isinstance(each, Media):
                return f"{name}: {each!r} is none: write JSON, MSGPACK, CSV, FORM or a Media(…) of your own."
    for language in resource.languages:
        if "_" in language:
            return f"languages: {language!r} is written {language.replace('_', '-')!r} (RFC 5646)."
    if not resource.media_types:
        return "media_types is empty: an answer needs at least one."
    for media in resource.media_types:
        if media.encode is None:
            return f"media_types: {media.type} has no encode, so nothing can be written in it."
    for coding in resource.encodings:
        if coding not in {"zstd", "br", "gzip"}:
            return f"encodings: {coding!r} is not one of 'zstd', 'br', 'gzip'."
    for charset in resource.charsets:
        try:
            "".encode(charset)
        except LookupError:
            return f"charsets: Python knows no charset {charset!r}."
    return None if resource.charsets else "charsets is empty: leave it out for UTF-8."


def _check_combinations(resource: Resource[Any]) -> str | None:
    acts = {method for name, method in METHOD_OF_ACTION.items() if getattr(resource, name)}
    if resource.authorized is not True and not resource.challenge:
        return "authorized needs a challenge='Bearer' or the like for WWW-Authenticate (RFC 9110, 11.6.1)."
    if resource.precondition_required and resource.etag is None and resource.last_modified is None:
        return "precondition_required needs an etag or last_modified to compare with."
    if isinstance(resource.body, Mapping):
        for method in resource.body:
            if method not in acts:
                return (
                    f"body names {method!r}, so {method.lower()}=… must say what is done with it."
                )
    elif resource.body is not None and not acts & {"POST", "PUT", "PATCH"}:
        return "body is read for POST, PUT and PATCH, and none of them is given."
    bodies = resource.body.values() if isinstance(resource.body, Mapping) else (resource.body,)
    for body in bodies:
        if body is not None and isinstance(type_info(body), CustomType):
            name = getattr(body, "__name__", body)
            return f"body: content cannot be decoded into {name}; make it a msgspec.Struct."
    moves = ("moved_permanently", "permanent_redirect", "moved_temporarily", "can_post_to_gone")
    needs = {
        "POST": ("can_post_to_missing", "can_post_to_gone"),
        "PUT": ("can_put_to_missing", "put_to_different_url"),
    }
    for method, rows in needs.items():
        for row in rows:
            if getattr(resource, row) and method not in acts:
                return f"{row} is asked for {method} only, so {method.lower()}=… must be given."
    for row in moves:
        if getattr(resource, row) and resource.existed is False:
            return f"{row} is asked only of what existed, so existed=… must be given."
    if resource.body is not None and not any(media.decoder for media in resource.consumes):
        return "consumes holds nothing that can be read, so body can never be."
    return None
