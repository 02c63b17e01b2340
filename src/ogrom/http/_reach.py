"""Which request would come to a given end: found by walking a resource's own graph with requests made up.

The ends that can lead nowhere else are left out first, by walking the graph backwards. Forwards, the
cheapest way is looked for: a question is answered by the very function that answers it for real, of a
request that is drafted on the way; where the other answer is wanted, the draft is changed, and all that
was asked before must still be answered as it was. What only the resource's own functions can answer is
taken as they answered when they were last seen to; wanting them to answer otherwise costs most, and is
said (`Reach.needs`).
"""

import heapq
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any, Final

import msgspec
from msgspec import Struct

from ogrom.http import _questions as questions
from ogrom.http._anatomy import Source, decides_itself, edges_of, plan_of, source_of
from ogrom.http._conditional import ETag, format_http_date
from ogrom.http._errors import Refused
from ogrom.http._example import example
from ogrom.http._graph import ACTIONS, HANDLERS
from ogrom.http._message import SERVED, Request
from ogrom.http._routing import Match, Router
from ogrom.http._walk import Plan, Prepared, Walk, begin

NOT_OFFERED: Final = "application/x-not-offered"
NO_SUCH_TAG: Final = '"no-such-tag"'
LONG_AGO: Final = "Thu, 01 Jan 1970 00:00:00 GMT"
NO_DATE: Final = "not a date"
UNKNOWN_METHOD: Final = "BREW"

_OWN: Final = 100
"""What it costs to want a function of the resource's own to answer otherwise than it did, or than is
known: more than any change of a request."""
_VISITS: Final = 20
"""How often a place is come by, each time with another draft, before it is given up."""
_LONGEST: Final = 4 << 20
"""No longer content, in bytes, is made up."""


class Seen(Struct, frozen=True):
    """A request that was answered, and what is known from it."""

    request: Request
    """With its content as bytes."""
    answers: Mapping[str, bool] = {}
    """Of each decision that was taken."""
    tag: ETag | str | None = None
    """The entity's revision or whole tag, where it was asked for."""
    last_modified: datetime | None = None
    trace: str = ""
    """What the trace is called."""


class Need(Struct, frozen=True):
    """What a function of the resource's own has to say."""

    decision: str
    answer: bool | None
    says: str
    """"exists would have to return None"."""
    source: Source
    seen: bool
    """Whether it was seen to say so, in the request that this one was made from."""


class Reach(Struct, frozen=True):
    """A request that comes to an end, or why there is none."""

    end: str
    status: int
    found: bool
    says: str
    request: Request | None = None
    path: tuple[str, ...] = ()
    """What is left of the walk for the method, the end last."""
    needs: tuple[Need, ...] = ()
    """What depends on the resource's own functions, and was not seen."""
    assumes: tuple[Need, ...] = ()
    """What depends on them, and was seen."""
    base: str = ""
    """The trace of the request that this one was made from."""


def ends_of(prepared: Prepared) -> tuple[str, ...]:
    """Every end that some method's request for this resource can come to, by status."""
    found = {
        edge.end
        for method in (*SERVED, UNKNOWN_METHOD)
        for edge in edges_of(plan_of(prepared, method))
        if edge.end in HANDLERS
    }
    found |= {plan_of(prepared, each).start for each in (*SERVED, UNKNOWN_METHOD)} & set(HANDLERS)
    found.add("handle_internal_server_error")
    return tuple(sorted(found, key=lambda each: (HANDLERS[each], each)))


def reach(
    prepared: Prepared,
    end: str,
    seen: Sequence[Seen],
    match: Match[Any],
    router: Router[Any],
) -> Reach:
    """The cheapest request that comes to an end.

    Args:
        prepared: the resource.
        end: a handler.
        seen: requests for this path, the newest first; at least one. The method of the first is
            preferred.
        match: where the path leads.
        router: the one that says so.
    """
    if end in {"handle_internal_server_error", "handle_refused"}:
        return _by_raising(prepared, end)
    first = seen[0].request.method
    allowed = [each for each in prepared.methods if each != first]
    others = [each for each in SERVED if each not in allowed and each != first]
    best: tuple[tuple[int, int], Reach] | None = None
    for turn, method in enumerate([first, *allowed, *others, UNKNOWN_METHOD]):
        for base in _bases(seen, method):
            search = _Search(prepared, method, base, seen, match, router)
            if (found := search.to(end)) is not None:
                cost, reached = found
                if best is None or (cost, turn) < best[0]:
                    best = (cost, turn), reached
                if cost < _OWN:
                    break
        if best is not None and best[0][0] < _OWN:
            break
    return best[1] if best is not None else _unreachable(prepared, end)


