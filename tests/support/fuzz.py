"""Fuzzing of all that reads what clients write: by pytest a little, by itself for as long as is wanted.

    python tests/support/fuzz.py 600

A target is a function of text that raises where something is wrong. Texts are made of the target's
own fragments, and damaged at random.
"""

import random
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from msgspec import Struct

from ogrom.http import (
    CSV,
    FORM,
    JSON,
    MERGE_PATCH,
    MSGPACK,
    Cors,
    Created,
    MediaType,
    Request,
    Resource,
    Response,
    Router,
    RoutesError,
    Service,
    Updated,
)
from ogrom.http._conditional import format_http_date, parse_etags, parse_http_date
from ogrom.http._content import QueryError, Undecodable, decompress, query_decoder
from ogrom.http._negotiate import (
    Choice,
    choose_charset,
    choose_encoding,
    choose_language,
    choose_media_type,
    content_type,
)
from ogrom.http._routing import MalformedPath
from ogrom.serve._chunks import Chunks
from ogrom.serve._head import BadHead, Head, parse

PATIENCE = 2.0
"""Seconds after which a text of 100 kB has taken too long, on however slow a machine."""


@dataclass(frozen=True)
class Target:
    """One thing that reads text."""

    check: Callable[[str], None]
    fragments: Sequence[str]
    """What its texts are made of."""
    most: int = 100_000
    """How long a hostile text is. Routes are written by those who serve them: 2 kB are plenty."""


def _sound(choice: Choice, offered: int) -> None:
    assert choice.index is None or 0 <= choice.index < offered
    assert all(0 <= each <= 1 for each in choice.scores)
    assert choice.why
    assert choice.index is None or choice.scores[choice.index] == max(choice.scores)


MEDIA = tuple(
    map(MediaType.parse, ("application/json", "text/csv;header=present", "text/html;level=1"))
)
LANGUAGES = ("de-DE", "fr-FR", "nl", "en-GB-x-a", "zh-Hant-TW")
CODINGS = ("zstd", "br", "gzip")


def media_type(text: str) -> None:
    """`Accept`."""
    _sound(choose_media_type(text, MEDIA), len(MEDIA))


def language(text: str) -> None:
    """`Accept-Language`."""
    choice = choose_language(text, LANGUAGES)
    assert choice.index is None or choice.index < len(LANGUAGES)
    assert choice.why


def charset(text: str) -> None:
    """`Accept-Charset`."""
    _sound(choose_charset(text, ("utf-8", "iso-8859-1")), 2)


def coding(text: str) -> None:
    """`Accept-Encoding`."""
    _sound(choose_encoding(text, CODINGS), len(CODINGS) + 1)


def content(text: str) -> None:
    """`Content-Type`: what is read is written as something that is read as the same."""
    if (found := content_type(text)) is not None:
        assert found == content_type(str(found))


def tags(text: str) -> None:
    """`If-Match`: what is read is written as something that is read as the same."""
    found = parse_etags(text)
    if found != "*" and found:
        assert found == parse_etags(", ".join(map(str, found)))


def date(text: str) -> None:
    """`If-Modified-Since`: all three forms, and the same moment in the one that is written."""
    moment = parse_http_date(text, now=datetime(2026, 1, 1, tzinfo=UTC))
    if moment is not None:
        assert moment == parse_http_date(format_http_date(moment))


ROUTER: Router[str] = Router(
    {
        "/": "start",
        "/items": {"": "items", "/{id:int}": "item", "/{id:int}/parts/{part:uuid}": "part"},
        "/{kind:red|green}/{name}": "kind",
        "/files/{path:path}": "file",
        "/a-{x}-b/{y}.json": "text",
        "/v/{v:/[a-z]{2}[0-9]*/}": "regex",
    },
    name_of=lambda name: name,
)  # fmt: skip


def path(text: str) -> None:
    """A path: what is matched is written as a path that is matched alike."""
    try:
        found = ROUTER.match(f"/{text}")
    except MalformedPath:
        return
    if found is not None:
        again = ROUTER.match(ROUTER.path_for(found.leaf, dict(found.params)))
        assert again is not None
        assert (found.leaf, dict(found.params)) == (again.leaf, dict(again.params))


