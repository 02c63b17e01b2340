"""HTTP: somebody else's API, asked for values of named types.

    async with connect("https://identity.example/api", token=Secret("…"), timeout=2) as client:
        user = await client.get("/users/anna", User)          # None where it is not there (404)
        found = await client.post("/introspect", Token, form={"token": "…"})

Content is JSON, decoded by msgspec into the type; what does not fit it is a `BadAnswer`. A call takes
`timeout` seconds at most and never outlives the request's deadline. Nothing is tried twice here:
see `resilience`. Redirects are refused, cookies are forgotten, proxies of the environment ignored.

**What goes wrong**, by who must act (the whole tree is `resilience`'s):

| what came | error | who must act |
| --- | --- | --- |
| no connection, 5xx | `Unavailable` | whoever runs the other side, or the network |
| 401, 403, 407 | `Unavailable` | whoever runs this service: the credentials are wrong |
| 429, 503 | `Busy`, with `retry_after` where it was sent | nobody: later it works |
| nothing in time | `TimedOut` | nobody, or whoever runs the other side |
| garbage, too much, another type, a redirect | `BadAnswer` | whoever runs the other side |
| another 4xx | `Misuse` | the programmer |
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from ogrom import deadline, tracing
from ogrom.sources._errors import BadAnswer, Busy, Misuse, SourceError, TimedOut, Unavailable
from ogrom.sources._secret import Address, Secret, address

__all__ = [
    "Address",
    "BadAnswer",
    "Busy",
    "Client",
    "Misuse",
    "Secret",
    "SourceError",
    "TimedOut",
    "Unavailable",
    "address",
    "connect",
]

if TYPE_CHECKING:  # 9 MB, which a service on embedded sources does without
    import aiohttp

T = TypeVar("T")

_EXCERPT: Final = 60
_FORM: Final = "application/x-www-form-urlencoded"


@asynccontextmanager
async def connect(
    base: str,
    *,
    name: str = "",
    token: Secret | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 5.0,  # noqa: ASYNC109 - for each call, not for this function
    connections: int = 64,
    most: int = 1 << 20,
) -> AsyncGenerator["Client"]:
    """A client of the API at `base`; its connections are kept until the block is left.

    Args:
        base: what every path is put behind. A secret in it (`https://user:secret@host/api`) is the
            token, and is not shown.
        name: the source, in messages; its host where this is left out.
        token: sent as `Authorization: Bearer …` (RFC 6750).
        headers: sent with every call.
        timeout: how many seconds a call may take, from the connection to the content's last byte.
        connections: how many there may be at once; further calls wait for one, within their time.
        most: how many bytes of content are taken, unpacked.

    Raises:
        ValueError: `base` is no URL of an API; the message shows no secret.
    """
    import aiohttp

    try:
        place = address(base)
    except ValueError as error:
        what = f"The address of {name}" if name else "The API's address"
        raise ValueError(f"{what}: {error}. Write https://user:secret@host/api.") from None
    secret = token or place.secret
    sent = {"Accept": "application/json", **(headers or {})}
    if secret:
        sent["Authorization"] = f"Bearer {secret.reveal()}"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=30),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=sent,
        trust_env=False,
    ) as session:
        yield Client(session, place.url, name or urlsplit(place.url).hostname or "", timeout, most)


class Client:
    """What `connect` gives. Any number of tasks may use it at once."""

    def __init__(
        self, session: "aiohttp.ClientSession", base: str, name: str, timeout: float, most: int
    ) -> None:
        self.base: Final = base
        self.name: Final = name
        self._session = session
        self._timeout = timeout
        self._most = most
        parts = urlsplit(base)
        self._place: dict[str, str | int] = {
            "server.address": parts.hostname or "",
            "server.port": parts.port or {"http": 80, "https": 443}[parts.scheme],
        }

    def __repr__(self) -> str:
        return f"Client({self.base!r})"

    async def get(
        self, path: str, into: type[T], *, query: Mapping[str, str | int] | None = None
    ) -> T | None:
        """What is at the path, or None where nothing is (404, 410).

        Args:
            path: below `base`, percent-encoded, and shown in messages: no secret belongs there.
            into: the type of the content.
            query: the parameters; not shown.

        Raises:
            SourceError: one of those in the table above.
        """
        return await self._ask("GET", path, into, query=query, absent=(404, 410))

    async def post(
        self,
        path: str,
        into: type[T],
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
    ) -> T:
        """What the API answers to this content.

        Args:
            path: below `base`.
            into: the type of the answer's content.
            json: the content, as JSON.
            form: the content, as a form, in place of `json`.

        Raises:
            SourceError: one of those in the table above.
        """
        kind = _FORM if form is not None else "application/json"
        content = urlencode(form).encode() if form is not None else msgspec.json.encode(json)
        answer = await self._ask("POST", path, into, content=content, kind=kind)
        assert answer is not None  # there is no status that means it
        return answer

    async def _ask(
        self,
        method: str,
        path: str,
        into: type[T],
        *,
        query: Mapping[str, str | int] | None = None,
        content: bytes | None = None,
        kind: str = "",
        absent: tuple[int, ...] = (),
    ) -> T | None:
        import aiohttp
        from yarl import URL

        seconds = deadline.left(self._timeout) or 0.0
        what = f"{method} {self.base}{path}"
        where = URL(
            f"{self.base}{path}?{urlencode(query)}" if query else self.base + path, encoded=True
        )
        noted: dict[str, str | int] = {
            "http.request.method": method,
            "url.full": self.base + path,
            **self._place,
        }
        with tracing.span(method, noted) as span:
            fields = span.fields()
            if kind:
                fields["Content-Type"] = kind
            try:
                async with (
                    asyncio.timeout(seconds),
                    self._session.request(
                        method,
                        where,
                        data=content,
                        headers=fields,
                        allow_redirects=False,
                    ) as answer,
                ):
                    span.note("http.response.status_code", answer.status)
                    if answer.status in absent:
                        return None
                    if answer.status // 100 != 2:
                        span.note("error.type", str(answer.status))
                        self._refuse(what, answer.status, answer.headers)
                    return self._decode(what, into, answer, await self._read(what, answer))
            except TimeoutError:
                raise TimedOut(
                    f"{self.name} did not answer within {seconds:.3g} s: {what}.",
                    early=seconds < self._timeout,
                ) from None
            except aiohttp.ClientPayloadError as error:
                raise BadAnswer(f"{self.name} broke off its answer to {what}: {error}.") from None
            except aiohttp.ClientResponseError as error:  # what came is not HTTP
                raise BadAnswer(
                    f"{self.name} answers {what} with no HTTP: {error.message}."
                ) from None
            except aiohttp.ClientConnectorCertificateError as error:
                raise Unavailable(
                    f"{self.name} does not prove who it is ({error.certificate_error}): {what}. If its"
                    " authority is its own, start this with SSL_CERT_FILE=FILE of that one's certificate."
                ) from None
            except (aiohttp.ClientError, OSError) as error:
                raise Unavailable(
                    f"{self.name} cannot be reached ({error}): {what}. See whether it runs, and"
                    " whether this machine may connect to it."
                ) from None

    async def _read(self, what: str, answer: "aiohttp.ClientResponse") -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in answer.content.iter_any():
            size += len(part)
            if size > self._most:
                answer.close()  # the rest is not worth a connection
                raise BadAnswer(f"{self.name} answers {what} with more than {self._most} bytes.")
            parts.append(part)
        return b"".join(parts)

    def _decode(
        self, what: str, into: type[T], answer: "aiohttp.ClientResponse", content: bytes
    ) -> T:
        if not _is_json(answer.content_type):
            raise BadAnswer(
                f"{self.name} answers {what} with {answer.content_type}, not JSON: {_excerpt(content)}"
            )
        kind: Any = into
        try:
            decoded: T = _decoder(kind).decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadAnswer(
                f"{self.name} answers {what} with no {into.__name__} ({error}): {_excerpt(content)}"
            ) from None
        return decoded

    def _refuse(self, what: str, status: int, fields: Mapping[str, str]) -> NoReturn:
        later = fields.get("Retry-After", "")
        seconds = float(later) if later.isascii() and later.isdigit() and len(later) < 9 else None
        said = f"{self.name} answers {what} with {status}"
        if status in {429, 503}:
            raise Busy(f"{said}: it wants to be left alone for a while.", retry_after=seconds)
        if status in {401, 403, 407}:
            raise Unavailable(
                f"{said}: it does not take our credentials. Give this service others."
            )
        if status < 400:
            raise BadAnswer(
                f"{said}, to elsewhere: redirects are not followed. Name the new place."
            )
        if status < 500:
            raise Misuse(f"{said}: it does not understand what was asked.")
        raise Unavailable(f"{said}: something is wrong over there.", retry_after=seconds)


def _is_json(kind: str) -> bool:
    return kind == "application/json" or kind.endswith("+json")


def _excerpt(content: bytes) -> str:
    text = repr(content[:_EXCERPT])[2:-1]
    return f"{text}…" if len(content) > _EXCERPT else text


@cache
def _decoder(into: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(into)
