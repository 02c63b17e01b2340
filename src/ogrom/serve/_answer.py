"""An answer as HTTP/1.1 writes it (RFC 9112): a response's own head, and what the server adds."""

import secrets
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from ogrom.http import Response

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING: Final = b"HTTP/1.1 102 Processing\r\n\r\n"

_LINES: Final = {
    each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus
}


class Writer:
    """Writes answers. It changes once a second, with the date.

    Args:
        release: every answer names it (`Ogrom-Release`); "" for none.
    """

    __slots__ = ("_count", "_prefix", "_release", "_second", "_tail")

    def __init__(self, release: str = "") -> None:
        self._prefix: Final = secrets.token_hex(4)
        self._count = 0
        self._release: Final = f"Ogrom-Release: {release}\r\n" if release else ""
        self._second = 0
        self._tail = b""

    def new_id(self) -> str:
        """An id for a request that brought none: 16 digits, never the same twice."""
        self._count += 1
        return f"{self._prefix}{self._count:08x}"

    def write(self, response: Response, request_id: str, connection: bytes = b"") -> bytes:
        """The answer's bytes.

        Args:
            response: what is answered.
            request_id: goes into `X-Request-Id`.
            connection: the line of the field `Connection`, with its CRLF; b"" for none.

        Raises:
            ValueError: a field of the response cannot be sent.
        """
        second = int(time.time())
        if second != self._second:
            self._second = second
            date = formatdate(second, usegmt=True)
            self._tail = f"Date: {date}\r\n{self._release}X-Request-Id: ".encode("latin-1")
        line = _LINES.get(response.status) or b"HTTP/1.1 %d \r\n" % response.status
        return b"%b%b%b%b\r\n%b\r\n%b" % (
            line, response.head, self._tail, request_id.encode(), connection, response.content,
        )  # fmt: skip
