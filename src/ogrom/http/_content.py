"""Queries and contents become the types that a resource names, or errors that name the field."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import inspect

from ogrom.http._errors import FieldError
from ogrom.http._wrong import Wrong, wrong

MAX_QUERY_FIELDS: Final = 256
"""How many parameters a query may have."""

_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class QueryError(ValueError):
    """A query that is not what the resource asks for; `errors` says where."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.pointer}: {error.detail}" for error in errors))
        self.errors = tuple(errors)


def query_decoder(kind: type[Any]) -> Callable[[str], Any]:
    """A function that reads a raw query into `kind`, a `msgspec.Struct`.

    A field that holds several values (a tuple, list, set) collects every occurrence of its name;
    any other may occur once. The function raises `QueryError`.
    """
    info = inspect.type_info(kind)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"query={kind!r}: name a msgspec.Struct whose fields are the parameters.")
    many = {field.encode_name for field in info.fields if _holds_many(field.type)}
    known = [field.encode_name for field in info.fields]

    def decode(raw: str) -> Any:
        found: dict[str, Any] = {}
        for name, value in _pairs(raw):
            if name in many:
                found.setdefault(name, []).append(value)
            elif name in found:
                raise QueryError([FieldError(f"?{name}", "It may be given once, not twice.")])
            else:
                found[name] = value
        try:
            return msgspec.convert(found, kind, strict=False)
        except msgspec.ValidationError as error:
            told = wrong(found, kind, strict=False) or [Wrong(str(error))]
            raise QueryError([_query_error(each, known) for each in told]) from None

    return decode


def _holds_many(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(_holds_many(each) for each in kind.types)
    return isinstance(
        kind,
        inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType,
    )


def _pairs(raw: str) -> list[tuple[str, str]]:
    """The parameters of a query, decoded as HTML's forms are: "+" is a space, UTF-8 throughout."""
    fields = [field for field in raw.split("&", MAX_QUERY_FIELDS) if field]
    if len(fields) > MAX_QUERY_FIELDS:
        raise QueryError([FieldError("?", f"At most {MAX_QUERY_FIELDS} parameters are read.")])
    pairs: list[tuple[str, str]] = []
    for field in fields:
        name, _, value = field.partition("=")
        pairs.append((_text(name, name), _text(value, name)))
    return pairs


def _text(raw: str, name: str) -> str:
    if "%" not in raw and "+" not in raw and raw.isascii():
        return raw
    shown = f"?{name[:100]}"
    if _BAD_ESCAPE.search(raw):
        raise QueryError([FieldError(shown, "A % must be followed by two hexadecimal digits.")])
    try:
        return unquote_to_bytes(raw.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise QueryError([FieldError(shown, "It is not UTF-8 when percent-decoded.")]) from None


def _query_error(told: Wrong, known: Sequence[str]) -> FieldError:
    what, steps = _split(told)
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        return FieldError(
            f"?{unknown[1]}", f"There is no such parameter; there are: {', '.join(known)}."
        )
    if missing := re.fullmatch(r"Object missing required field `(.*)`", what, re.DOTALL):
        return FieldError(f"?{missing[1]}", "It must be given.")
    return FieldError(f"?{steps[0]}" if steps else "?", f"{what}.")


def field_error(told: Wrong) -> FieldError:
    """What is wrong with a content, as a JSON pointer and a sentence."""
    what, steps = _split(told)
    if named := re.fullmatch(r"(Object (?:missing required|contains unknown) field) `(.*)`", what):
        steps.append(named[2])
        what = "It must be given" if "missing" in named[1] else "There is no such field"
    escaped = (step.replace("~", "~0").replace("/", "~1") for step in steps)
    return FieldError("#" + "".join(f"/{step}" for step in escaped), f"{what}.")


def _split(told: Wrong) -> tuple[str, list[str]]:
    """Msgspec's words, and its path (`$.a[0]`) as steps. A key of a mapping is `[...]` there."""
    found = _WHERE.match(told.message)
    assert found is not None
    path = (found["path"] or "").removeprefix("key in ").removeprefix("$")
    return found["what"].rstrip("."), [
        *told.steps,
        *(
            step.removeprefix(".").strip("[]") or "-"
            for step in re.findall(r"\.[^.\[]+|\[[^\]]*\]", path)
        ),
    ]


class Undecodable(ValueError):
    """Content that its own Content-Encoding does not fit."""


def decompress(content: bytes, coding: str, limit: int) -> bytes | None:
    """What `content` was before it was encoded; None where that is longer than `limit` bytes.

    Args:
        content: as it was sent.
        coding: its Content-Encoding: "gzip", "x-gzip" or "deflate".
        limit: in bytes. No more than that is ever unpacked, however much there is.

    Raises:
        Undecodable: the content is damaged, cut off or something else.
    """
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | (0 if coding == "deflate" else 16))
    try:
        plain = unpack.decompress(content, limit + 1)
    except zlib.error as error:
        raise Undecodable(f"The content is not {coding}: {error}.") from None
    if len(plain) > limit:
        return None
    if not unpack.eof:
        raise Undecodable(f"The content is cut off: its {coding} has no end.")
    return plain


REQUEST_CODINGS: Final[Mapping[str, str]] = {
    "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate",
}  # fmt: skip
"""The content codings that are understood in requests (RFC 9110, section 8.4.1)."""
