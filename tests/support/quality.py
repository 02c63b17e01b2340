"""A URL asked in every way that a client may, and the answers compared: by RFC 9110, and by one_answer.

`of_url` returns complaints as sentences, nothing where all is well.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from itertools import product
from typing import Any
from urllib.parse import urljoin, urlsplit

from support.exchange import Answer, Wire
from support.one_answer import UNPACK, directives, links, of_answer, plain

Fields = Mapping[str, str]

ABOUT_THE_REQUEST = {"date", "x-request-id"}
"""They differ each time."""
GUIDES_CACHES = {"cache-control", "content-location", "date", "etag", "expires", "vary"}
"""What a 304 has if the 200 has it (RFC 9110, section 15.4.5)."""


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PAST, FUTURE = "Wed, 01 Jan 2020 00:00:00 GMT", "Sun, 01 Jan 2034 00:00:00 GMT"
A_SECOND = 1


class Asker:
    """Asks one URL; what is wrong with any answer is in `complaints`, which grows."""

    def __init__(self, wire: Wire, target: str, fields: Fields) -> None:
        self._wire, self.target, self._fields = wire, target, fields
        self.complaints: list[str] = []

    def __call__(self, method: str = "GET", target: str = "", **fields: str) -> Answer:
        answer = self._wire.ask(method, target or self.target, **self._fields, **fields)
        for each in of_answer(method, answer):
            self.complain(each, method, **fields)
        return answer

    def complain(self, what: str, method: str = "GET", **fields: str) -> None:
        """Notes what is wrong with the answer to a request."""
        self.complaints.append(f"{method} {self.target} {fields}: {what}")

    def want(self, status: int, method: str = "GET", **fields: str) -> Answer:
        """An answer that has to have this status."""
        answer = self(method, **fields)
        if answer.status != status:
            self.complain(f"{answer.status}, and not {status}", method, **fields)
        return answer


def of_url(
    wire: Wire, target: str, *, media: Sequence[str] = ("application/json",), **fields: str
) -> list[str]:
    """What is wrong with what can be read at a URL.

    Args:
        wire: a client of the server.
        target: a path that can be read, and whose content does not change meanwhile.
        media: the media types that it offers.
        fields: what every request carries, such as Authorization.
    """
    ask = Asker(wire, target, fields)
    first = ask.want(200)
    if first.status == 200:
        _stable(ask, first)
        _variants(ask, media)
        _varies(ask, first)
        _conditions(ask, first)
        for wanted in ({}, {"Accept": media[-1]}, {"Accept_Encoding": "gzip"}, {"If_Match": '"x"'}):
            _head(ask, wanted)
        _ranges(ask, first)
        _options(ask)
        _negotiated_errors(ask)
        _other_paths(ask, first)
        _leads_on(ask, first)
    return ask.complaints


def _same(one: Answer, other: Answer, *, but: set[str] = ABOUT_THE_REQUEST) -> set[str]:
    """The names of the fields that differ."""
    return {name for name in (one.names | other.names) - but if one[name] != other[name]}


def _stable(ask: Asker, first: Answer) -> None:
    again = ask()
    if again.content != first.content:
        ask.complain("the content changes")
    if differs := _same(first, again):
        ask.complain(f"the same content, and other fields: {differs}")
    if first["etag"].startswith("W/"):
        ask.complain("a weak tag, though the content is the same byte by byte")


def _variants(ask: Asker, media: Sequence[str]) -> None:
    """Each variant is what was asked for, decodes to the same, and has a tag that no other has."""
    by_tag: dict[str, bytes] = {}
    values: dict[str, Any] = {}
    for kind, coding in product(media, UNPACK):
        wanted = {"Accept": kind, "Accept_Encoding": coding or "identity"}
        answer = ask.want(200, **wanted)
        if answer["content-type"].partition(";")[0] != kind:
            ask.complain(f"answered with {answer['content-type']}", **wanted)
        if answer["content-encoding"] not in {"", coding}:
            ask.complain(f"answered with {answer['content-encoding']}", **wanted)
        if coding and len(plain(answer)) > 1000 and not answer["content-encoding"]:
            ask.complain("long, and not compressed", **wanted)
        if plain(answer) != values.setdefault(kind, plain(answer)):
            ask.complain("the codings are not of the same content", **wanted)
        if by_tag.setdefault(answer["etag"], answer.content) != answer.content and answer["etag"]:
            ask.complain(f"two contents have the tag {answer['etag']}", **wanted)
    for coding in UNPACK:
        if coding:
            answer = ask.want(200, Accept_Encoding=f"{coding}, identity;q=0")
            if answer["content-encoding"] != coding:
                ask.complain("not coded, though identity is refused", Accept_Encoding=coding)


PROBES: Mapping[str, Sequence[str]] = {
    "accept": ("application/json", "application/msgpack", "text/csv", "*/*", "application/*;q=0.5"),
    "accept-language": ("de", "fr-FR", "nl, en;q=0.5", "*", "x-klingon"),
    "accept-charset": ("utf-8", "iso-8859-1", "*"),
    "accept-encoding": ("gzip", "br", "zstd", "identity", "gzip;q=0, br", "*"),
    "origin": ("https://a.example", "https://b.example"),
    "cookie": ("a=b",),
    "user-agent": ("Mozilla/5.0", "curl/8"),
    "referer": ("https://a.example/",),
    "x-forwarded-for": ("192.0.2.1",),
    "x-forwarded-proto": ("https",),
    "forwarded": ("for=192.0.2.1",),
    "prefer": ("return=minimal",),
    "dnt": ("1",),
}
"""What might change an answer, and mostly must not. For Authorization see `of_shared`."""


def _varies(ask: Asker, first: Answer) -> None:
    """Vary names what changes the answer, all of it and nothing else (RFC 9110, section 12.5.5)."""
    named = {each.strip().lower() for each in first["vary"].split(",") if each.strip()}
    for field, probes in PROBES.items():
        changes = False
        for probe in probes:
            answer = ask(**{field: probe})
            differs = answer.status < 400 and (
                _same(first, answer) or answer.content != first.content
            )
            if differs and field not in named:
                ask.complain(f"{field} changes {differs or 'the content'}, not in Vary", x=probe)
            if answer["vary"] != first["vary"]:
                ask.complain(f"Vary is {answer['vary']!r} now, not {first['vary']!r}", x=probe)
            changes = changes or bool(differs)
        short = len(first.content) < 1000 and field == "accept-encoding"
        if field in named and not changes and not short:
            ask.complain(f"Vary names {field}, which changes nothing")


def _conditions(ask: Asker, first: Answer) -> None:
    """RFC 9110, section 13: every precondition, on what has which validators."""
    tag, dated = first["etag"], first["last-modified"]
    for method in ("GET", "HEAD"):
        for fields, status in _expected(tag, dated):
            answer = ask.want(status, method, **fields)
            if answer.status == 304 and (tag or dated):  # else there is nothing to renew
                for name in GUIDES_CACHES & first.names:
                    if name not in answer or (name != "date" and answer[name] != first[name]):
                        ask.complain(f"304 without the same {name}", method, **fields)
            if answer.status == 412 and tag and answer["etag"] not in {tag, ""}:
                ask.complain("412 names another tag", method, **fields)


def _expected(tag: str, dated: str) -> Iterator[tuple[Fields, int]]:
    has = 304 if tag else 200
    yield {"If_None_Match": tag or '"x"'}, has
    yield {"If_None_Match": f"W/{tag.removeprefix('W/') or chr(34) * 2}"}, has
    yield {"If_None_Match": f'"x", "a,b" , {tag or chr(34) * 2}'}, has
    yield {"If_None_Match": '"x"'}, 200
    yield {"If_None_Match": "*"}, 304
    yield {"If_None_Match": '"x"', "If_Modified_Since": FUTURE}, 200
    yield {"If_None_Match": tag or "*", "If_Modified_Since": PAST}, 304
    yield {"If_Match": tag or "*"}, 200
    yield {"If_Match": "*"}, 200
    yield {"If_Match": '"x"'}, 412
    yield {"If_Match": f'"x", {tag or chr(34) * 2}'}, 200 if tag else 412
    yield {"If_Match": f"W/{tag.removeprefix('W/') or chr(34) * 2}"}, 412
    yield {"If_Match": tag or "*", "If_Unmodified_Since": PAST}, 200
    yield {"If_Match": tag or "*", "If_None_Match": tag or "*"}, 304
    for name, ignored in (("If_Modified_Since", 200), ("If_Unmodified_Since", 200)):
        yield {name: "yesterday"}, ignored
        yield {name: "2020-01-01"}, ignored
    yield {"If_Modified_Since": PAST}, 200
    yield {"If_Modified_Since": FUTURE}, 304 if dated else 200
    yield {"If_Unmodified_Since": PAST}, 412 if dated else 200
    yield {"If_Unmodified_Since": FUTURE}, 200
    if dated:
        moment = parsedate_to_datetime(dated)
        yield {"If_Modified_Since": dated}, 304
        yield {"If_Unmodified_Since": dated}, 200
        yield {"If_Modified_Since": moment.strftime("%A, %d-%b-%y %H:%M:%S GMT")}, 304
        yield {"If_Modified_Since": moment.strftime("%a %b %e %H:%M:%S %Y")}, 304
        before = datetime.fromtimestamp(moment.timestamp() - A_SECOND, UTC)
        yield {"If_Modified_Since": format_datetime(before, usegmt=True)}, 200
        yield {"If_Unmodified_Since": format_datetime(before, usegmt=True)}, 412


def _head(ask: Asker, wanted: Fields) -> None:
    """RFC 9110, section 9.3.2."""
    get, head = ask(**wanted), ask("HEAD", **wanted)
    differs = _same(
        get, head, but=ABOUT_THE_REQUEST | ({"content-length"} if get.status >= 400 else set())
    )
    if get.status != head.status or differs:
        ask.complain(
            f"{head.status}, not {get.status} as GET; fields differ: {differs}", "HEAD", **wanted
        )


def _ranges(ask: Asker, first: Answer) -> None:
    """RFC 9110, section 14.2: a server may ignore Range, and then all of it comes."""
    for each in ("bytes=0-9", "bytes=-5", "bytes=999999-", "bytes=5-2", "pages=1-2", "bytes="):
        answer = ask(Range=each)
        if first["accept-ranges"] != "bytes" and (
            answer.status != 200 or answer.content != first.content
        ):
            ask.complain(f"{answer.status}, though ranges are not offered", Range=each)


def _options(ask: Asker) -> None:
    """Allow is true: none of those named is refused for its method, all others are."""
    allowed = {each.strip() for each in ask.want(200, "OPTIONS")["allow"].split(",")}
    for method in METHODS:
        answer = ask(method)
        if (answer.status == 405) == (method in allowed):
            ask.complain(f"{answer.status}, and Allow is {sorted(allowed)}", method)
        if (
            answer.status == 405
            and {each.strip() for each in answer["allow"].split(",")} != allowed
        ):
            ask.complain(f"405 allows {answer['allow']}, OPTIONS {sorted(allowed)}", method)
    ask.want(501, "BREW")
    ask.want(501, "get")


def _negotiated_errors(ask: Asker) -> None:
    """An error comes in what is asked for, or in JSON; 406 too."""
    for wanted, kind in (
        ("application/msgpack", "application/msgpack"),
        ("application/json", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("image/png", "application/problem+json"),
        ("*/*", "application/problem+json"),
    ):
        answer = ask("BREW", Accept=wanted)
        if answer["content-type"] != kind:
            ask.complain(f"an error in {answer['content-type']}", "BREW", Accept=wanted)
    ask.want(406, Accept="image/png")
    ask.want(406, Accept="*/*;q=0")
    ask.want(406, Accept_Encoding="*;q=0")


def _other_paths(ask: Asker, first: Answer) -> None:
    """Another path is another resource; an unreserved character is the same when it is encoded."""
    path, _, query = ask.target.partition("?")
    rest = f"?{query}" if query else ""
    if path != "/":
        for other in (f"{path}/", f"/{path}", f"/.{path}", f"/x/..{path}", path.swapcase()):
            answer = ask(target=other + rest)
            if answer.status != 404:
                ask.complain(f"{answer.status} at {other}")
        last = path.rpartition("/")[2]
        encoded = path.removesuffix(last) + "".join(f"%{ord(each):02x}" for each in last)
        answer = ask(target=encoded + rest)
        if (answer.status, answer.content) != (200, first.content) and "link" not in first:
            ask.complain(f"{answer.status} at {encoded}")
    if ask(target=f"http://other.test{ask.target}").content != first.content:
        ask.complain("another answer in absolute form")


def _leads_on(ask: Asker, first: Answer) -> None:
    """What Link and Content-Location name is there."""
    for place in [
        *links(first),
        *([first["content-location"]] if "content-location" in first else []),
    ]:
        there = urlsplit(urljoin(f"http://wire.test{ask.target}", place))
        if there.netloc == "wire.test":
            answer = ask(target=f"{there.path}?{there.query}" if there.query else there.path)
            if answer.status != 200:
                ask.complain(f"{answer.status} at {place}, which it links to")


def of_shared(wire: Wire, target: str, token: str) -> Iterator[str]:
    """What caches may share of what somebody hears has to be what everybody hears (RFC 9111, 3.5)."""
    theirs = wire.ask("GET", target, Authorization=token)
    said = directives(theirs)
    if {"public", "s-maxage", "must-revalidate"} & said.keys():
        everybody = wire.ask("GET", target)
        if (everybody.status, everybody.content) != (theirs.status, theirs.content):
            yield f"GET {target}: shared, and not the same for everybody"
