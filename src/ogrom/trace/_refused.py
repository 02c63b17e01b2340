"""A head that the server refused before any resource was asked, as a trace: what came, and why it was refused."""

import secrets
import time

import msgspec

from ogrom.http import Response
from ogrom.http.insight import Source
from ogrom.trace._redact import Redactor, scrub
from ogrom.trace._show import shown
from ogrom.trace._trace import Kept, Message, Raw, Summary, Trace, TracedStep

_FIELDS = 200
"""So many fields of a head are shown."""


def refused(
    head: bytes, response: Response, detail: str, redactor: Redactor, *,
    number: int, request_id: str, replays: str, meant: str,
) -> Kept:  # fmt: skip
    """The trace of a refusal.

    Args:
        head: as far as it came.
        response: what was answered.
        detail: why.
        redactor: what must not be shown.
        number: of the trace.
        request_id: which the answer has.
        replays: the trace of the request that this one repeats.
        meant: the end that it was made up to come to.
    """
    method, path, query, fields = read(head)
    summary = Summary(
        number=number, id=secrets.token_urlsafe(12), at=time.time(), method=method,
        target=redactor.target(path, query), status=response.status, milliseconds=0.0, end="",
        route="", error=False,
    )  # fmt: skip
    answered = {name.lower(): value for name, value in response.headers}
    trace = Trace(
        summary=summary,
        request_id=request_id,
        trace_id="",
        traceparent="",
        client_traced=False,
        request=Message(redactor.fields(fields), "", f"{len(head):,} bytes had come"),
        resource="",
        pattern="",
        parameters=(),
        tried=(),
        steps=(
            TracedStep(
                name="head", kind="decision", answer=False, says="Can the server take the head?",
                why=detail, rows=(), rfc="RFC 9112", source=Source("http"), added=(),
                microseconds=0.0,
            ),
        ),
        path=(),
        calls=(),
        error=None,
        response=Message(
            tuple(response.headers), *shown(response.content, answered, redactor, 1 << 15)
        ),
        curl="",
        replays=replays,
        meant=meant,
    )  # fmt: skip
    hidden = redactor.values(fields, query, [])
    headers = {name.lower(): value for name, value in fields if name}
    return Kept(
        summary=summary,
        written=msgspec.json.encode(scrub(msgspec.to_builtins(trace), hidden)),
        pattern="",
        path=(),
        raw=Raw(method, path, query, headers, b"", {}, None, None, None),
    )


def read(head: bytes) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Method, path, query and fields, as far as they can be made out. A line that is no field is not
    shown, for nobody knows whether a secret is in it; only how long it is.
    """
    first, *lines = head[: 1 << 16].decode("latin-1").replace("\r\n", "\n").split("\n")
    words = first.split(" ")
    fields: list[tuple[str, str]] = []
    for line in lines[:_FIELDS]:
        name, colon, value = line.partition(":")
        if colon and name.strip() and name.isprintable():
            fields.append((name.strip(), value.strip()))
        elif line:
            fields.append(("", f"a line that is no field, of {len(line):,} characters"))
    if len(words) < 2 or not (words[0].isascii() and words[0].isalpha()):
        return "-", "-", "", fields
    path, _, query = words[1].partition("?")
    return words[0][:20], path[:2000], query[:2000], fields
