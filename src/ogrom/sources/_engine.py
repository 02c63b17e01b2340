"""Elasticsearch 8 and 9, OpenSearch 2 and 3, over plain HTTP and JSON: one `Engine` for all of them.

There is no product check, and `application/json` is what all of them take. What differs is in one
table, `DIALECTS`; which row holds is found out by `GET /`.
"""

import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Struct

from ogrom import deadline
from ogrom.metrics import Histogram, Metric, sample
from ogrom.sources._errors import BadAnswer, Busy, Misuse, TimedOut, Unavailable

if TYPE_CHECKING:  # 9 MB, which a service on embedded sources does without
    import aiohttp

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a question may take."""

CONNECTIONS = 100
"""How many questions may be on their way at once; the others wait here, within their time."""

_PREFIX = re.compile(r"[a-z][a-z0-9_-]{0,59}")
_ENCODE = msgspec.json.Encoder()


class Dialect(NamedTuple):
    """What a product calls a point in time: a view of an index that stays while it is paged."""

    opening: str
    closing: str
    handle: str
    """The field of an answer that names it."""


DIALECTS: Mapping[str, Dialect] = {
    "opensearch": Dialect("_search/point_in_time", "_search/point_in_time", "pit_id"),
    "elasticsearch": Dialect("_pit", "_pit", "id"),
}


class Address(NamedTuple):
    """Where an engine is, and what our indexes there begin with."""

    url: str
    user: str
    secret: str
    prefix: str

    def __repr__(self) -> str:
        return f"Address({self.url}/{self.prefix})"


def address(url: str) -> Address:
    """Read `http://user:secret@host:9200/prefix`.

    Raises:
        ValueError: it cannot be right; the message says why, and does not tell the secret.
    """
    like = "write it like http://user:secret@host:9200/prefix"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"its host or port cannot be read; {like}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"it does not begin with http:// or https://; {like}")
    if not parts.hostname:
        raise ValueError(f"it names no host; {like}")
    if parts.query or parts.fragment:
        raise ValueError(f"it has something after its path; {like}")
    prefix = parts.path.strip("/") or "ogrom"
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"{prefix!r} cannot begin the name of an index: lower-case letters, digits, - and _"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{parts.scheme}://{host}:{port or (443 if parts.scheme == 'https' else 9200)}"
    return Address(place, unquote(parts.username or ""), unquote(parts.password or ""), prefix)


class Gone(Misuse):
    """There is no such index, alias or document."""


class _Version(Struct, frozen=True):
    distribution: str = "elasticsearch"


class _Root(Struct, frozen=True):
    version: _Version


class _Reason(Struct, frozen=True):
    type: str = ""
    reason: str | None = None
    root_cause: tuple["_Reason", ...] = ()


class _Failure(Struct, frozen=True):
    error: _Reason | str = ""


class Engine:
    """One engine. What it counts and which dialect it speaks changes; nothing else."""

    def __init__(self, where: Address, session: "aiohttp.ClientSession", patience: float) -> None:
        self.where = where
        self._session = session
        self._patience = patience
        self._dialect: Dialect | None = None
        self._durations: dict[str, Histogram] = {}
        self._errors: dict[str, int] = {}

    async def ask(
        self,
        into: type[T],
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        *,
        patience: float | None = None,
        **parameters: str,
    ) -> T:
        """Ask, within what is left of the request's time, and decode the answer.

        A connection that the engine had closed in the meantime is replaced, and what may be asked
        twice is asked once more. Everything sent here may: names are given by us, not by it.

        Raises:
            Unavailable: it cannot be reached or cannot answer: `Busy`, `TimedOut`, `BadAnswer`.
            Gone: there is no such index.
            Misuse: it refuses the question, for the reason that it gives.
        """
        what = path.rpartition("/")[2] if "/_" in path else "other"
        begun = perf_counter()
        try:
            return await self._within(into, method, path, body, patience, parameters)
        except (Unavailable, Misuse) as error:
            name = type(error).__name__
            self._errors[name] = self._errors.get(name, 0) + 1
            raise
        finally:
            self._durations.setdefault(what, Histogram()).observe(perf_counter() - begun)

    async def _within(
        self,
        into: type[T],
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None,
        patience: float | None,
        parameters: Mapping[str, str],
    ) -> T:
        import aiohttp

        own = patience or self._patience
        seconds = deadline.left(own) or 0.0
        if seconds <= 0:
            raise TimedOut(f"No time was left to ask {self.where.url}.", early=True)
        content = body if isinstance(body, bytes | None) else _ENCODE.encode(body)
        kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        url = f"{self.where.url}/{quote(path, safe='/,*_-')}"
        try:
            status, raw = await self._send(method, url, content, kind, seconds, parameters)
        except TimeoutError:
            raise TimedOut(
                f"{self.where.url} did not answer within {seconds:.1f} s.", early=seconds < own
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(
                f"{self.where.url} cannot be reached: {error}. Is the search engine running?"
            ) from error
        if status >= 400:
            raise self._refused(status, raw)
        try:
            return msgspec.json.decode(raw, type=into)
        except msgspec.DecodeError as error:
            raise BadAnswer(f"{self.where.url} answers what cannot be read: {error}") from error

    async def _send(
        self,
        method: str,
        url: str,
        content: bytes | None,
        kind: str,
        seconds: float,
        parameters: Mapping[str, str],
    ) -> tuple[int, bytes]:
        import aiohttp

        for last in (False, True):
            try:
                async with self._session.request(
                    method,
                    url,
                    # Wrapped, a large one is sent in pieces: the event loop goes on meanwhile.
                    data=BytesIO(content) if content and len(content) > 1 << 20 else content,
                    params=parameters,
                    headers={"Content-Type": kind},
                    timeout=aiohttp.ClientTimeout(total=seconds),
                ) as response:
                    return response.status, await response.read()
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                if last:
                    raise
        raise AssertionError("unreachable")

    def _refused(self, status: int, raw: bytes) -> Unavailable | Misuse:
        try:
            error = msgspec.json.decode(raw, type=_Failure).error
        except msgspec.DecodeError:
            error = ""
        if isinstance(error, _Reason):
            cause = error.root_cause[0] if error.root_cause else error
            why = f"{cause.type}: {cause.reason}"
        else:
            why = error or "no reason given"
        told = f"{self.where.url} answers {status}, {why}"
        if status == 404:
            return Gone(told)
        if status == 429:
            return Busy(told, retry_after=1)
        if status >= 500:
            return Unavailable(told)
        return Misuse(told)

    async def ping(self) -> None:
        """See whether it answers."""
        await self.ask(_Root, "GET", "")

    async def dialect(self) -> Dialect:
        """How this product says what not all of them say alike."""
        if self._dialect is None:
            root = await self.ask(_Root, "GET", "")
            self._dialect = DIALECTS[
                "opensearch" if root.version.distribution == "opensearch" else "elasticsearch"
            ]
        return self._dialect

    def metrics(self) -> Iterable[Metric]:
        """How long the engine took, by what it was asked, and how often it failed, by how."""
        yield Metric(
            "ogrom_search_engine_seconds",
            "histogram",
            "How long the search engine took to answer.",
            tuple(
                one
                for what, durations in self._durations.items()
                for one in durations.samples(asked=what)
            ),
        )
        yield Metric(
            "ogrom_search_engine_errors_total",
            "counter",
            "Questions that the search engine did not answer.",
            tuple(sample(count, error=name) for name, count in self._errors.items()),
        )


@asynccontextmanager
async def connect(
    url: str | Address, *, patience: float = PATIENCE
) -> AsyncGenerator[Engine, None]:
    """The engine at this URL; nothing is asked of it yet. One for each process is enough.

    Args:
        url: `http://user:secret@host:9200/prefix`.
        patience: how many seconds a question may take; a request's deadline may be sooner.
    """
    import aiohttp

    where = address(url) if isinstance(url, str) else url
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if where.user:
        named = b64encode(f"{where.user}:{where.secret}".encode()).decode()
        headers["Authorization"] = f"Basic {named}"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
    ) as session:
        yield Engine(where, session, patience)
