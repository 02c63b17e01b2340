"""Which request would come to a given end: found by walking a resource's own graph with requests made up.

The ends that can lead nowhere else are left out first, by walking the graph backwards. Forwards, the
cheapest way is looked for: a question is answered by the very function that answers it for real, of a
request that is drafted on the way; where the other answer is wanted, the draft is changed, and all that
was asked before must still be answered as it was. What only the resource's own functions can answer is
taken as they answered when they were last seen to; wanting them to answer otherwise costs most, and is
said (`Reach.needs`).
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

import msgspec

from ogrom.http import _questions as questions
from ogrom.http._anatomy import decides_itself, edges_of, plan_of
from ogrom.http._drafts import Changes, Draft
from ogrom.http._errors import Refused
from ogrom.http._graph import ACTIONS, HANDLERS
from ogrom.http._message import SERVED, Request
from ogrom.http._needs import Reach, Seen, by_raising, need_of, unreachable
from ogrom.http._routing import Match, Router
from ogrom.http._walk import Plan, Prepared, Walk, begin

UNKNOWN_METHOD: Final = "BREW"

_OWN: Final = 100
"""What it costs to want a function of the resource's own to answer otherwise than it did, or than is
known: more than any change of a request."""
_VISITS: Final = 20
"""How often a place is come by, each time with another draft, before it is given up."""


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
    like: Seen | None = None,
) -> Reach:
    """The cheapest request that comes to an end.

    Args:
        prepared: the resource.
        end: a handler.
        seen: requests for this path, the newest first; at least one.
        match: where the path leads.
        router: the one that says so.
        like: the one of them that it is best like, in method and fields; else the newest.
    """
    if end in {"handle_internal_server_error", "handle_refused"}:
        return by_raising(prepared, end)
    model = like or seen[0]
    first = model.request.method
    allowed = [each for each in prepared.methods if each != first]
    others = [each for each in SERVED if each not in allowed and each != first]
    best: tuple[tuple[int, int], Reach] | None = None
    for turn, method in enumerate([first, *allowed, *others, UNKNOWN_METHOD]):
        for base in _bases(model, seen, method):
            search = _Search(prepared, method, base, seen, match, router)
            if (found := search.to(end)) is not None:
                cost, reached = found
                if best is None or (cost, turn) < best[0]:
                    best = (cost, turn), reached
                if cost < _OWN:
                    break
        if best is not None and best[0][0] < _OWN:
            break
    return best[1] if best is not None else unreachable(prepared, end)


def _bases(model: Seen, seen: Sequence[Seen], method: str) -> list[Seen]:
    """What a request of a method is made from: those that were seen to have it, else the newest's
    fields alone.
    """
    same = [each for each in (model, *seen) if each.request.method == method][:4]
    answers = dict(model.answers) if method in {"GET", "HEAD"} else {}
    if method not in {"GET", "HEAD"}:
        exists = next((each.answers["exists"] for each in seen if "exists" in each.answers), None)
        answers = {} if exists is None else {"exists": exists}
    fields = {
        name: value
        for name, value in model.request.headers.items()
        if not name.startswith(("content-", "transfer-", "if-"))
    }
    bare = msgspec.structs.replace(
        model,
        request=msgspec.structs.replace(model.request, method=method, headers=fields, content=b""),
        answers=answers,
    )
    return [*same, bare]


@dataclass(frozen=True, slots=True)
class _Way:
    """How far one has come: what was asked, and what it came to."""

    draft: Draft
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
        queries = tuple(dict.fromkeys(each.request.query for each in seen))
        self._changes = Changes(prepared, method, queries, self._date)
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
        draft = Draft(base.query, headers, content)
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
            for cost, draft in self._changes.changed(node, way.draft, way.walk, answer=answer):
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

    def _request(self, draft: Draft) -> Request:
        headers = dict(draft.headers)
        headers.pop("content-length", None)
        if draft.content:
            headers["content-length"] = str(len(draft.content))
        return Request(
            method=self._method, path=self._path, query=draft.query, headers=headers,
            content=draft.content,
        )  # fmt: skip

    def _walked(self, draft: Draft, taken: Iterable[tuple[str, bool | None]]) -> Walk | None:
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
