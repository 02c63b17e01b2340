"""What comes in, what goes out, and what is known in between. All of it is frozen."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar, cast, get_origin

import msgspec
from msgspec import Struct

from ogrom.http._links import Links
from ogrom.http._outcome import Pieces
from ogrom.http._tree import NO_PARAMS, Params

T = TypeVar("T")

METHODS: Final = (
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
)  # fmt: skip
"""The methods that RFC 9110 section 9 and RFC 5789 define."""

SERVED: Final = METHODS[:7]
"""Those that a resource can have. TRACE would show credentials; CONNECT is for proxies."""


class Request(Struct, frozen=True, kw_only=True):
    """One request, as a server hands it to the engine.

    `path` is raw: percent-encoded, without the query. `headers` has lower-case names; a field that
    came several times is one value, joined by ", " (RFC 9110, section 5.3).

    `content` is the whole content, or a function that reads it when the walk first needs it, so
    that a request may be refused unread. That function raises `ContentTooLarge` past its limit.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    content: bytes | Callable[[], Awaitable[bytes]] = b""
    id: str = ""
    """Names this request in logs and problem details."""


class Head(Struct, frozen=True, gc=False, eq=False):
    """Header fields as HTTP/1.1 writes them: a line each, with its CRLF at the end.

    A server that writes HTTP/1.1 takes `block` as it is; for everybody else this is a sequence of
    (name, value), taken apart when somebody looks.
    """

    block: bytes

    def fields(self) -> tuple[tuple[str, str], ...]:
        """Name and value of each field, in the order in which they are sent."""
        lines = self.block.decode("latin-1").split("\r\n")
        return tuple(
            (name, value) for name, _, value in (line.partition(": ") for line in lines[:-1])
        )

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields())

    def __len__(self) -> int:
        return self.block.count(b"\r\n")

    def __getitem__(self, place: int) -> tuple[str, str]:
        return self.fields()[place]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Head):
            return self.block == other.block
        return self.fields() == other

    def __hash__(self) -> int:
        return hash(self.fields())


Fields = tuple[tuple[str, str], ...] | Head
"""Header fields, in the order in which they are sent: taken apart, or written already."""

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def write_fields(fields: tuple[tuple[str, str], ...]) -> bytes:
    """Header fields as HTTP/1.1 writes them (RFC 9112, section 5): a line each, CRLF at the end.

    Raises:
        ValueError: a name is no token, or a value holds CR, LF, NUL or what Latin-1 has not: sent
            as it is, it would begin another field, or another response.
    """
    lines = [f"{name}: {value}\r\n" for name, value in fields if _is_name(name)]
    text = "".join(lines)
    whole = len(lines) == len(fields) == text.count("\r") == text.count("\n")
    if not whole or "\0" in text:
        raise ValueError(f"These fields cannot be sent: encode their values. {fields!r}")
    return text.encode("latin-1")


class Response(Struct, frozen=True, kw_only=True):
    """One response. A server adds `Date` and what its framing asks for, and nothing else.

    `Content-Length` is there already wherever it is allowed and known, for HEAD as for GET. `route`,
    `error` and `streamed` are for the server's log and are never sent.
    """

    status: int
    headers: Fields = ()
    content: bytes = b""
    route: str = ""
    error: BaseException | None = None
    pieces: Pieces | None = None
    """The content, where it is made while it is sent; for HEAD it is only closed."""
    streamed: int = 0
    """How many bytes of it were sent."""

    @property
    def head(self) -> bytes:
        """The header fields as HTTP/1.1 writes them, without the status line and the empty line.

        Raises:
            ValueError: a field cannot be sent; see `write_fields`.
        """
        headers = self.headers
        return headers.block if isinstance(headers, Head) else write_fields(headers)


class Step(Struct, frozen=True):
    """One step of a walk: a decision and its answer, an action, or the handler at its end."""

    name: str
    answer: bool | None = None
    why: str = ""


class Context(Struct, eq=False):
    """What is known of a request while it is answered; what a resource's functions are given.

    The engine adds to it as the walk goes on: the query is there after `query_valid`, the principal
    after `authorized`, the body after `content_valid`. Nobody else writes to it.
    """

    request: Request
    _params: Params = NO_PARAMS
    _links: Links = msgspec.field(default_factory=Links)
    language: str | None = None
    """The language of the answer, where the resource offers any."""
    _query: object = None
    _body: object = None
    _principal: object = None

    @property
    def method(self) -> str:
        """The request's method."""
        return self.request.method

    def __getitem__(self, name: str) -> Any:
        """The path's parameter `name`, decoded, of the type that the route gives it.

        Raises:
            KeyError: the route has no such parameter; the message lists those that it has.
        """
        try:
            return self._params[name]
        except KeyError:
            known = ", ".join(sorted(self._params)) or "none"
            raise KeyError(f"The path has no parameter {name!r}; it has: {known}.") from None

    def query(self, kind: type[T]) -> T:
        """The decoded query, of the type that the resource names as `query`."""
        value = self._query
        return value if isinstance(value, kind) else _not_there(value, kind, "query")

    def body(self, kind: type[T]) -> T:
        """The decoded content, of the type that the resource names as `body`."""
        value = self._body
        try:
            there = isinstance(value, kind)
        except TypeError:  # such as list[Draft]
            there = isinstance(value, get_origin(kind) or object)
        return cast("T", value) if there else _not_there(value, kind, "body")

    def principal(self, kind: type[T]) -> T:
        """Who asks: what the resource's `authorized` returned."""
        value = self._principal
        return value if isinstance(value, kind) else _not_there(value, kind, "principal")

    def path_for(self, name: str, /, **params: object) -> str:
        """The path of the resource called `name`, looked for in the innermost mount first.

        Parameters of the mounts that both share are taken from the present path.

        Raises:
            LinkError: no resource has that name, or several have and none is nearer; a parameter
                is missing, unknown or of the wrong type.
        """
        before, only, after, write = self._links[name]
        value: Any = params.get(only)
        if value.__class__ is str and value.isascii() and value.isalnum() and len(params) == 1:
            return f"{before}{value}{after}"
        return write(params, self._params)

    def linker(self, name: str, parameter: str, /) -> Callable[[object], str]:
        """Writes the paths of many resources that differ in one parameter, given its value.

            url = ctx.linker("product", "product_id")
            return [{"name": each.name, "url": url(each.id)} for each in found]

        It is `path_for` at a part of its cost, and raises what that does.
        """
        before, only, after, write = self._links[name]
        present = self._params

        def link(value: Any) -> str:
            if value.__class__ is str and value.isascii() and value.isalnum() and only == parameter:
                return f"{before}{value}{after}"
            return write({parameter: value}, present)

        return link


def _not_there(value: object, kind: type[T], what: str) -> T:
    have = "nothing" if value is None else type(value).__name__
    raise TypeError(
        f"ctx.{what}({kind.__name__}): this request has {have} there. Name the type as the "
        f"resource's `{what}` and ask for it after the walk has come by."
    )