def pattern(text: str) -> None:
    """A pattern of a route: served, or refused with words."""
    with suppress(RoutesError), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of a regular expression that is odd
        Router({f"/{text}": "x"}, name_of=lambda name: name)


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for."""

    q: str = ""
    page: int = 1
    sizes: tuple[str, ...] = ()
    price: float | None = None
    at: datetime | None = None
    of: UUID | None = None


QUERY = query_decoder(Query)


def query(text: str) -> None:
    """A query: of its type, or refused with words."""
    wrong: QueryError | None = None
    try:
        assert isinstance(QUERY(text), Query)
    except QueryError as error:
        wrong = error
    if wrong is not None:
        assert wrong.errors
        assert all(each.pointer.startswith("?") and each.detail for each in wrong.errors)


def head(text: str) -> None:
    """A request's head: what is read is written as a head that is read alike."""
    try:
        found: Head | BadHead = parse(text.encode("latin-1"), max_target=8192)
    except BadHead as error:
        found = error
    if isinstance(found, BadHead):
        assert found.status in {400, 414, 417, 501, 505}
        assert found.detail
        return
    target = found.path + (f"?{found.query}" if found.query else "")
    lines = [f"{name}: {value}" for name, value in found.headers.items()]
    version = f"HTTP/1.{found.version}"
    again = parse(
        "\r\n".join([f"{found.method} {target} {version}", *lines]).encode("latin-1"),
        max_target=9999,
    )
    assert found == again


def _fed(parts: Sequence[bytes]) -> tuple[bytes, bytes, bool, int]:
    """Content, what is left over, whether it is done, the status of the refusal."""
    chunks, whole, rest = Chunks(), b"", b""
    for part in parts:
        if chunks.done:
            rest += part
            continue
        try:
            more, left = chunks.feed(part)
        except BadHead as error:
            return b"", b"", False, error.status
        whole, rest = whole + more, rest + left
    return whole, rest, chunks.done, 0


def chunks(text: str) -> None:
    """Content in chunks: the same, however it is cut."""
    data = text.encode("latin-1")
    whole = _fed([data])
    assert len(whole[0]) + len(whole[1]) <= len(data)
    for step in (1, 7) if len(data) < 2_000 else (4_093,):
        assert whole == _fed([data[at : at + step] for at in range(0, len(data), step)])


def packed(text: str) -> None:
    """Content that says that it is compressed: unpacked up to the limit, or refused with words."""
    for name in ("gzip", "deflate"):
        with suppress(Undecodable):
            found = decompress(text.encode("latin-1"), name, 1000)
            assert found is None or len(found) <= 1000


class Draft(Struct, frozen=True):
    """What is written."""

    text: str
    stars: int = 0
    parts: tuple["Draft", ...] = ()


async def _find(ctx):
    return None if ctx["id"] == "none" else {"id": ctx["id"], "items": [1, "ł"]}


async def _who(ctx):
    return ctx.request.headers.get("authorization")


async def _write(ctx, _):
    return Updated({"id": ctx["id"], "text": ctx.body(Draft).text})


async def _create(ctx, _):
    return Created(ctx.body(Draft), at=ctx.path_for("one", id="new"))


SERVICE = Service(
    {
        "/one/{id}": Resource(
            name="one", query=Query, body=Draft, exists=_find, etag=lambda one: one["id"].encode().hex(),
            last_modified=datetime(2020, 1, 1, tzinfo=UTC), media_types=(JSON, MSGPACK, CSV),
            languages=("de-DE", "en-GB"), charsets=("utf-8", "iso-8859-15"), cors=Cors(origins=("*",)),
            consumes=(JSON, MSGPACK, FORM), put=_write, can_put_to_missing=True,
            handle_ok=lambda _, one: one,
        ),
        "/all": Resource(
            name="all", body=Draft, post=_create, consumes=(JSON, MERGE_PATCH, FORM),
            handle_ok=lambda ctx, _: [ctx.path_for("one", id="ł/?")] * 30,
        ),
        "/mine": Resource(name="mine", authorized=_who, challenge="Bearer", handle_ok=lambda ctx, _: {}),
    },
)  # fmt: skip


def _respond(request: Request, *, on_foot: bool) -> Response:
    running = (SERVICE.walk if on_foot else SERVICE.respond)(request)
    try:
        running.send(None)
    except StopIteration as end:
        return end.value
    running.close()
    raise AssertionError("nothing here waits")


def request(text: str) -> None:
    """A whole request, as lines: what is asked, fields, an empty line, content. No 500, and the
    generated function and the plain walk agree.
    """
    first, *lines = text.split("\n")
    method, _, target = first.partition(" ")
    path, _, query = target.partition("?")
    pairs = (line.partition(":") for line in lines[: lines.index("") if "" in lines else None])
    fields = {name.lower(): value.strip() for name, _, value in pairs}
    body = "\n".join(lines[lines.index("") + 1 :]) if "" in lines else ""
    asked = Request(
        method=method, path=path or "/", query=query, headers=fields, id="f",
        content=body.encode("latin-1"),
    )  # fmt: skip
    answer = _respond(asked, on_foot=False)
    assert 200 <= answer.status < 500 or answer.status == 501, answer.error
    assert answer.head.isascii() or answer.head.decode("latin-1")
    if method == "HEAD":
        assert not answer.content
    other = _respond(asked, on_foot=True)
    assert (answer.status, dict(answer.headers), answer.content) == (
        other.status, dict(other.headers), other.content,
    )  # fmt: skip


