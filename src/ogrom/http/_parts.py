"""Parts of heads, as text: a line for each field, written once where that can be."""

import re
from functools import lru_cache
from typing import Any, Final

from ogrom.http._conditional import ETag
from ogrom.http._cors import Cors
from ogrom.http._message import Request, write_fields
from ogrom.http._outcome import Answer, Created, Stream
from ogrom.http._problem import Problem

_REMEMBERED: Final = 256

_REVISION: Final = re.compile(r"[!#-~]+")
_ONE_STRONG: Final = re.compile(r'"[!#-~\x80-\xff]*"')


def written(*fields: tuple[str, str]) -> str:
    """The lines of some fields; ValueError where they cannot be sent."""
    return write_fields(fields).decode("latin-1")


def quoted(tag: ETag | str | None, suffix: str) -> str | None:
    """A variant's tag as it is sent; ValueError where the revision cannot be in one."""
    if tag is None:
        return None
    if isinstance(tag, str) and _REVISION.fullmatch(tag):  # by far the most (RFC 9110, 8.8.3)
        return f'"{tag + suffix}"'
    return str(ETag(tag + suffix) if isinstance(tag, str) else tag)


def tag_line(tag: ETag | str | None, suffix: str) -> str:
    """The line of a variant's tag; "" where it has none."""
    text = quoted(tag, suffix)
    return "" if text is None else f"ETag: {text}\r\n"


def names(sent: str, tag: str | None) -> bool | None:
    """Whether `If-None-Match` names a tag, weakly; None where that must be looked at more closely.

    Args:
        sent: the field.
        tag: as `quoted` writes it.
    """
    if tag is not None and tag.startswith("W/"):
        return None
    sent = sent.removeprefix("W/")
    return sent == tag if _ONE_STRONG.fullmatch(sent) else None


class CrossOrigin:
    """The fields for pages of certain other origins, each origin's written once."""

    def __init__(self, cors: Cors) -> None:
        self._lines: dict[str, str] = {
            origin: written(
                *cors.fields(Request(method="GET", path="/", headers={"origin": origin}))
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
        if value is None or isinstance(value, Answer | Problem | Stream):
            return False
        if hasattr(kind, "__await__"):
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
        return written(*fields)
    except ValueError:
        return None


def created_lines(outcome: Created) -> str | None:
    """`Location` and `ETag` of what was made; None where they had better be looked at."""
    at, tag = outcome.at, outcome.etag
    text = f"{at}{tag}"
    if not (text.isascii() and text.isprintable()):
        return None
    location = f"Location: {at}\r\n" if at is not None else ""
    return location if tag is None else f'{location}ETag: "{tag}"\r\n'
