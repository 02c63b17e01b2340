"""Requests on their way to be one, and how they are changed so that a question is answered otherwise."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from ogrom.http import _questions as questions
from ogrom.http._conditional import format_http_date
from ogrom.http._example import example
from ogrom.http._walk import Prepared, Walk

NOT_OFFERED: Final = "application/x-not-offered"
NO_SUCH_TAG: Final = '"no-such-tag"'
LONG_AGO: Final = "Thu, 01 Jan 1970 00:00:00 GMT"
NO_DATE: Final = "not a date"
_LONGEST: Final = 4 << 20
"""No longer content, in bytes, is made up."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A request on its way to be one."""

    query: str
    headers: Mapping[str, str]
    content: bytes

    def sent(self, name: str, value: str | None) -> "Draft":
        headers = {key: each for key, each in self.headers.items() if key != name}
        return replace(self, headers=headers if value is None else {**headers, name: value})


class Changes:
    """How the drafts of one method's requests for a resource are changed.

    Args:
        prepared: the resource.
        method: of the requests.
        queries: that were seen.
        date: when the entity last changed, where that was seen.
    """

    def __init__(
        self, prepared: Prepared, method: str, queries: tuple[str, ...], date: datetime | None
    ) -> None:
        self._real: Final = prepared
        self._method: Final = method
        self._queries: Final = queries
        self._date: Final = date

    def changed(
        self, node: str, draft: Draft, walk: Walk, *, answer: bool
    ) -> Iterator[tuple[int, Draft]]:
        """Drafts that may bring about the other answer, and what each costs."""
        for each in self._drafts(node, draft, walk, answer=answer):
            yield 2 if "*" in {each.headers.get(name) for name in _TAGS} else 1, each

    def _drafts(self, node: str, draft: Draft, walk: Walk, *, answer: bool) -> Iterator[Draft]:
        if (presence := _PRESENCE.get(node)) is not None:
            values = self._values(presence, walk) if answer else (None,)
            yield from (draft.sent(presence, value) for value in values)
        elif (of := _VALUE_OF.get(node)) is not None:
            yield from (draft.sent(of, value) for value in self._values(of, walk))
        elif node == "precondition_exists":
            if answer:
                yield from (
                    draft.sent("if-match", value) for value in self._values("if-match", walk)
                )
            else:
                yield (
                    draft.sent("if-match", None)
                    .sent("if-none-match", None)
                    .sent("if-unmodified-since", None)
                )
        elif node == "is_preflight":
            origins = self._real.cors.origins if self._real.cors else ()
            origin = next((each for each in origins if each != "*"), "https://elsewhere.example")
            yield draft.sent("origin", origin if answer else None).sent(
                "access-control-request-method", "GET" if answer else None
            )
        elif node == "query_valid":
            yield from (replace(draft, query=query) for query in self._new_queries())
        elif node == "content_headers_valid":
            yield draft.sent("content-range", None if answer else "bytes 0-0/1")
        elif node in questions.OF_CONTENT:
            yield from self._contents(draft)

    def _values(self, field: str, walk: Walk) -> tuple[str, ...]:
        if field in _NEGOTIATED:
            return _NEGOTIATED[field]
        if field.endswith("-since"):
            dates = () if self._date is None else (format_http_date(self._date),)
            return (*dates, LONG_AGO, NO_DATE)
        tag = _sendable(walk)
        return (*(() if tag is None else (tag,)), "*", NO_SUCH_TAG)

    def _new_queries(self) -> Iterator[str]:
        yield from self._queries
        yield ""
        kind: Any = self._real.resource.query
        for name in getattr(kind, "__struct_encode_fields__", ()):
            yield f"{name}=1&{name}=2"
            yield f"{name}=-1"
            yield f"{name}=x"
        yield "no-such-parameter=1"

    def _contents(self, draft: Draft) -> Iterator[Draft]:
        reader = self._real.readers.get(self._method)
        kind = self._real.resource.body_of(self._method)
        if reader is None:
            return
        plain = draft.sent("content-encoding", None)
        typed = plain.sent("content-type", str(reader.media[0].type))
        made = example(kind)
        if made is not None:
            yield replace(typed, content=made)
        for content in (b"{}", b"[]", b"null", b"0", b'{"no-such-field":1}', b"{"):
            yield replace(typed, content=content)
        yield replace(plain.sent("content-type", NOT_OFFERED), content=draft.content or b"x")
        limit = self._real.resource.max_content
        if limit < _LONGEST:
            yield replace(typed, content=b" " * (limit + 1))
            packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
            packed = packer.compress(b" " * (limit + 1)) + packer.flush()
            yield replace(typed.sent("content-encoding", "gzip"), content=packed)


def _sendable(walk: Walk) -> str | None:
    """The tag of the variant that would be sent; None where none is known."""
    try:
        tag = questions.variant_tag(walk)
    except ValueError:  # the resource's own mistake: its answers are 500
        return None
    return None if tag is None else str(tag)


_TAGS: Final = ("if-match", "if-none-match")
_PRESENCE: Final = {
    "accept_exists": "accept",
    "accept_language_exists": "accept-language",
    "accept_charset_exists": "accept-charset",
    "accept_encoding_exists": "accept-encoding",
    "if_match_exists": "if-match",
    "if_match_exists_for_missing": "if-match",
    "if_none_match_exists": "if-none-match",
    "if_unmodified_since_exists": "if-unmodified-since",
    "if_modified_since_exists": "if-modified-since",
}
_VALUE_OF: Final = {
    "media_type_available": "accept",
    "language_available": "accept-language",
    "charset_available": "accept-charset",
    "encoding_available": "accept-encoding",
    "if_match_star": "if-match",
    "etag_matches_for_if_match": "if-match",
    "if_none_match_star": "if-none-match",
    "etag_matches_for_if_none_match": "if-none-match",
    "if_unmodified_since_valid_date": "if-unmodified-since",
    "unmodified_since": "if-unmodified-since",
    "if_modified_since_valid_date": "if-modified-since",
    "modified_since": "if-modified-since",
}
_NEGOTIATED: Final = {
    "accept": ("*/*", NOT_OFFERED),
    "accept-language": ("*", "*;q=0"),
    "accept-charset": ("*", "*;q=0"),
    "accept-encoding": ("identity", "identity;q=0, *;q=0"),
}