def _bases(seen: Sequence[Seen], method: str) -> list[Seen]:
    """What a request of a method is made from: those that were seen to have it, else the newest's
    fields alone.
    """
    same = [each for each in seen if each.request.method == method][:4]
    answers = dict(seen[0].answers) if method in {"GET", "HEAD"} else {}
    if method not in {"GET", "HEAD"}:
        exists = next((each.answers["exists"] for each in seen if "exists" in each.answers), None)
        answers = {} if exists is None else {"exists": exists}
    fields = {
        name: value
        for name, value in seen[0].request.headers.items()
        if not name.startswith(("content-", "transfer-", "if-"))
    }
    bare = msgspec.structs.replace(
        seen[0],
        request=msgspec.structs.replace(
            seen[0].request, method=method, headers=fields, content=b""
        ),
        answers=answers,
    )
    return [*same, bare]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A request on its way to be one."""

    query: str
    headers: Mapping[str, str]
    content: bytes

    def sent(self, name: str, value: str | None) -> "_Draft":
        headers = {key: each for key, each in self.headers.items() if key != name}
        return replace(self, headers=headers if value is None else {**headers, name: value})


@dataclass(frozen=True, slots=True)
class _Way:
    """How far one has come: what was asked, and what it came to."""

    draft: _Draft
    walk: Walk
    """As those questions have left it."""
    taken: tuple[tuple[str, bool | None], ...] = ()
    needs: tuple[tuple[str, bool], ...] = ()
    assumes: tuple[tuple[str, bool], ...] = ()


class _Search:
    """Looks for the cheapest way through one method's graph, from one request that was seen."""

    def __init__(
        self,
        prepared: Prepared,
        method: str,
        base: Seen,
        seen: Sequence[Seen],
        match: Match[Any],
        router: Router[Any],
    ) -> None:
        self._real = prepared
        self._plan: Plan = plan_of(prepared, method)
        self._edges = tuple(edges_of(self._plan))
        self._end, self._leads = "", set[str]()
        self._vain: dict[tuple[str, str], bool] = {}
        self._method = method
        self._base = base
        self._match, self._router = match, router
        self._path = base.request.path
        self._tag = next((each.tag for each in seen if each.tag is not None), None)
        self._date = next((each.last_modified for each in seen if each.last_modified), None)
        self._queries = tuple(dict.fromkeys(each.request.query for each in seen))
        # What is compared with is what was seen, so that no function of the resource's is called.
        self._stand_in = replace(
            prepared,
            resource=replace(
                prepared.resource, etag=self._constant_tag(), last_modified=self._date,
                precondition_required=False,
            ),
        )  # fmt: skip

    def _constant_tag(self) -> Any:
        tag = self._tag
        if not isinstance(tag, str):
            return tag

        def revision(_: object) -> str:
            return tag

        return revision

    def to(self, end: str) -> tuple[int, Reach] | None:
        """The cheapest way to an end, and what it costs; None where there is none."""
        self._end, self._leads = end, self._leading_to(end)
        self._vain.clear()
        if self._plan.start not in self._leads:
            return None
        base = self._base.request
        content = base.content if isinstance(base.content, bytes) else b""
        headers = {key: each for key, each in base.headers.items() if key != "transfer-encoding"}
        draft = _Draft(base.query, headers, content)
        start = self._walked(draft, ())
        assert start is not None  # nothing was asked yet
        turn = count()
        ahead = [(0, next(turn), self._plan.start, _Way(draft, start))]
        visits: dict[str, int] = {}
        while ahead:
            cost, _, node, way = heapq.heappop(ahead)
            if node == end:
                return cost, self._reached(end, way)
            visits[node] = visits.get(node, 0) + 1
            if node in HANDLERS or visits[node] > _VISITS:
                continue
            for more, following, onward in self._onward(node, way):
                if following in self._leads:
                    heapq.heappush(ahead, (cost + more, next(turn), following, onward))
        return None

    def _leading_to(self, end: str) -> set[str]:
        """Backwards: all places from which the end can be come to."""
        leads = {end}
        for edge in reversed(self._edges):  # they lead forward, so once through is enough
            if edge.end in leads:
                leads.add(edge.start)
        return leads

    def _onward(self, node: str, way: _Way) -> Iterator[tuple[int, str, _Way]]:
        if (following := self._plan.after.get(node)) is not None:
            yield 0, following, replace(way, taken=(*way.taken, (node, None)))
            return
        _, yes, no = self._plan.steps[node]
        if decides_itself(self._real.resource, node):
            for answer, following in ((True, yes), (False, no)):
                if node == "new" and answer and self._method == "PUT" and way.walk.exists:
                    continue  # a PUT to what is there creates nothing, whatever it returns
                yield self._own(node, way, following, answer=answer)
            return
        said = self._ask(node, way.walk)
        if said is not None:
            taken = (*way.taken, (node, said))
            yield 0, yes if said else no, replace(way, taken=taken)
        for answer, following in ((True, yes), (False, no)):
            if said is answer or self._in_vain(following, yes if said else no, said=said):
                continue
            taken = (*way.taken, (node, answer))
            for cost, draft in self._changed(node, way, answer=answer):
                if (walk := self._walked(draft, taken)) is not None:
                    yield cost, following, replace(way, taken=taken, draft=draft, walk=walk)

    def _own(self, node: str, way: _Way, following: str, *, answer: bool) -> tuple[int, str, _Way]:
        """A function of the resource's own says so: as it was seen to, or as it would have to."""
        seen = self._base.answers.get(node)
        walk = copy(way.walk)
        if node == "exists":
            walk.exists, walk.entity = answer, object() if answer else None
        onward = replace(way, taken=(*way.taken, (node, answer)), walk=walk)
        if seen is answer:
            return 0, following, replace(onward, assumes=(*way.assumes, (node, answer)))
        cost = _OWN + (50 if seen is not None else 0)
        return cost, following, replace(onward, needs=(*way.needs, (node, answer)))

    def _in_vain(self, other: str, present: str, *, said: bool | None) -> bool:
        """Whether the other answer leads nowhere but back to where the present one leads."""
        if said is None or present not in self._leads:
            return False
        key = other, present
        if key not in self._vain:
            ahead, known = [other], {present}
            while ahead:
                each = ahead.pop()
                if each not in known and each in self._leads:
                    known.add(each)
                    ahead += [edge.end for edge in self._edges if edge.start == each]
            self._vain[key] = self._end not in known
        return self._vain[key]

    def _request(self, draft: _Draft) -> Request:
        headers = dict(draft.headers)
        headers.pop("content-length", None)
        if draft.content:
            headers["content-length"] = str(len(draft.content))
        return Request(
            method=self._method, path=self._path, query=draft.query, headers=headers,
            content=draft.content,
        )  # fmt: skip

    def _walked(self, draft: _Draft, taken: Iterable[tuple[str, bool | None]]) -> Walk | None:
        """A walk that has come so far with a draft; None where it would have gone elsewhere."""
        walk = begin(
            self._stand_in, self._request(draft), self._match, self._router, trace=False
        )  # fmt: skip
        for name, answer in taken:
            if name in ACTIONS or answer is None:
                continue
            if decides_itself(self._real.resource, name):
                if name == "exists":
                    walk.exists, walk.entity = answer, object() if answer else None
                continue
            if self._ask(name, walk) is not answer:
                return None
        return walk

    def _ask(self, name: str, walk: Walk) -> bool | None:
        if name == "precondition_required":  # of the real resource; the stand-in has no such say
            return (
                self._real.resource.precondition_required and self._method in questions.OVERWRITES
            )
        try:
            said = self._plan.steps[name][0](walk)
            if isinstance(said, bool):
                return said
            said.__await__().send(None)  # a content that is there already is read without a wait
        except StopIteration as done:
            return bool(done.value)
        except (Refused, ValueError):  # what is no tag or no charset is the resource's own mistake
            return None
        return None

    # changes

    def _changed(self, node: str, way: _Way, *, answer: bool) -> Iterator[tuple[int, _Draft]]:
        """Drafts that may bring about the other answer, and what each costs."""
        for draft in self._drafts(node, way, answer=answer):
            yield 2 if "*" in {draft.headers.get(name) for name in _TAGS} else 1, draft

    def _drafts(self, node: str, way: _Way, *, answer: bool) -> Iterator[_Draft]:
        draft = way.draft
        if (presence := _PRESENCE.get(node)) is not None:
            values = self._values(presence, way) if answer else (None,)
            yield from (draft.sent(presence, value) for value in values)
        elif (of := _VALUE_OF.get(node)) is not None:
            yield from (draft.sent(of, value) for value in self._values(of, way))
        elif node == "precondition_exists":
            if answer:
                yield from (
                    draft.sent("if-match", value) for value in self._values("if-match", way)
                )
            else:
                yield (
                    draft.sent("if-match", None)
                    .sent("if-none-match", None)
                    .sent("if-unmodified-since", None)
                )
        elif node == "is_preflight":
            origins = self._real.cors.origins if self._real.cors else ()
            origin = next((each for each in origins if each != "*"), "https://elsewhere.example")
            yield draft.sent("origin", origin if answer else None).sent(
                "access-control-request-method", "GET" if answer else None
            )
        elif node == "query_valid":
            yield from (replace(draft, query=query) for query in self._new_queries())
        elif node == "content_headers_valid":
            yield draft.sent("content-range", None if answer else "bytes 0-0/1")
        elif node in questions.OF_CONTENT:
            yield from self._contents(draft)

    def _values(self, field: str, way: _Way) -> tuple[str, ...]:
        if field in _NEGOTIATED:
            return _NEGOTIATED[field]
        if field.endswith("-since"):
            dates = () if self._date is None else (format_http_date(self._date),)
            return (*dates, LONG_AGO, NO_DATE)
        tag = self._sendable(way)
        return (*(() if tag is None else (tag,)), "*", NO_SUCH_TAG)

    def _sendable(self, way: _Way) -> str | None:
        """The tag of the variant that the draft would get; None where none is known."""
        try:
            tag = questions.variant_tag(way.walk)
        except ValueError:  # the resource's own mistake: its answers are 500
            return None
        return None if tag is None else str(tag)

    def _new_queries(self) -> Iterator[str]:
        yield from self._queries
        yield ""
        kind: Any = self._real.resource.query
        for name in getattr(kind, "__struct_encode_fields__", ()):
            yield f"{name}=1&{name}=2"
            yield f"{name}=-1"
            yield f"{name}=x"
        yield "no-such-parameter=1"

    def _contents(self, draft: _Draft) -> Iterator[_Draft]:
        reader = self._real.readers.get(self._method)
        kind = self._real.resource.body_of(self._method)
        if reader is None:
            return
        plain = draft.sent("content-encoding", None)
        typed = plain.sent("content-type", str(reader.media[0].type))
        made = example(kind)
        if made is not None:
            yield replace(typed, content=made)
        for content in (b"{}", b"[]", b"null", b"0", b'{"no-such-field":1}', b"{"):
            yield replace(typed, content=content)
        yield replace(plain.sent("content-type", NOT_OFFERED), content=draft.content or b"x")
        limit = self._real.resource.max_content
        if limit < _LONGEST:
            yield replace(typed, content=b" " * (limit + 1))
            packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
            packed = packer.compress(b" " * (limit + 1)) + packer.flush()
            yield replace(typed.sent("content-encoding", "gzip"), content=packed)

    def _reached(self, end: str, way: _Way) -> Reach:
        resource = self._real.resource
        needs = tuple(need_of(resource, name, answer, self._method) for name, answer in way.needs)
        assumes = tuple(
            need_of(resource, name, answer, self._method, seen=True) for name, answer in way.assumes
        )
        says = "This request comes there"
        if needs:
            says = "It depends on the resource: " + "; ".join(each.says for each in needs)
        elif assumes:
            says += ", where the resource answers as it did"
        return Reach(
            end=end,
            status=HANDLERS[end],
            found=True,
            says=f"{says}.",
            request=self._request(way.draft),
            path=(*(name for name, _ in way.taken), end),
            needs=needs,
            assumes=assumes,
            base=self._base.trace,
        )


