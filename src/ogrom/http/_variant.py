"""What negotiation comes to, remembered by what the four Accept fields say."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from ogrom.http import _questions as questions
from ogrom.http._conditional import ETag
from ogrom.http._graph import HANDLERS
from ogrom.http._message import Context, Request
from ogrom.http._parts import written
from ogrom.http._render import compress_from
from ogrom.http._walk import Prepared, Walk, at_start

NEGOTIATION: Final = (
    "accept_exists", "media_type_available", "accept_language_exists", "language_available",
    "accept_charset_exists", "charset_available", "accept_encoding_exists", "encoding_available",
)  # fmt: skip
"""The questions that the four Accept fields alone answer, whatever the resource."""

_REMEMBERED: Final = 256
_LONGEST: Final = 512


def unwritten(_: object) -> None:
    """Writes nothing: in this variant the head depends on more than is known beforehand."""


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
    encode: Callable[[object], bytes | str | None]
    """Writes the value. Changes to `unwritten` when that turns out to be text, which has a charset."""

    def enter(self, walk: Walk) -> None:
        """Leaves a walk as the questions would that chose this."""
        walk.media, walk.language = self.media, self.language
        walk.charset, walk.encoding = self.charset, self.encoding


class Negotiation:
    """Chooses variants for one resource and method; remembers them by the fields' values.

    Args:
        prepared: the resource.
        method: the method.
        start: the first of the questions that is left of `NEGOTIATION`.
    """

    def __init__(self, prepared: Prepared, method: str, start: str) -> None:
        self._prepared = prepared
        self._method = method
        self._start = start
        self.favourite: Final = unasked(prepared)
        self.known: Final[dict[str | tuple[str | None, ...], Variant]] = {}
        """By `Accept` where it is sent alone, by three fields, or by all four: see `choose`."""

    def choose(self, headers: Mapping[str, str]) -> Variant:
        """The variant that these fields ask for: the very favourite, where that is the one."""
        get = headers.get
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
            found = self._find(headers)
            if found == self.favourite:
                found = self.favourite
            if sum(map(len, sent)) <= _LONGEST:
                if len(self.known) >= _REMEMBERED:
                    self.known.clear()
                self.known[key] = found
        return found

    def _find(self, headers: Mapping[str, str]) -> Variant:
        prepared = self._prepared
        steps = prepared.plans[self._method].steps
        request = Request(method=self._method, path="", headers=headers)
        walk = at_start(prepared, request, Context(request, language=prepared.language))
        node = self._start
        while node in NEGOTIATION:
            test, yes, no = steps[node]
            node = yes if test(walk) else no
        return _variant(walk, node if node in HANDLERS else "")


def unasked(prepared: Prepared) -> Variant:
    """The variant that is sent to those who ask for none."""
    nobody: Any = None
    return _variant(at_start(prepared, nobody, Context(nobody, language=prepared.language)), "")


def _variant(walk: Walk, end: str) -> Variant:
    """The variant that a walk stands for now."""
    prepared = walk.prepared
    media = walk.media or 0
    coding = "identity" if walk.encoding is None else prepared.encodings[walk.encoding]
    suffix = questions.variant(walk)
    encode = prepared.resource.media_types[media].encode or unwritten
    fields = [("Content-Type", str(prepared.media_types[media]))]
    if walk.ctx.language is not None:
        fields.append(("Content-Language", walk.ctx.language))
    try:
        ETag(suffix)
        start = written(*fields)
        coded = written(*fields, ("Content-Encoding", coding))
    except ValueError:  # the resource's own mistake: the general way makes it a 500
        start = coded = ""
        encode = unwritten
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