WEIGHTS = (
    ";q=0",
    ";q=1",
    ";q=0.5",
    ";Q=0.123",
    "; q=1.0001",
    ";q=",
    ";q",
    ";",
    ",",
    ", ",
    "*",
    " ",
    "\t",
)
TIMES = (
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
)
TAGS = ('"a"', 'W/"a"', "*", '"', "W/", "w/", ",", ", ", '""', '"a,b"', "\\", "\x7f", "\xff")
TARGETS: dict[str, Target] = {
    "media types": Target(
        media_type,
        ("application/json", "text/", "/", "*/*", "text/*", "csv", ";header=present", ";level=1",
         ';x="', '"', "\\", '\\"', "a", "=", ";a=b", *WEIGHTS),
    ),
    "languages": Target(
        language, ("de", "de-DE", "zh-Hant-TW-x-private", "-", "en", "x", "i-klingon", "a" * 9, *WEIGHTS)
    ),
    "charsets": Target(charset, ("utf-8", "UTF-8", "iso-8859-1", "x", '"', *WEIGHTS)),
    "codings": Target(coding, ("gzip", "x-gzip", "br", "zstd", "identity", "compress", *WEIGHTS)),
    "content types": Target(
        content,
        ("application/json", "text/", "/", "plain", ";charset=utf-8", ";charset=", ";", '"', "\\", " ", "=",
         '="a b"', ";a=b", ";A=b", "\xff", "*"),
    ),
    "entity tags": Target(tags, (*TAGS, " ", "a", "!", "\t")),
    "dates": Target(
        date,
        (*TIMES, "Sun", "Mon", "day", ", ", "-", "06", " 6", " ", "Nov", "Feb", "29", "31", "1994", "2000",
         "0000", "9999", "00", "23:59:60", "08:49:37", ":", "GMT", "UTC", "+0000", "\u0660".encode().decode("latin-1")),
    ),
    "paths": Target(
        path,
        ("items", "/", "1", "-1", "007", "9" * 20, "parts", "0" * 8 + "-0000" * 3 + "-" + "0" * 12, "red",
         "green", "files", "..", ".", "%2e", "%2F", "%", "%zz", "%00", "%ff", "%C5%82", "%ED%A0%80", "a-", "-b",
         ".json", "v", "ab12", "a", "~", "+", ";", ":", "@", "\xff", "//"),
    ),
    "patterns": Target(
        pattern,
        ("a", "/", "{", "}", "{x}", "{y}", "{x:int}", "{x:uuid}", "{x:path}", "{z:a|b}", "{w:/[a-z]+/}", ":", "|",
         "{v:/(/}", "{u:/(a)/}", "{x:in}", ".", "..", "%20", "%", "?", "#", "\0", "\xff", "-", "{1}", "{x:}", "{x:|}"), most=2_000,
    ),
    "queries": Target(
        query,
        ("q", "=", "&", "page", "sizes", "price", "at", "of", "x", "1", "-1", "1e999", "NaN", "null", "+", "%20", "%",
         "%zz", "%ff", "%C5%82", "%00", "2026-01-01T00:00:00Z", "true", "[", "]", ";", "9" * 40, "\xff", "`", "$."),
    ),
    "heads": Target(
        head,
        ("GET / HTTP/1.1", "\r\nHost: a", "POST", " ", "/", "*", "OPTIONS * HTTP/1.1", "http://b", ":80", "?q=1", "#",
         "HTTP/1.0", "HTTP/2.0", "\r\n", "\n", "\r", "\0", "\t", ":", ": ", "X", "\r\nX: y", "\r\nContent-Length: 5",
         "\r\nTransfer-Encoding: chunked", "chunked", ", ", "gzip", "\r\nConnection: close", "\r\nConnection: keep-alive",
         "\r\nExpect: 100-continue", "\r\nCookie: a=b", "\xff", "\x7f", "%", "+5", "\r\n y", "[::1]", "@"),
    ),
    "chunks": Target(
        chunks,
        ("5\r\nhello\r\n", "0\r\n", "\r\n", "1\r\na\r\n", "a\r\n0123456789\r\n", "\n", "\r", ";a=b", ';a="b"', " ", "\t",
         "0x", "-", "+", "f" * 16, "00", "X: y\r\n", "Content-Length: 5\r\n", "GET / HTTP/1.1\r\n\r\n", "\0", "\xff", "g"),
    ),
    "packed content": Target(
        packed,
        ("\x1f\x8b\x08\0\0\0\0\0\x02\xff", "\x03\0", "\0" * 8, "x\x9c", "\xcb\x48\xcd\xc9\xc9\x07\0", "\x86\xa6\x106\x05\0\0\0",
         "x\x9c\x03\0\0\0\0\x01", "\xff", "K\x04\0"),
    ),
    "requests": Target(
        request,
        ("GET /one/a", "PUT /one/none", "POST /all", "HEAD /one/a", "OPTIONS /one/a", "GET /all", "GET /mine", "DELETE /all",
         "BREW /all", "PATCH /one/a", "?q=a", "&page=2", "\n", "\n\n", "\nAccept: ", "\nAccept-Language: ",
         "\nAccept-Charset: ", "\nAccept-Encoding: ", "\nIf-Match: ", "\nIf-None-Match: ", "\nIf-Modified-Since: ",
         "\nIf-Unmodified-Since: ", "\nContent-Type: application/json", "\nContent-Type: application/msgpack",
         "\nContent-Type: application/x-www-form-urlencoded", "\nContent-Encoding: gzip", "\nContent-Length: 2",
         "\nOrigin: https://a.example", "\nAccess-Control-Request-Method: PUT", "\nAuthorization: Bearer x", "\nRange: bytes=0-1",
         '{"text": "a"}', '{"text": 1, "parts": [{"text"', '"', "{}", "[" * 50, "text=a&stars=1", "\x81\xa4text\xa1a", "%", "/",
         "iso-8859-15", "text/csv", *TAGS, *TIMES, *WEIGHTS),
    ),
}  # fmt: skip