_TAGS: Final = ("if-match", "if-none-match")
_PRESENCE: Final = {
    "accept_exists": "accept",
    "accept_language_exists": "accept-language",
    "accept_charset_exists": "accept-charset",
    "accept_encoding_exists": "accept-encoding",
    "if_match_exists": "if-match",
    "if_match_exists_for_missing": "if-match",
    "if_none_match_exists": "if-none-match",
    "if_unmodified_since_exists": "if-unmodified-since",
    "if_modified_since_exists": "if-modified-since",
}
_VALUE_OF: Final = {
    "media_type_available": "accept",
    "language_available": "accept-language",
    "charset_available": "accept-charset",
    "encoding_available": "accept-encoding",
    "if_match_star": "if-match",
    "etag_matches_for_if_match": "if-match",
    "if_none_match_star": "if-none-match",
    "etag_matches_for_if_none_match": "if-none-match",
    "if_unmodified_since_valid_date": "if-unmodified-since",
    "unmodified_since": "if-unmodified-since",
    "if_modified_since_valid_date": "if-modified-since",
    "modified_since": "if-modified-since",
}
_NEGOTIATED: Final = {
    "accept": ("*/*", NOT_OFFERED),
    "accept-language": ("*", "*;q=0"),
    "accept-charset": ("*", "*;q=0"),
    "accept-encoding": ("identity", "identity;q=0, *;q=0"),
}


