"""What stands in front of a service in development: traces all requests, and shows them on a page.

It answers as the service does, by the plain walk, and works with every server: to a server it is a
service. It is not there unless somebody puts it there.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct, structs

from ogrom import tracing
from ogrom.http import HANDLERS, ETag, Request, Response, Service
from ogrom.http.insight import Reach, Seen, anatomy, ends_of, reach
from ogrom.loopback import refusal
from ogrom.trace._again import Sender, Sent
from ogrom.trace._answers import PREFIX, answer, json
from ogrom.trace._feed import Feed
from ogrom.trace._record import record
from ogrom.trace._redact import MASK, Redactor
from ogrom.trace._refused import refused
from ogrom.trace._ring import Ring
from ogrom.trace._trace import Kept, Raw, Summary

_FILES: Final = Path(__file__).parent / "page"
_KINDS: Final = {".css": "text/css", ".js": "text/javascript"}
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")

Told = Callable[[Summary], object]


class Send(Struct, frozen=True, forbid_unknown_fields=True):
    """A request that the page wants sent."""

    like: str
    """The trace of the request that it was made from: what is masked is taken from there."""
    end: str = ""
    """The end that it is to come to: then it is worked out anew, and the rest is not looked at."""
    method: str = ""
    target: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    content: str | None = None
    """None: as it was."""


class Tracer:
    """Traces every request of a service, and shows the traces at `/-/trace`: for this machine alone.

    Args:
        service: answers.
        names: what else the names of secrets have in them.
        told: is told of each trace.
        exposed: whether the page may be asked for by the machine's addresses, besides loopback's.
        ring: where traces are kept.
        own: the address of the server that serves this, `127.0.0.1:8080`: what the page sends goes
            there. Without it, it is sent from inside, past the server's parser.
    """

    def __init__(
        self,
        service: Service,
        *,
        names: Iterable[str] = (),
        told: Told | None = None,
        exposed: bool = False,
        ring: Ring | None = None,
        own: str = "",
    ) -> None:
        self.service: Final = service
        self.ring: Final = Ring() if ring is None else ring
        self.feed: Final = Feed(self.ring)
        self._sender: Final = Sender(own) if own else None
        self._redactor: Final = Redactor(names)
        self._told: Final = told
        self._exposed: Final = exposed
        self._token: Final = secrets.token_urlsafe(24)

    async def respond(self, request: Request) -> Response:
        """The response to a request: the service's, or the page's."""
        if request.path == PREFIX or request.path.startswith(f"{PREFIX}/"):
            return await self._page(request)
        if self._sender is None:
            return await self._recorded(request)
        request, sent = self._sender.taken(request)
        return await self._recorded(request, sent)

    def refused(self, head: bytes, request: Request, response: Response, detail: str) -> None:
        """The server has refused a head, and no resource was asked."""
        head, sent = (head, None) if self._sender is None else self._sender.refused(head)
        kept = refused(
            head, response, detail, self._redactor, number=self.ring.number(),
            request_id=request.id, replays=sent.replays if sent else "",
            meant=sent.meant if sent else "",
        )  # fmt: skip
        self._keep(kept, sent)

    def drains(self) -> None:
        """The server wants to stop: no page is told any more."""
        self.feed.end()

    async def _recorded(self, request: Request, sent: Sent | None = None) -> Response:
        def keep(kept: Kept) -> None:
            self._keep(kept, sent)

        replays, meant = (sent.replays, sent.meant) if sent is not None else ("", "")
        return await record(
            self.service,
            request,
            self._redactor,
            keep,
            self.ring.number,
            replays=replays,
            meant=meant,
        )

    def _keep(self, kept: Kept, sent: Sent | None) -> None:
        self.feed.put(kept)
        if sent is not None and not sent.trace.done():
            sent.trace.set_result(kept.summary.id)
        if self._told is not None:
            self._told(kept.summary)

    # the page

    async def _page(self, request: Request) -> Response:
        if why := self._refusal(request):
            return json(403, {"detail": why})
        rest = request.path.removeprefix(PREFIX).strip("/")
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        if request.method == "POST":
            return await self._send(request) if rest == "send" else json(404, _NOT_HERE)
        if request.method not in {"GET", "HEAD"}:
            return json(405, {"detail": "GET, or POST to send."})
        if rest == "list":
            return self._list(query)
        if rest == "events":
            news = self.feed.events(request.headers.get("last-event-id", ""))
            return answer(200, "text/event-stream", b"", news)
        first, _, second = rest.partition("/")
        if first == "files":
            return _file(second)
        wants_page = "text/html" in request.headers.get("accept", "")
        if not first:
            return self._index() if wants_page else self._list(query)
        kept = self.ring.get(first)
        if wants_page and not second:
            return self._index(200 if kept else 404)
        if kept is None:
            return json(404, {"detail": "There is no such trace, or no longer."})
        if second == "graph":
            return self._graph(kept)
        if second == "reach":
            return await self._reach(kept, query.get("end", ""))
        return json(404, _NOT_HERE) if second else answer(200, "application/json", kept.written)

    def _refusal(self, request: Request) -> str:
        host = request.headers.get("host", "")
        site = request.headers.get("sec-fetch-site", "none")
        navigates = request.headers.get("sec-fetch-mode") == "navigate" and request.method == "GET"
        if site not in {"none", "same-origin"} and not navigates:
            return "It comes from another site."
        fields = dict(request.headers)
        if self._exposed and _is_address(host):  # then it is guarded as loopback is
            if fields.get("origin") == f"http://{host}":
                fields["origin"] = "http://127.0.0.1"
            host = "127.0.0.1"
        return refusal(host, request.method, fields, self._token)

    def _index(self, status: int = 200) -> Response:
        text = (_FILES / "index.html").read_text(encoding="utf-8")
        return answer(
            status, "text/html; charset=utf-8", text.replace("{{token}}", self._token).encode()
        )

    def _list(self, query: dict[str, str]) -> Response:
        after = int(given) if (given := query.get("after", "0")).isdecimal() else 0
        found = [kept.summary for kept in self.ring if kept.summary.number > after]
        return json(200, {"last": self.ring.numbered, "broken": self.feed.broken, "traces": found})

    def _graph(self, kept: Kept) -> Response:
        """The resource's own graph for the method; how often each edge was taken; every end."""
        match = self.service.router.match(kept.raw.path) if kept.pattern else None
        if match is None:
            return json(404, {"detail": "It came to no resource, so there is no graph."})
        prepared = self.service.prepared(match.route)
        drawn = anatomy(prepared, kept.raw.method)
        counts: dict[str, int] = {}
        same = 0
        for each in self.ring:
            if each.pattern == kept.pattern and each.raw.method == kept.raw.method:
                same += 1
                for start, end in zip(each.path, each.path[1:], strict=False):
                    counts[f"{start} {end}"] = counts.get(f"{start} {end}", 0) + 1
        ends = [{"name": name, "status": HANDLERS[name]} for name in ends_of(prepared)]
        found = {**msgspec.to_builtins(drawn), "counts": counts, "requests": same, "ends": ends}
        return json(200, found)

    async def _reach(self, kept: Kept, end: str) -> Response:
        if end not in HANDLERS:
            return json(422, {"detail": f"{end!r} is no end of the graph."})
        found = await self._found(kept, end)
        if found is None:
            return json(404, {"detail": "It came to no resource, so there is no graph."})
        shown: dict[str, Any] = msgspec.to_builtins(structs.replace(found, request=None))
        if found.request is not None:
            asked = found.request
            content = asked.content if isinstance(asked.content, bytes) else b""
            readable = len(content) <= 4096 and content.isascii()
            shown["request"] = {
                "method": asked.method,
                "target": self._redactor.target(asked.path, asked.query),
                "headers": self._redactor.fields(_telling(asked.headers)),
                "content": content.decode() if readable else f"({len(content):,} bytes)",
            }
        return json(200, shown)

    async def _found(self, kept: Kept, end: str) -> Reach | None:
        """The request that comes to an end, made from what was seen of that path."""
        match = self.service.router.match(kept.raw.path) if kept.pattern else None
        if match is None:
            return None
        if self._is_stale(kept.raw.path):
            await _let_go(await self._recorded(_reading(kept.raw)))
        seen = [_seen(each) for each in self.ring if each.raw.path == kept.raw.path]
        prepared = self.service.prepared(match.route)
        return reach(prepared, end, seen or [_seen(kept)], match, self.service.router, _seen(kept))

    def _is_stale(self, path: str) -> bool:
        """Whether something was changed since a tag was seen."""
        for each in self.ring:
            if each.raw.path == path and each.summary.status < 400:
                if each.raw.method not in {"GET", "HEAD", "OPTIONS"}:
                    return True
                if each.raw.revision is not None or each.raw.tag is not None:
                    return False
        return False

    async def _send(self, request: Request) -> Response:
        content = request.content if isinstance(request.content, bytes) else await request.content()
        try:
            wanted = msgspec.json.decode(content, type=Send)
        except msgspec.MsgspecError as error:
            return json(422, {"detail": str(error)})
        like = self.ring.get(wanted.like)
        if like is None:
            return json(404, {"detail": "There is no such trace, or no longer."})
        made = await self._made(like, wanted)
        if isinstance(made, str):
            return json(422, {"detail": made})
        try:
            id_ = await self._sent(made, like.summary.id, wanted.end)
        except OSError as error:
            return json(502, {"detail": str(error)})
        return json(201, {"id": id_})

    async def _sent(self, request: Request, replays: str, meant: str) -> str:
        if self._sender is not None:
            return await self._sender.send(request, replays, meant)
        tracing.set(request.headers.get("traceparent"), request.headers.get("tracestate"))
        sent = Sent(asyncio.get_running_loop().create_future(), replays, meant)
        await _let_go(await self._recorded(request, sent))
        return sent.trace.result()

    async def _made(self, like: Kept, wanted: Send) -> Request | str:
        """The request to send, with what was masked put in again; or why there is none."""
        id_ = secrets.token_hex(8)
        if wanted.end:
            found = await self._found(like, wanted.end)
            if found is None or found.request is None:
                return "There is no request that comes there."
            return structs.replace(found.request, id=id_)
        raw = like.raw
        path, _, query = wanted.target.partition("?")
        if not path.startswith("/") or path.startswith("/-/") or not wanted.target.isascii():
            shown = self._redactor.target(raw.path, raw.query)
            if wanted.target != shown:
                return "The target is a path of this service, percent-encoded: /products?page=2"
        if wanted.target == self._redactor.target(raw.path, raw.query):
            path, query = raw.path, raw.query
        if not _TOKEN.fullmatch(wanted.method):
            return "The method is one word."
        headers: dict[str, str] = {}
        for name, value in wanted.headers:
            key = name.strip().lower()
            if value.strip() == MASK and key in raw.headers:
                headers[key] = raw.headers[key]
                continue
            if not _TOKEN.fullmatch(key) or not _VALUE.fullmatch(value):
                return f"{name!r} is no header field that can be sent."
            headers[key] = value.strip()
        if "host" in raw.headers:  # the page does not show it
            headers.setdefault("host", raw.headers["host"])
        content = raw.content if wanted.content is None else wanted.content.encode()
        headers.pop("transfer-encoding", None)
        headers.pop("content-length", None)
        if content:
            headers["content-length"] = str(len(content))
        return Request(
            method=wanted.method, path=path, query=query, headers=headers, content=content, id=id_
        )