def made(target: Target, chance: random.Random) -> str:
    """A text of the target's fragments; every other one is damaged."""
    text = "".join(chance.choices(target.fragments, k=chance.randint(1, 12)))
    for _ in range(chance.choice((0, 0, 1, 3))):
        at = chance.randrange(len(text) + 1)
        new = chance.choice(("", chr(chance.randrange(256)), chance.choice(target.fragments)))
        text = text[:at] + new + text[at + chance.randrange(3) :]
    return text


def hostile(target: Target, chance: random.Random) -> str:
    """The same few fragments over and over, as long as the target takes them."""
    again = "".join(chance.choices(target.fragments, k=chance.randint(1, 3)))
    start, end = (chance.choice(("", *target.fragments)) for _ in range(2))
    return start + again * (target.most // len(again)) + end


def shortened(check: Callable[[str], None], text: str) -> str:
    """The same failure with less text."""
    at = 0
    while at < len(text):
        less = text[:at] + text[at + 1 :]
        try:
            check(less)
        except Exception:
            text = less
        else:
            at += 1
    return text


def fuzz(name: str, seconds: float, seed: int) -> tuple[int, float, list[str]]:
    """Fuzz one target for a time: how many texts, the slowest in seconds, and what was found."""
    target, chance = TARGETS[name], random.Random(seed)
    end = time.monotonic() + seconds
    count, slowest, found = 0, 0.0, []
    while (begun := time.monotonic()) < end and len(found) < 5:
        text = hostile(target, chance) if count % 500 == 0 else made(target, chance)
        count += 1
        try:
            target.check(text)
        except Exception:
            found.append(
                f"{name}: {shortened(target.check, text)[:500]!r}\n{traceback.format_exc()}"
            )
        took = time.monotonic() - begun
        slowest = max(slowest, took)
        if took > PATIENCE and not found:
            found.append(f"{name}: {took:.1f} s for {len(text)} characters: {text[:200]!r}…")
    return count, slowest, found


def main(seconds: float) -> int:
    """Every target for its share of the time; what was found, in the exit status too."""
    seed = random.SystemRandom().randrange(1 << 32)
    wrong: list[str] = []
    print(f"seed {seed}")
    for name in TARGETS:
        count, slowest, found = fuzz(name, seconds / len(TARGETS), seed)
        wrong += found
        print(
            f"{name:16} {count:>11,} texts, the slowest {slowest * 1000:8.1f} ms, {len(found)} found",
            flush=True,
        )
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.path[:] = [each for each in sys.path if not each.endswith("tests/support")]
    sys.exit(main(float(sys.argv[1])))
