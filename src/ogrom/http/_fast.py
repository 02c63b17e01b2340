"""What specialised functions share at run time: the variant that a request gets, and its head.

Every answer that is worth it is remembered by the text that it depends on, within bounds.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from ogrom.http import _questions as questions
from ogrom.http._conditional import ETag
from ogrom.http._cors import Cors
from ogrom.http._graph import HANDLERS
from ogrom.http._message import Request, Response, write_fields
from ogrom.http._outcome import Answer, Created, Stream
from ogrom.http._problem import Problem
from ogrom.http._render import compress_from, respond
from ogrom.http._walk import Prepared, Walk

NEGOTIATION: Final = (
    "accept_exists", "media_type_available", "accept_language_exists", "language_available",
    "accept_charset_exists", "charset_available", "accept_encoding_exists", "encoding_available",
)  # fmt: skip
"""The questions that the four Accept fields alone answer, whatever the resource."""

_REMEMBERED: Final = 256
_LONGEST: Final = 512


class Variant(Struct):
    """What negotiation came to, and what the head of a 200 begins with then."""

    end: str
    """The handler at which the walk ends, 406; "" where it goes on."""
    media: int | None
    language: int | None
    charset: int | None
    encoding: int | None
    says: str | None
    """The language that the context has afterwards."""
    suffix: str
    """What tells this variant's tag from others'."""
    start: str
    """The head of a 200, up to the content's length."""
    coded: str
    """The same where the content is compressed."""
    coding: str
    """"" where it never is."""
    least: int
    """From which length on it is, in bytes."""
    encode: Callable[[object], bytes | str] | None
    """Writes the value. None where its head depends on more than is known here. Changes to that
    when the encoder turns out to write text, which has a charset."""

    def enter(self, walk: Walk) -> None:
        """Leaves a walk as the questions would that chose this."""
        walk.media, walk.language = self.media, self.language
        walk.charset, walk.encoding = self.charset, self.encoding
        walk.ctx.language = self.says


def write(fields: list[tuple[str, str]]) -> str:
    """A part of a head; ValueError where it cannot be sent."""
    return write_fields(tuple(fields)).decode("latin-1")


class Negotiation:
    """Chooses variants for one resource and method; remembers them by the fields' values."""

    def __init__(self, prepared: Prepared, method: str, start: str, favourite: Variant) -> None:
        self._steps = prepared.plans[method].steps
        self._start = start
        self._favourite = favourite
        self.known: Final[dict[str | tuple[str | None, ...], Variant]] = {}
        """By `Accept` where it is sent alone, by three fields, or by all four: see `choose`."""

    def choose(self, walk: Walk) -> Variant:
        """The variant that the request asks for. Where it is the favourite, it is that very one;
        any other is still to be entered.
        """
        get = walk.request.headers.get
        accept, language, charset = get("accept"), get("accept-language"), get("accept-charset")
        encoding = get("accept-encoding")
        sent = [field for field in (accept, language, charset, encoding) if field is not None]
        key: str | tuple[str | None, ...]
        if charset is not None:
            key = (accept, language, charset, encoding)
        elif len(sent) == 1 and accept is not None:
            key = accept
        else:
            key = (accept, language, encoding)
        found = self.known.get(key)
        if found is None:
            found = self._find(walk)
            if found == self._favourite:
                found = self._favourite
            if sum(map(len, sent)) <= _LONGEST:
                if len(self.known) >= _REMEMBERED:
                    self.known.clear()
                self.known[key] = found
        return found

    def _find(self, walk: Walk) -> Variant:
        node = self._start
        while node in NEGOTIATION:
            test, yes, no = self._steps[node]
            node = yes if test(walk) else no
        return variant_of(walk, node if node in HANDLERS else "")


def variant_of(walk: Walk, end: str = "") -> Variant:
    """The variant that a walk stands for now."""
    prepared = walk.prepared
    media = walk.media or 0
    coding = "identity" if walk.encoding is None else prepared.encodings[walk.encoding]
    suffix = questions.variant(walk)
    encode = prepared.resource.media_types[media].encode
    fields = [("Content-Type", str(prepared.media_types[media]))]
    if walk.ctx.language is not None:
        fields.append(("Content-Language", walk.ctx.language))
    try:
        ETag(suffix)
        start = write(fields)
        coded = write([*fields, ("Content-Encoding", coding)])
    except ValueError:  # the resource's own mistake: the general way makes it a 500
        start = coded = ""
        encode = None
    return Variant(
        end=end,
        media=walk.media,
        language=walk.language,
        charset=walk.charset,
        encoding=walk.encoding,
        says=walk.ctx.language,
        suffix=suffix,
        start=f"{start}Content-Length: ",
        coded=f"{coded}Content-Length: ",
        coding="" if coding == "identity" else coding,
        least=0 if coding == "identity" else compress_from(walk),
        encode=encode,
    )


def tag_line(walk: Walk) -> str:
    """The `ETag` of the variant; ValueError where the revision cannot be in one."""
    tag = questions.variant_tag(walk)
    return "" if tag is None else f"ETag: {tag}\r\n"


class CrossOrigin:
    """The fields for pages of certain other origins, each origin's written once."""

    def __init__(self, cors: Cors) -> None:
        self._lines: dict[str, str] = {
            origin: write(
                list(cors.fields(Request(method="GET", path="/", headers={"origin": origin})))
            )
            for origin in cors.origins
        }

    def lines(self, origin: str) -> str:
        """The fields that pages of this origin get; "" for one that is not allowed."""
        return self._lines.get(origin, "")


class Plain:
    """Types whose values are sent as they are: no awaitable, no `Answer`, no `Problem`."""

    def __init__(self) -> None:
        self.types: set[type[Any]] = {dict, list, tuple, str, int, float}

    def is_plain(self, value: object) -> bool:
        """Whether a value is sent as it is; its type is remembered then."""
        kind = type(value)
        if kind in self.types:
            return True
        if (
            value is None
            or isinstance(value, Answer | Problem | Stream)
            or hasattr(kind, "__await__")
        ):
            return False
        if kind.__module__ == "builtins":  # generators among others, which may be awaitable
            return False
        if len(self.types) < _REMEMBERED:
            self.types.add(kind)
        return True


def opened(answer: Answer) -> tuple[object, str | None]:
    """The value of an `Answer` and its own fields; None in their place where they cannot be sent."""
    return answer.value, _lines(tuple(answer.headers.items()))


@lru_cache(maxsize=_REMEMBERED)
def _lines(fields: tuple[tuple[str, str], ...]) -> str | None:
    try:
        return write(list(fields))
    except ValueError:
        return None


def created_lines(outcome: Created) -> str | None:
    """`Location` and `ETag` of what was made; None where they had better be looked at."""
    at, tag = outcome.at, outcome.etag
    for value in (at, tag):
        if value is not None and not (value.isascii() and value.isprintable()):
            return None
    location = "" if at is None else f"Location: {at}\r\n"
    return location if tag is None else f'{location}ETag: "{tag}"\r\n'


async def end(walk: Walk, handler: str) -> Response:
    """Where a walk ends that is not worth a template."""
    return await respond(walk, handler, None)
