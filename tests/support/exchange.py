"""HTTP/1.1 as it is on the wire: nothing is added to a request, nothing of an answer is lost or mended."""

import re
import socket
from dataclasses import dataclass
from io import BufferedReader

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t \x21-\x7e\x80-\xff]*)")
"""RFC 9112, section 4."""
FIELD_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?[ \t]*"
)
"""RFC 9112, section 5, and RFC 9110, section 5.5."""


class Malformed(AssertionError):
    """An answer that is not HTTP/1.1."""


@dataclass(frozen=True)
class Answer:
    """One answer, as it came."""

    status: int
    lines: tuple[tuple[str, str], ...]
    """Every field line, in order; names as they were sent."""
    content: bytes

    def __getitem__(self, name: str) -> str:
        """A field; "" where it was not sent. Several lines are one value, joined by ", "."""
        return ", ".join(value for each, value in self.lines if each.lower() == name.lower())

    def __contains__(self, name: str) -> bool:
        return any(each.lower() == name.lower() for each, _ in self.lines)

    @property
    def names(self) -> set[str]:
        """The fields' names, in lower case."""
        return {name.lower() for name, _ in self.lines}


class Wire:
    """A client of one server on this machine. It keeps its connection, and so changes."""

    def __init__(self, port: int, *, timeout: float = 30) -> None:
        self._port, self._timeout = port, timeout
        self._socket: socket.socket | None = None
        # One for the whole connection: what an answer has too much is read as the next one's head.
        self._heard: BufferedReader | None = None

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None and self._heard is not None:
            self._heard.close()
            self._socket.close()
            self._socket = self._heard = None

    def ask(self, method: str, target: str, content: bytes = b"", **fields: str) -> Answer:
        """One request; in the fields' names, "_" stands for "-"."""
        lines = [f"{method} {target} HTTP/1.1", "Host: wire.test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        if content:
            lines.append(f"Content-Length: {len(content)}")
        sent = "\r\n".join([*lines, "", ""]).encode("latin-1") + content
        return self.send(sent, head=method == "HEAD")

    def send(self, sent: bytes, *, head: bool = False) -> Answer:
        """The answer to these bytes; `head`: it has no content, whatever its fields say."""
        kept = self._socket is not None
        try:
            return self._send(sent, head=head)
        except (ConnectionError, EOFError):  # the server may have hung up between two requests
            self.close()
            if not kept:
                raise
            return self._send(sent, head=head)

    def _send(self, sent: bytes, *, head: bool) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), self._timeout)
            self._heard = self._socket.makefile("rb")
        self._socket.sendall(sent)
        heard = self._heard
        status, lines = self._head(heard)
        answer = Answer(status, lines, b"")
        if head or status < 200 or status in {204, 304}:
            content = b""
        elif answer["transfer-encoding"].lower() == "chunked":
            content = self._chunks(heard)
        elif "content-length" in answer:
            content = self._exactly(heard, int(answer["content-length"]))
        else:
            content = heard.read()
            self.close()
        if "close" in answer["connection"].lower():
            self.close()
        return Answer(status, lines, content)

    def _head(self, heard):
        first = heard.readline()
        if not first:
            raise EOFError
        found = STATUS_LINE.fullmatch(first.removesuffix(b"\r\n"))
        if found is None or not first.endswith(b"\r\n"):
            raise Malformed(f"no status line: {first!r}")
        lines = []
        while (line := heard.readline()) != b"\r\n":
            field = FIELD_LINE.fullmatch(line.removesuffix(b"\r\n"))
            if field is None or not line.endswith(b"\r\n"):
                raise Malformed(f"no field: {line!r}")
            lines.append((field[1].decode(), (field[2] or b"").decode("latin-1")))
        return int(found[1]), tuple(lines)

    def _chunks(self, heard) -> bytes:
        parts = []
        while size := int(heard.readline().split(b";")[0], 16):
            parts.append(self._exactly(heard, size + 2)[:-2])
        heard.readline()
        return b"".join(parts)

    def _exactly(self, heard, size: int) -> bytes:
        content = heard.read(size)
        if len(content) != size:
            raise Malformed(f"{size} bytes were promised, {len(content)} came")
        return content