_WOULD: Final[Mapping[str, tuple[str, str]]] = {
    # decision               for yes                         for no
    "exists":              ("find it",                      "return None"),
    "authorized":          ("return who asks",              "return None"),
    "put_to_different_url": ("return where",                "return None"),
    "moved_permanently":   ("return where",                 "return None"),
    "permanent_redirect":  ("return where",                 "return None"),
    "moved_temporarily":   ("return where",                 "return None"),
    "delete_enacted":      ("return something else than Accepted(…)", "return Accepted(…)"),
    "patch_enacted":       ("return something else than Accepted(…)", "return Accepted(…)"),
    "put_enacted":         ("return something else than Accepted(…)", "return Accepted(…)"),
    "post_enacted":        ("return something else than Accepted(…)", "return Accepted(…)"),
    "post_redirect":       ("return SeeOther(…)",           "return something else than SeeOther(…)"),
    "new":                 ("return Created(…)",            "return Updated(…) or NoContent()"),
    "respond_with_entity": ("return Updated(…)",            "return NoContent()"),
}  # fmt: skip


def need_of(
    resource: Any,
    name: str,
    answer: bool,
    method: str,
    *,
    seen: bool = False,
) -> Need:
    """What a function of the resource's own has to say, in words."""
    yes, no = _WOULD.get(name, ("say yes", "say no"))
    source = source_of(resource, name, method)
    place = source.places[0] if source.places else None
    who = (
        f"{place.name} ({place.where})" if place and place.where else place.name if place else name
    )
    would = yes if answer else no
    says = f"{who} has to {would}, as before" if seen else f"{who} would have to {would}"
    return Need(name, answer, says, source, seen)


def _by_raising(prepared: Prepared, end: str) -> Reach:
    resource = prepared.resource
    own = [
        source_of(resource, name)
        for name in (*prepared.whole.steps, *ACTIONS, *HANDLERS)
        if callable(getattr(resource, name, None))
    ]
    names = ", ".join(f"{each.places[0].name} ({each.places[0].where})" for each in own)
    what = "an unexpected exception" if end == "handle_internal_server_error" else "a refusal"
    says = f"No request alone: one of the resource's functions would have to raise {what}: {names}."
    if not own:
        says = "No request: the resource has no function of its own that could raise anything."
    return Reach(end, HANDLERS[end], found=False, says=says)


def _unreachable(prepared: Prepared, end: str) -> Reach:
    status = HANDLERS[end]
    says = f"No request that can be made up comes to {status} by an edge of this resource's graph."
    resource = prepared.resource
    if status in {304, 412} and resource.etag is None and resource.last_modified is None:
        says += " It has neither etag nor last_modified to compare with."
    elif status in {304, 412}:
        says += " No ETag and no date of it were seen: GET it first."
    return Reach(end, status, found=False, says=says)
