"""What REDbot would say of one HTTP answer: the rules of RFC 9110, 9111, 8288 and 9457, and who breaks them.

`of_answer` yields complaints as sentences, nothing where all is well.
"""

import csv
import gzip
import io
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import brotli
import msgspec
import zstandard

from support.exchange import Answer

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e\x80-\xff])*"'
PARAMETER = rf"{TOKEN}=(?:{TOKEN}|{QUOTED})"
TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
DATE = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT"
MEDIA = rf"{TOKEN}/{TOKEN}(?:[ \t]*;[ \t]*{PARAMETER})*"
URI = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*"
LINK = rf"<{URI}>(?:[ \t]*;[ \t]*{TOKEN}(?:=(?:{TOKEN}|{QUOTED}))?)+"


def _list(member: str) -> str:
    return rf"{member}(?:[ \t]*,[ \t]*{member})*"


GRAMMAR: Mapping[str, str] = {
    "accept": _list(MEDIA),
    "accept-encoding": _list(TOKEN),
    "accept-patch": _list(MEDIA),
    "accept-ranges": "none|bytes",
    "access-control-allow-headers": _list(TOKEN),
    "access-control-allow-methods": _list(TOKEN),
    "access-control-allow-origin": rf"\*|null|https?://{URI}",
    "access-control-expose-headers": _list(TOKEN),
    "access-control-max-age": r"\d+",
    "age": r"\d+",
    "allow": rf"(?:{_list(TOKEN)})?",
    "cache-control": _list(rf"{TOKEN}(?:=(?:{TOKEN}|{QUOTED}))?"),
    "connection": _list(TOKEN),
    "content-encoding": _list(TOKEN),
    "content-language": _list(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*"),
    "content-length": r"\d+",
    "content-location": URI,
    "content-type": MEDIA,
    "date": DATE,
    "etag": TAG,
    "last-modified": DATE,
    "link": _list(LINK),
    "location": URI,
    "ogrom-release": r"[0-9a-f]{7,}",
    "retry-after": rf"\d+|{DATE}",
    "vary": rf"\*|{_list(TOKEN)}",
    "www-authenticate": rf"{TOKEN}(?: {_list(PARAMETER)})?",
    "x-request-id": r"[A-Za-z0-9._:/+=-]{1,128}",
}
"""What each field may look like. A field that is not here is a complaint: nobody has looked at it."""

DIRECTIVES = {
    "immutable", "max-age", "must-revalidate", "no-cache", "no-store", "no-transform", "private",
    "proxy-revalidate", "public", "s-maxage", "stale-if-error", "stale-while-revalidate",
}  # fmt: skip
NUMBERED = {"max-age", "s-maxage", "stale-if-error", "stale-while-revalidate"}

ABOUT_CONTENT = {
    "content-encoding", "content-language", "content-length", "content-type", "content-range",
    "transfer-encoding",
}  # fmt: skip
UNPACK = {
    "": bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda content: zstandard.ZstdDecompressor().decompress(content),
}


def directives(answer: Answer) -> dict[str, str]:
    """Cache-Control, taken apart."""
    pairs = (each.strip().partition("=") for each in answer["cache-control"].split(",") if each)
    return {name.lower(): value for name, _, value in pairs}


def plain(answer: Answer) -> bytes:
    """The content, decoded; raises where it is not what Content-Encoding says."""
    return UNPACK[answer["content-encoding"]](answer.content)


def value(answer: Answer) -> Any:
    """What the content says; raises where it is not what Content-Type says."""
    content, kind = plain(answer), answer["content-type"].partition(";")[0]
    if kind == "application/msgpack":
        return msgspec.msgpack.decode(content)
    if kind == "text/csv":
        rows = list(csv.reader(io.StringIO(content.decode()), strict=True))
        if len({len(row) for row in rows}) > 1:
            raise ValueError("rows of different lengths")
        return rows
    return msgspec.json.decode(content)


def links(answer: Answer) -> list[str]:
    """The targets of its Link."""
    return re.findall(rf"<({URI})>", answer["link"])


# one answer


def of_answer(method: str, answer: Answer) -> Iterator[str]:
    """What is wrong with one answer by itself."""
    for name, held in answer.lines:
        if (rule := GRAMMAR.get(name.lower())) is None:
            yield f"{name} is a field that nobody has looked at"
        elif re.fullmatch(rule, held) is None:
            yield f"{name}: {held!r} is not of its grammar"
    for name in answer.names:
        if sum(name == each.lower() for each, _ in answer.lines) > 1:
            yield f"{name} comes more than once"
    if "date" not in answer:
        yield "there is no Date"
    elif abs(parsedate_to_datetime(answer["date"]).timestamp() - time.time()) > 60:
        yield f"Date is another: {answer['date']}"
    yield from _of_caching(method, answer)
    yield from _of_status(method, answer)
    yield from _of_content(method, answer)


def _of_caching(method: str, answer: Answer) -> Iterator[str]:
    said = directives(answer)
    for name, held in said.items():
        if name not in DIRECTIVES:
            yield f"Cache-Control: {name} is no directive"
        if (name in NUMBERED) != held.isdecimal():
            yield f"Cache-Control: {name}={held!r}"
    for one, other in (("public", "private"), ("no-store", "max-age"), ("no-store", "no-cache")):
        if one in said and other in said:
            yield f"Cache-Control says {one} and {other}"
    if answer.status >= 400 and "no-store" not in said:
        yield f"caches may keep this {answer.status}"
    if answer.status < 300 and method in {"GET", "HEAD"} and not said:
        yield "no Cache-Control: caches have to guess"
    if "last-modified" in answer and parsedate_to_datetime(
        answer["last-modified"]
    ) > parsedate_to_datetime(answer["date"]):
        yield "Last-Modified is in the future"
    if "private" not in said and "no-store" not in said and "set-cookie" in answer:
        yield "a cookie that everybody may get"


WANTED = {
    201: {"location"},
    401: {"www-authenticate"},
    405: {"allow"},
    429: {"retry-after"},
    503: {"retry-after"},
}


def _of_status(method: str, answer: Answer) -> Iterator[str]:
    wanted = WANTED.get(answer.status, set())
    if answer.status == 415:
        wanted = {"accept-patch" if method == "PATCH" else "accept", "accept-encoding"}
    if answer.status == 201 and method == "PUT":
        wanted = set()  # what was made is what was asked for
    for name in wanted - answer.names:
        yield f"{answer.status} without {name}"
    if answer.status in {204, 304}:
        for name in answer.names & ABOUT_CONTENT:
            yield f"{answer.status} with {name}"
    elif answer.status >= 200 and "content-length" not in answer:
        yield "there is no Content-Length"
    if answer.status == 206 and "content-range" not in answer:
        yield "206 without Content-Range"


def _of_content(method: str, answer: Answer) -> Iterator[str]:
    if method == "HEAD" or answer.status in {204, 304}:
        return
    if not answer.content:
        if "content-type" in answer:
            yield "a type of no content"
        return
    if "content-type" not in answer:
        yield "content without a type"
        return
    try:
        said = value(answer)
    except (ValueError, KeyError, OSError, brotli.error, zstandard.ZstdError) as error:
        yield f"the content is not {answer['content-type']} {answer['content-encoding']}: {error}"
        return
    if answer.status >= 400:
        if answer["content-type"] not in {"application/problem+json", "application/msgpack"}:
            yield f"an error in {answer['content-type']}"
        yield from _of_problem(answer, said)


def _of_problem(answer: Answer, said: Any) -> Iterator[str]:
    """RFC 9457, section 3."""
    if not isinstance(said, dict):
        yield "an error without problem details"
        return
    if said.get("status") != answer.status:
        yield f"the problem's status is {said.get('status')}"
    if not (said.get("title") and said.get("detail")):
        yield "a problem without title or detail"
    if said.get("request_id", answer["x-request-id"]) != answer["x-request-id"]:
        yield "the problem names another request"
    if not re.fullmatch(URI, said.get("type", "about:blank")):
        yield "the problem's type is no URI"
    for each in said.get("errors", ()):
        if not (str(each["pointer"]).startswith(("#", "?")) and each["detail"]):
            yield f"an error that points nowhere: {each}"
