"""Content that comes in chunks, put together again (RFC 9112, section 7.1). Pure."""

import re
from typing import Final

from ogrom.serve._head import BadHead

_LINE_AT_MOST: Final = 256
_TRAILER_AT_MOST: Final = 8 << 10

_WAITING_AT_MOST: Final = {"end": 1, "size": _LINE_AT_MOST + 1, "trailer": _TRAILER_AT_MOST + 1}
"""How much of a line may be there before its end is: by what it is the line of."""


class Chunks:
    """Takes bytes as they come, and gives the content's. It changes with every `feed`.

    `done` when the last chunk and its trailer have come. Extensions and trailers are read and
    dropped, as a recipient may that knows none.
    """

    __slots__ = ("_buffer", "_left", "_state", "_trailer", "done")

    def __init__(self) -> None:
        self.done = False
        self._buffer = bytearray()
        self._state = "size"
        self._left = 0
        self._trailer = 0

    def feed(self, data: bytes | bytearray) -> tuple[bytes, bytes]:
        """Content, and what is left over behind the end of it.

        Raises:
            BadHead: this is no chunked content.
        """
        buffer = self._buffer
        buffer += data
        content: list[bytes] = []
        at = 0
        while not self.done:
            if self._state == "data":
                part = bytes(buffer[at : at + self._left])
                if not part:
                    break
                content.append(part)
                at += len(part)
                self._left -= len(part)
                if not self._left:
                    self._state = "end"
                continue
            if (end := buffer.find(b"\n", at)) < 0:
                self._check_unfinished(buffer, at)
                break
            self._line(bytes(buffer[at : end + 1]))
            at = end + 1
        rest = bytes(buffer[at:])
        self._buffer = bytearray() if self.done else bytearray(rest)
        return b"".join(content), rest if self.done else b""

    def _line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise BadHead(400, "A chunk's line does not end with CRLF (RFC 9112, section 7.1).")
        line = line[:-2]
        if self._state == "end":
            if line:
                raise BadHead(400, "A chunk is longer than it says (RFC 9112, section 7.1).")
            self._state = "size"
        elif self._state == "size":
            if len(line) > _LINE_AT_MOST or (match := _SIZE.fullmatch(line)) is None:
                raise BadHead(400, "A chunk says no size (RFC 9112, section 7.1).")
            self._left = int(match[1], 16)
            self._state = "data" if self._left else "trailer"
        elif not line:
            self.done = True
        else:
            self._trailer += len(line)
            if self._trailer > _TRAILER_AT_MOST:
                raise BadHead(431, "The trailer is too long.")
            if _FIELD.fullmatch(line) is None:
                raise BadHead(400, "A line of the trailer is no field (RFC 9112, section 5).")

    def _check_unfinished(self, buffer: bytearray, at: int) -> None:
        """A line that cannot become right is refused before it ends."""
        waiting = len(buffer) - at
        most = _WAITING_AT_MOST[self._state]
        if self._state == "trailer" and waiting > most:
            raise BadHead(431, "The trailer is too long.")
        if waiting > most or (self._state == "end" and waiting and buffer[at] != 0x0D):
            raise BadHead(400, "A chunk's line has no end (RFC 9112, section 7.1).")


_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t \x21-\x7e\x80-\xff]*)?")
_FIELD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t \x21-\x7e\x80-\xff]*")