def _seen(kept: Kept) -> Seen:
    raw: Raw = kept.raw
    request = Request(
        method=raw.method, path=raw.path, query=raw.query, headers=raw.headers, content=raw.content
    )
    tag = raw.revision if raw.tag is None else ETag(raw.tag[0], raw.tag[1])
    changed = None if raw.changed is None else datetime.fromtimestamp(raw.changed, UTC)
    return Seen(request, raw.answers, tag, changed, kept.summary.id)


async def _let_go(response: Response) -> None:
    """Nobody takes this answer: content that would be made while it is sent is not."""
    aclose, close = (getattr(response.pieces, name, None) for name in ("aclose", "close"))
    if aclose is not None:
        await aclose()
    elif close is not None:
        close()


def _reading(raw: Raw) -> Request:
    """A GET of the same, to see what is there now."""
    headers = {
        name: value
        for name, value in raw.headers.items()
        if not name.startswith(("if-", "content-", "transfer-"))
    }
    id_ = secrets.token_hex(8)
    return Request(method="GET", path=raw.path, query=raw.query, headers=headers, id=id_)


_BROWSERS: Final = ("sec-", "upgrade-", "user-agent", "dnt", "connection", "priority", "host")


def _telling(headers: Any) -> list[tuple[str, str]]:
    """The fields that are worth showing in a request that was made up."""
    return [(name, value) for name, value in headers.items() if not name.startswith(_BROWSERS)]


def _is_address(host: str) -> bool:
    """Whether a Host is an address, for which no name server can lie."""
    try:
        ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True


_NOT_HERE: Final = {"detail": "There is nothing here."}


def _file(name: str) -> Response:
    found = _FILES / name
    if "/" in name or name.startswith(".") or found.suffix not in _KINDS or not found.is_file():
        return json(404, _NOT_HERE)
    return answer(200, f"{_KINDS[found.suffix]}; charset=utf-8", found.read_bytes())
