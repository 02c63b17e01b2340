"""Reads what an HTTP/1.1 server answers (RFC 9112), piece by piece as it comes. It does no I/O.

For whole messages: JSON of known size or in chunks, or up to the end of the connection. What is no
HTTP, or says two things about its length, is `Garbage`.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

MOST: Final = 128 << 20
"""How many bytes of content are taken."""

_HEAD = 32 << 10  # bytes of a head, or of what comes before and after chunks

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n\0]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_SIZED = re.compile(rb"\r\n(?i:content-length):[ \t]*([0-9]{1,15})[ \t]*(?=\r\n|\Z)")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n\0]*)?")

_CHUNKED = -1
_TO_THE_END = -2


class Garbage(ValueError):
    """What came is no HTTP, or more than is taken; the message says which."""


class Head(NamedTuple):
    """What a head says, as far as it is read."""

    status: int
    length: int
    """Bytes of content; below 0, how else it ends."""
    keep: bool
    """Whether the connection stays open."""


def head(raw: bytes) -> Head:
    """Read a head, without the empty line that ends it.

    Raises:
        Garbage: it is none, or says two things about the length of its content (RFC 9112, 6.3).
    """
    # Heads of one server differ in little but this line: all else is parsed once.
    sized = _SIZED.search(raw)
    if sized is None:
        rest = _head(raw)
        return Head(rest.status, rest.length, False) if rest.length == _TO_THE_END else rest
    rest = _head(raw[: sized.start()] + raw[sized.end() :])
    if _is_empty(rest.status):
        return rest
    length = int(sized[1])
    if rest.length not in (_TO_THE_END, length):
        raise Garbage("the length of its content is not clear")
    return Head(rest.status, length, rest.keep)


@lru_cache(256)
def _head(raw: bytes) -> Head:
    first, *lines = raw.split(b"\r\n")
    matched = _STATUS.fullmatch(first)
    if matched is None:
        raise Garbage(f"it does not speak HTTP/1.1: {excerpt(raw)}")
    status, lengths, codings = int(matched[2]), set[bytes](), list[bytes]()
    keep = matched[1] == b"1"
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Garbage(f"a line of its head is none: {excerpt(line)}")
        name, value = field[1].lower(), field[2].lower()
        if name == b"content-length":
            lengths.add(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"connection" and b"close" in re.split(rb"[ \t]*,[ \t]*", value):
            keep = False
    if codings:
        if codings != [b"chunked"] or lengths or matched[1] == b"0":
            raise Garbage("the length of its content is not clear")
        length = _CHUNKED
    elif lengths:
        [said, *others] = lengths
        if others or not _LENGTH.fullmatch(said):
            raise Garbage("the length of its content is not clear")
        length = int(said)
    else:
        length = _TO_THE_END
    return Head(status, 0 if _is_empty(status) else length, keep)


def _is_empty(status: int) -> bool:
    """Whether such an answer has no content, whatever its head says (RFC 9112, 6.3)."""
    return status < 200 or status in {204, 304}


class Chunks:
    """Content in chunks (RFC 9112, 7.1), as it comes. It changes with every piece."""

    def __init__(self, most: int) -> None:
        self.content: Final = bytearray()
        self._most = most
        self._left = 0  # of the chunk that has begun
        self._ended = False  # whether that chunk's line end is to come
        self._last = False

    def take(self, came: bytearray) -> bool:
        """Take what can be read off `came`; whether this is all.

        Raises:
            Garbage: it is not in chunks, or too much.
        """
        while True:
            if self._left:
                piece = came[: self._left]
                self.content.extend(piece)
                self._left -= len(piece)
                del came[: len(piece)]
                if self._left:
                    return False
                self._ended = True
            if self._ended:
                if len(came) < 2:
                    return False
                if not came.startswith(b"\r\n"):
                    raise Garbage("its content is not in chunks, as it says")
                del came[:2]
                self._ended = False
            end = came.find(b"\r\n")
            if end > _HEAD or (end < 0 and len(came) > _HEAD):
                raise Garbage("its content is not in chunks, as it says")
            if end < 0:
                return False
            line = bytes(came[:end])
            del came[: end + 2]
            if self._last:  # what follows the last chunk is passed over
                if not line:
                    return True
                continue
            matched = _CHUNK.fullmatch(line)
            if matched is None:
                raise Garbage("its content is not in chunks, as it says")
            self._left = int(matched[1], 16)
            self._last = not self._left
            if len(self.content) + self._left > self._most:
                raise _too_much(self._most)


class Whole(NamedTuple):
    """An answer that is all there."""

    status: int
    content: bytes | bytearray
    keep: bool
    """Whether the connection can be used again."""


class Reading:
    """One answer, as it comes. It changes with every piece.

    Args:
        most: how many bytes of content are taken.
    """

    __slots__ = ("_came", "_chunks", "_head", "_most", "has_begun")

    def __init__(self, most: int) -> None:
        self._most = most
        self.has_begun = False
        """Whether anything has come."""
        self._came = bytearray()
        self._head: Head | None = None
        self._chunks: Chunks | None = None

    def take(self, data: bytes) -> Whole | None:
        """Take what has come; the answer, where this was the last of it.

        Raises:
            Garbage: it is no HTTP, or too much.
        """
        if not self.has_begun:
            self.has_begun = True
            # Most answers come in one piece. What they are is read off without keeping it.
            end = data.find(b"\r\n\r\n")
            if 0 < end <= _HEAD:
                found = head(data[:end])
                if 0 <= found.length == len(data) - end - 4 and found.status >= 200:
                    if found.length > self._most:
                        raise _too_much(self._most)
                    return Whole(found.status, data[end + 4 :], found.keep)
        self._came += data
        return self._read()

    def end(self) -> Whole | None:
        """What it is where nothing more will come; None where that is no answer.

        Raises:
            Garbage: it does not even begin like one.
        """
        if self._head is not None and self._head.length == _TO_THE_END:
            return Whole(self._head.status, self._came, False)
        if self._came and self._head is None and not self._came.startswith(b"HTTP/"):
            raise Garbage(f"it does not speak HTTP/1.1: {excerpt(bytes(self._came))}")
        return None

    def _read(self) -> Whole | None:
        came = self._came
        while (read := self._head) is None:
            end = came.find(b"\r\n\r\n")
            if end > _HEAD or (end < 0 and len(came) > _HEAD):
                raise Garbage(f"it does not speak HTTP/1.1: {excerpt(bytes(came[:99]))}")
            if end < 0:
                return None
            found = head(bytes(came[:end]))
            del came[: end + 4]
            if found.status == 101:
                raise Garbage("it changes to a protocol that nobody asked for")
            if found.status >= 200:  # others are interim
                self._head = found
        if read.length == _CHUNKED:
            chunks = self._chunks = self._chunks or Chunks(self._most)
            if chunks.take(came):
                return Whole(read.status, chunks.content, read.keep and not came)
        elif max(read.length, len(came) if read.length < 0 else 0) > self._most:
            raise _too_much(self._most)
        elif 0 <= read.length <= len(came):
            keep = read.keep and len(came) == read.length
            del came[read.length :]
            return Whole(read.status, came, keep)
        return None


def _too_much(most: int) -> Garbage:
    return Garbage(f"its content is more than {most} bytes")


def excerpt(raw: bytes) -> str:
    """The beginning of what came, for a message."""
    return repr(raw[:60])[2:-1]
