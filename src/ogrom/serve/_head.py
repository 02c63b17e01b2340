"""The head of a request, from bytes to values: RFC 9112 to the letter, because what two servers read
differently is how requests are smuggled. Pure: it knows no socket.

A head is taken apart whole, in a few passes that run in C, which costs no more than the callbacks of
a parser in C and knows every method. Nothing is mended: a bare CR or LF, a fold, a space before a
colon, a NUL is refused.
"""

import re
from typing import Final, TypeVar

from msgspec import Struct

from ogrom.serve._refusal import REQUEST_ID

T = TypeVar("T")

END: Final = b"\r\n\r\n"


class BadHead(Exception):
    """A head that is refused; the connection is closed after the answer.

    Args:
        status: what the answer is.
        detail: what is wrong with it.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Head(Struct, frozen=True, gc=False):
    """What a head says."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    length: int
    """Of the content, in bytes; -1 where it comes in chunks."""
    keep_alive: bool
    expects: bool
    """Whether the client waits for "100 Continue" before it sends the content."""
    id: str
    """The client's own id for its request; "" where it names none that can be taken."""
    version: int
    """1 for HTTP/1.1, 0 for HTTP/1.0."""


def take(buffer: bytearray, looked: int, limit: int) -> bytes | None:
    """Take the next head out of what has come; None where it is not whole.

    Args:
        buffer: what has come. Empty lines before a request go (RFC 9112, section 2.2).
        looked: how many bytes of it were there when it was not whole the last time.
        limit: how long a head may be, in bytes.

    Raises:
        BadHead: it will not become one.
    """
    while buffer.startswith(b"\r\n"):
        del buffer[:2]
    end = buffer.find(END, max(0, looked - 3))
    if 0 <= end <= limit:
        head = bytes(buffer[:end])
        del buffer[: end + 4]
        return head
    line = buffer.find(b"\n")
    if line == 0 or (line > 0 and buffer[line - 1] != 0x0D):
        raise BadHead(400, "A line does not end with CRLF (RFC 9112, section 2.2).")
    if len(buffer) > limit:
        if not 0 <= line <= limit:
            raise BadHead(414, "The URI is too long.")
        raise BadHead(431, f"More than {limit} bytes of header fields.")
    return None


def parse(head: bytes, *, max_target: int) -> Head:
    """A request's head.

    Args:
        head: from the first byte of the request line to the last byte before the empty line, that
            line's CRLF and the one before it left out.
        max_target: the longest target that is taken, in bytes.

    Raises:
        BadHead: it is refused.
    """
    line, _, block = head.partition(b"\r\n")
    said = _LINES.get(line)
    if said is None or len(line) > max_target:
        said = _remembered(_LINES, line, _request_line(line.decode("latin-1"), max_target))
    method, target, version, path, query = said
    if version:
        known = _BLOCKS.get(block) or _remembered(_BLOCKS, block, _fields(block, version))
    else:
        known = _fields(block, version)
    headers, length, keep_alive, expects, given = known
    headers = headers.copy()  # whatever is done to them
    if not path:
        path, _, query = _origin_form(method, target, headers).partition("?")
    return Head(method, path, query, headers, length, keep_alive, expects, given, version)


Fields = tuple[dict[str, str], int, bool, bool, str]
"""The headers, and what of a `Head` follows from them alone."""

# What was found right before need not be looked at again: clients ask for the same things, and send the
# same fields with each request. All of these grow up to a limit, and then begin anew.
_LINES: Final[dict[bytes, tuple[str, str, int, str, str]]] = {}
_BLOCKS: Final[dict[bytes, Fields]] = {}
_NAMES: Final[dict[str, str]] = {}
_HOSTS: Final[set[str]] = set()
_REMEMBERED: Final = 1_000
"""How many of each; of what is longer than `_LONGEST`, none: a megabyte at most."""
_LONGEST: Final = 1_000


def _remembered(known: dict[bytes, T], key: bytes, value: T) -> T:
    if len(key) <= _LONGEST:
        if len(known) >= _REMEMBERED:
            known.clear()
        known[key] = value
    return value


def _fields(block: bytes, version: int) -> Fields:
    """What the lines after the request line say."""
    lines = block.decode("latin-1").split("\r\n") if block else []
    if len(block.translate(None, _PLAIN)) != 2 * max(0, len(lines) - 1):  # of CR and LF, if plain
        raise BadHead(400, "A bare CR or LF, or a control character (RFC 9112, section 2.2).")
    headers: dict[str, str] = {}
    hosts = 0
    for line in lines:
        raw, colon, value = line.partition(":")
        name = _NAMES.get(raw) or _name(raw, colon)
        value = value.strip(" \t")
        if name in headers:
            hosts += name == "host"
            joint = "; " if name == "cookie" else ", "
            value = f"{headers[name]}{joint}{value}"
        headers[name] = value
    host = headers.get("host")
    if hosts or (host is None and version):
        raise BadHead(400, "There must be one Host (RFC 9112, section 3.2).")
    if host is not None and host not in _HOSTS:
        _check_host(host)
    length = 0
    if "transfer-encoding" in headers or "content-length" in headers:
        length = _length(headers, version)
    connection = headers.get("connection")
    given = headers.get("x-request-id", "")
    return (
        headers,
        length,
        bool(version) if connection is None else _keep_alive(connection, version),
        "expect" in headers and version == 1 and _expects(headers["expect"]),
        given if REQUEST_ID.fullmatch(given) else "",
    )


