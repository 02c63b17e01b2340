"""Elasticsearch 8 and 9, OpenSearch 2 and 3, over plain HTTP and JSON: one `Engine` for all of them.

There is no product check, and `application/json` is what all of them take. What differs is in one
table, `DIALECTS`; which row holds is found out by `GET /`.
"""

import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from ssl import SSLCertVerificationError, SSLError, create_default_context
from time import perf_counter
from typing import Any, NamedTuple, TypeVar
from urllib.parse import SplitResult, parse_qs, unquote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from ogrom import deadline, tracing
from ogrom.metrics import Histogram, Metric, sample
from ogrom.sources._errors import BadAnswer, Busy, Misuse, SourceError, TimedOut, Unavailable
from ogrom.sources._reading import Garbage, Whole
from ogrom.sources._wire import Wire
from ogrom.tracing import Span

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
    ca: str = ""
    """A file of the authorities that it is known by; those of the system where it is empty."""

    def __repr__(self) -> str:
        return f"Address({self.url}/{self.prefix})"


def address(url: str) -> Address:
    """Read `http://user:secret@host:9200/prefix`, or `https://…/prefix?ca=FILE`.

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
    ca = _authorities(parts)
    prefix = parts.path.strip("/") or "ogrom"
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"{prefix!r} cannot begin the name of an index: lower-case letters, digits, - and _"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{parts.scheme}://{host}:{port or (443 if parts.scheme == 'https' else 9200)}"
    user, secret = unquote(parts.username or ""), unquote(parts.password or "")
    return Address(place, user, secret, prefix, ca)


def _authorities(parts: SplitResult) -> str:
    """The file that `?ca=` names, if it does; raises ValueError."""
    given = parse_qs(parts.query, keep_blank_values=True)
    if parts.fragment or {*given} - {"ca"}:
        raise ValueError("it has something after its path, where only ?ca=FILE may be")
    if "ca" not in given:
        return ""
    file = given["ca"][-1]
    if parts.scheme != "https":
        raise ValueError("ca= is of use for https:// only")
    try:
        create_default_context(cafile=file)
    except (OSError, SSLError) as error:
        raise ValueError(f"ca={file}: {error}; name a file of certificates (PEM)") from None
    return file


class Gone(Misuse):
    """There is no such index, alias or document; `document`: all but the document is there."""

    document = False


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
    found: bool | None = None


class Engine:
    """One engine. What it counts and which dialect it speaks changes; nothing else."""

    def __init__(self, where: Address, wire: Wire, patience: float) -> None:
        self.where = where
        self._wire = wire
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
        once: bool = False,
        **parameters: str,
    ) -> T:
        """Ask, within what is left of the request's time, and decode the answer.

        A connection that the engine had closed in the meantime is replaced, and the question is
        sent once more.

        Args:
            into: the type of the answer.
            method: in capitals.
            path: percent-encoded where it has to be; the query may follow.
            body: JSON, or lines of JSON as bytes.
            patience: how many seconds it may take.
            once: it must not be sent twice.
            parameters: the query, where the path has none.

        Raises:
            Unavailable: it cannot be reached or cannot answer: `Busy`, `TimedOut`, `BadAnswer`.
            Gone: there is no such index.
            Misuse: it refuses the question, for the reason that it gives.
        """
        if tracing.listener() is None:
            return await self._ask(into, method, path, body, patience, once, parameters)
        with tracing.span(*self._about(method, path)) as span:
            return await self._ask(into, method, path, body, patience, once, parameters, span)

    async def _ask(
        self,
        into: type[T],
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None,
        patience: float | None,
        once: bool,
        parameters: Mapping[str, str],
        span: Span | None = None,
    ) -> T:
        own = patience or self._patience
        seconds = deadline.left(own) or 0.0
        if seconds <= 0:
            raise self._failed(TimedOut(f"No time was left to ask {self.where.url}.", early=True))
        begun = perf_counter()
        try:
            target = f"/{path}?{urlencode(parameters)}" if parameters else f"/{path}"
            if body is None:
                content, kind = b"", ""
            elif isinstance(body, bytes):
                content, kind = body, "application/x-ndjson"
            else:
                content, kind = _ENCODE.encode(body), "application/json"
            answer = await self._wire.ask(
                method, target, content, kind, seconds, once=once,
                more=None if span is None else span.fields(),
            )  # fmt: skip
            if span is not None:
                span.note("db.response.status_code", str(answer.status))
                if answer.status >= 300:
                    span.note("error.type", str(answer.status))
            decoded: T = self._decoded(into, answer)
        except SourceError as error:
            self._failed(error)
            raise
        except (OSError, ValueError) as error:
            told = self._told(error, seconds, early=seconds < own)
            if told is None:
                raise
            raise self._failed(told) from (None if isinstance(told, TimedOut) else error)
        finally:
            what = _what(path)
            if (durations := self._durations.get(what)) is None:
                durations = self._durations[what] = Histogram()
            durations.observe(perf_counter() - begun)
        return decoded

    def _failed(self, error: SourceError) -> SourceError:
        """Count the error, and give it back to be raised."""
        name = type(error).__name__
        self._errors[name] = self._errors.get(name, 0) + 1
        return error

    def _told(self, error: Exception, seconds: float, *, early: bool) -> Unavailable | None:
        """What went wrong on the way, by who must act; None where that is nobody but us."""
        url = self.where.url
        if isinstance(error, TimeoutError):
            return TimedOut(f"{url} did not answer within {seconds:.1f} s.", early=early)
        if isinstance(error, SSLCertVerificationError):
            return Unavailable(
                f"{url} does not prove who it is: {error.verify_message}. Name a file of the authorities"
                " that it is known by, at the end of its URL: ?ca=FILE"
            )
        if isinstance(error, SSLError):
            return Unavailable(f"{url} speaks no TLS that we do: {error}. Is it http:// there?")
        if isinstance(error, OSError):
            return Unavailable(f"{url} cannot be reached: {error}. Is the search engine running?")
        if isinstance(error, Garbage):
            return BadAnswer(f"{url} answers what cannot be read: {error}.")
        if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
            return BadAnswer(f"{url} answers what cannot be read: {error}")
        return None

    def _decoded(self, into: type[T], answer: Whole) -> T:
        if answer.status >= 300:
            raise self._refused(answer.status, answer.content)
        wanted: Any = into
        decoded: T = _decoder(wanted).decode(answer.content)
        return decoded

    def _about(self, method: str, path: str) -> tuple[str, dict[str, str | int]]:
        """The name of a question's span, and what is said of it; its content has people's words."""
        parts = urlsplit(self.where.url)
        place = path.partition("?")[0]
        index = place.partition("/")[0]
        words = [part for part in place.split("/") if part[:1] == "_" or part == "point_in_time"]
        operation = _OPERATIONS.get((method, words[-1] if words else place), method.lower())
        about: dict[str, str | int] = {
            "db.system.name": self.system,
            "db.operation.name": operation,
            "http.request.method": method,
            "url.full": f"{self.where.url}/{place}",
            "server.address": parts.hostname or "",
            "server.port": parts.port or 0,
        }
        if not index or index.startswith("_"):
            return operation, about
        return f"{operation} {index}", about | {"db.collection.name": index}

    @property
    def system(self) -> str:
        """The product, by OpenTelemetry's names; until it was asked, the one whose API it is."""
        is_open = self._dialect is DIALECTS["opensearch"]
        return "opensearch" if is_open else "elasticsearch"

    def _refused(self, status: int, raw: bytes | bytearray) -> Unavailable | Misuse:
        if status < 400:
            return BadAnswer(
                f"{self.where.url} answers {status}, to elsewhere: redirects are not followed."
                " Name the new place."
            )
        try:
            failure = _decoder(_Failure).decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            failure = _Failure()
        error = failure.error
        if isinstance(error, _Reason):
            cause = error.root_cause[0] if error.root_cause else error
            why = f"{cause.type}: {cause.reason}"
        else:
            why = error or "no reason given"
        told = f"{self.where.url} answers {status}, {why}"
        if status == 404:
            gone = Gone(told)
            gone.document = failure.found is False
            return gone
        if status == 429:
            return Busy(told, retry_after=1)
        if status >= 500:
            return Unavailable(told)
        return Misuse(told)

    async def ping(self) -> None:
        """See whether it answers, and what it is."""
        root = await self.ask(_Root, "GET", "")
        self._dialect = DIALECTS[
            "opensearch" if root.version.distribution == "opensearch" else "elasticsearch"
        ]

    async def dialect(self) -> Dialect:
        """How this product says what not all of them say alike."""
        if self._dialect is None:
            await self.ping()
        assert self._dialect is not None  # or it would have been raised
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
        url: `http://user:secret@host:9200/prefix`, or `https://…/prefix?ca=FILE`.
        patience: how many seconds a question may take; a request's deadline may be sooner.
    """
    where = address(url) if isinstance(url, str) else url
    fields = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if where.user:
        named = b64encode(f"{where.user}:{where.secret}".encode()).decode()
        fields["Authorization"] = f"Basic {named}"
    wire = Wire(where.url, fields, connections=CONNECTIONS, ca=where.ca)
    try:
        yield Engine(where, wire, patience)
    finally:
        await wire.close()


_OPERATIONS: Mapping[tuple[str, str], str] = {
    ("GET", ""): "info",
    ("POST", "_search"): "search",
    ("GET", "_doc"): "get",
    ("GET", "_alias"): "indices.get_alias",
    ("POST", "point_in_time"): "open_point_in_time",
    ("POST", "_pit"): "open_point_in_time",
    ("DELETE", "point_in_time"): "close_point_in_time",
    ("DELETE", "_pit"): "close_point_in_time",
    ("POST", "_bulk"): "bulk",
}
"""What the engines' own specifications call that which requests ask for."""


def _what(path: str) -> str:
    """What is asked for, in metrics: without names of indices and documents."""
    if "/_doc/" in path:
        return "_doc"
    return path.partition("?")[0].rpartition("/")[2] if "/_" in path else "other"


@cache
def _decoder(into: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(into)
