"""An answer as HTTP/1.1 writes it (RFC 9112): a response's own head, and what the server adds."""

import secrets
from collections.abc import Iterator
from email.utils import formatdate
from http import HTTPStatus
from itertools import chain, count
from time import time
from typing import Final

from ogrom.http import Head, Response

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING: Final = b"HTTP/1.1 102 Processing\r\n\r\n"

_LINES: Final = {
    each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus
}


def _ids(begin: str) -> Iterator[str]:
    """All ids that begin so. The last three digits of each are written beforehand: a quarter of the time."""
    ends = [f"{number:03x}" for number in range(1 << 12)]

    def block(number: int) -> Iterator[str]:
        return map(f"{begin}{number:05x}".__add__, ends)

    return chain.from_iterable(map(block, count()))


class Writer:
    """Writes answers. It changes with every `tick`, which moves the date on.

    Args:
        release: every answer names it (`Ogrom-Release`); "" for none.
    """

    __slots__ = ("_release", "_second", "_tail", "new_id")

    def __init__(self, release: str = "") -> None:
        self.new_id: Final = _ids(secrets.token_hex(4)).__next__
        """An id for a request that brought none: 16 hexadecimal digits, never the same twice."""
        self._release: Final = f"Ogrom-Release: {release}\r\n" if release else ""
        self._second: int = 0
        self._tail = b""
        self.tick()

    def write(self, response: Response, request_id: str, extra: bytes = b"") -> bytes:
        """The answer's bytes.

        Args:
            response: what is answered.
            request_id: goes into `X-Request-Id`.
            extra: further lines of the head, each with its CRLF.

        Raises:
            ValueError: a field of the response cannot be sent.
        """
        line = _LINES.get(response.status) or b"HTTP/1.1 %d \r\n" % response.status
        headers = response.headers
        head = headers.block if isinstance(headers, Head) else response.head
        if b"Last-Modified: " in head:  # which must not be later than Date (RFC 9110, 8.8.2.1)
            self.tick()
        return b"".join(
            (line, head, self._tail, request_id.encode(), b"\r\n", extra, b"\r\n",
             response.content)
        )  # fmt: skip

    def tick(self) -> None:
        """Note what time it is. To be called every second: a clock asked for each answer costs more."""
        second = int(time())
        if second != self._second:
            self._second = second
            date = formatdate(second, usegmt=True)
            self._tail = f"Date: {date}\r\n{self._release}X-Request-Id: ".encode("latin-1")