_PLAIN: Final = bytes({*range(0x20, 0x7F), *range(0x80, 0x100), *b"\t"})
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*(?::[0-9]*)?"
    r"|\[[0-9A-Fa-fv:.\-_~!$&'()*+,;=]+\](?::[0-9]*)?"
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _check_host(host: str) -> None:
    if _HOST.fullmatch(host) is None:
        raise BadHead(400, "Host names no host (RFC 9112, section 3.2).")
    if len(_HOSTS) < _REMEMBERED and len(host) < 256:
        _HOSTS.add(host)


def _name(raw: str, colon: str) -> str:
    if not colon or _TOKEN.fullmatch(raw) is None:
        raise BadHead(400, "A line of the head is no field (RFC 9112, section 5).")
    name = raw.lower()
    if len(_NAMES) < _REMEMBERED and len(raw) < 64:
        _NAMES[raw] = name
    return name


def _request_line(line: str, max_target: int) -> tuple[str, str, int, str, str]:
    """Method, target, and 1 for HTTP/1.1 or 0 for HTTP/1.0; path and query of a target that is both."""
    try:
        method, target, protocol = line.split(" ")
    except ValueError:
        raise BadHead(
            400, "The request line is no method, target and version, each one space apart."
        ) from None
    if len(target) > max_target:
        raise BadHead(414, "The URI is too long.")
    if method not in _METHODS and _TOKEN.fullmatch(method) is None:
        raise BadHead(400, "The method is no token (RFC 9110, section 9.1).")
    if not (target and target.isascii() and target.isprintable()) or "#" in target:
        raise BadHead(400, "The target holds what no URI has: percent-encode it.")
    version = _version(protocol)
    path, _, query = target.partition("?") if target[0] == "/" else ("", "", "")
    return method, target, version, path, query


def _version(protocol: str) -> int:
    if protocol == "HTTP/1.1":
        return 1
    if protocol == "HTTP/1.0":
        return 0
    if _VERSION.fullmatch(protocol) is None:
        raise BadHead(400, "The request line names no version of HTTP.")
    if not protocol.startswith("HTTP/1."):
        raise BadHead(505, "HTTP/1.1 is spoken here.")
    return 1


_VERSION: Final = re.compile(r"HTTP/[0-9]\.[0-9]")


def _origin_form(method: str, target: str, headers: dict[str, str]) -> str:
    """The other forms of a target (RFC 9112, section 3.2): absolute and asterisk.

    An absolute target's authority takes the place of `Host`.
    """
    if target == "*":
        if method != "OPTIONS":
            raise BadHead(400, "Only OPTIONS can be asked of the server as a whole.")
        return target
    if method == "CONNECT":
        raise BadHead(501, "CONNECT is for proxies.")
    if (parts := _ABSOLUTE.fullmatch(target)) is None:
        raise BadHead(400, "The target is neither a path nor a URL (RFC 9112, section 3.2).")
    authority, rest = parts.groups()
    headers["host"] = authority
    if not rest and method == "OPTIONS":
        return "*"
    return rest if rest.startswith("/") else f"/{rest}"


_ABSOLUTE: Final = re.compile(
    rf"[Hh][Tt][Tt][Pp][Ss]?://((?=[^/?])(?:{_HOST.pattern}))((?:[/?].*)?)"
)


def _length(headers: dict[str, str], version: int) -> int:
    """How long the content is; -1 for chunks (RFC 9112, section 6.3)."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is None:
        assert length is not None
        if not (length.isascii() and length.isdecimal()) or len(length) > 18:
            raise BadHead(400, "Content-Length is no number (RFC 9112, section 6.3).")
        return int(length)
    if length is not None:
        raise BadHead(400, "Content-Length with Transfer-Encoding (RFC 9112, section 6.3).")
    if version == 0:
        raise BadHead(400, "HTTP/1.0 knows no Transfer-Encoding (RFC 9112, section 6.1).")
    codings = [each.strip(" \t").lower() for each in coding.split(",")]
    if codings[-1] != "chunked" or codings.count("chunked") > 1:
        raise BadHead(400, "The last transfer coding must be chunked (RFC 9112, section 6.3).")
    if len(codings) > 1:
        raise BadHead(501, "Only chunked is known here as a transfer coding.")
    return -1


def _keep_alive(connection: str, version: int) -> bool:
    options = {each.strip(" \t").lower() for each in connection.split(",")}
    return "close" not in options and (version == 1 or "keep-alive" in options)


def _expects(expectation: str) -> bool:
    if expectation.lower() != "100-continue":
        raise BadHead(417, "Only 100-continue can be expected (RFC 9110, section 10.1.1).")
    return True
