"""What bidi 2.1.6 answers, asked of our router in our syntax.

Every case is translated; none is left out. Where the two differ, the difference has a name in
`REASONS`, and code that shows that it is this difference and no other.

Translated on the way: the query string is cut off, as whoever calls `match` does, and the path is
percent-encoded. A method guard is no route: it becomes a guarded handler in the leaf of its path.
A parameter that stands twice in a route is renamed the second time. A regular expression has no
groups, and has a name. `path_for` is given no superfluous parameters.
"""

import gzip
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import UUID

import pytest

from ogrom.http._routing import LinkError, Router, RoutesError

FOLDER = Path(os.environ.get("OGROM_CASES", Path(__file__).parent.parent / "conformance"))
FILE = FOLDER / "bidi.jsonl.gz"

REASONS = {
    "text": "{name} is any text, decoded; bidi's is [A-Za-z0-9-_.]+, undecoded",
    "digits": "an int has at most 18 digits; bidi's has 19, and 2**63 breaks it",
    "specific": "the most specific route wins, wherever it stands; bidi's first does",
    "method": "the path alone chooses the route, so that 405 can be told; bidi looks further",
    "slash": "a path never begins with a slash; bidi's `true` takes anything",
    "segment": "a parameter is one segment or a part of it, and not empty; bidi's `.*` is any text",
    "groups": "bidi counts the groups of a parameter's own regular expression as parameters",
    "encoded": "paths are written percent-encoded; bidi writes text as it is",
    "several": "a set has several paths, and a link must say which; bidi takes one of them",
    "keyword": "Python has no keywords; bidi refuses a string in the place of one",
    "order": "bidi has no order in a set, and none in a map of more than eight",
    "refused": "two routes that match the same paths are refused; bidi never reaches the second",
}

BIDI_TEXT = r"[A-Za-z0-9\-_.]+"
BIDI_NUMBER = r"-?[0-9]{1,19}"
BIDI_KEYWORD = r"[A-Za-z]+[A-Za-z0-9*+!\-_?.]*"
BIDI_KEYWORD = f"{BIDI_KEYWORD}(?:/{BIDI_KEYWORD})?"
NOT_COMPARED = {"rest", "_regex"}  # named here, anonymous there


_PARAMETER = re.compile(r"\{(\w+)(?::(?:/(.+?)/|(\w+)))?\}")


@dataclass(frozen=True)
class Handler:
    """What one bidi route leads to, and what it asks of the request beside the path."""

    name: str
    tag: str | None
    guards: tuple[tuple[str, str], ...]
    is_catch_all: bool

    def takes(self, options):
        """Whether it answers this request."""
        return all(_value(options.get(key)) == wanted for key, wanted in self.guards)


@dataclass(frozen=True)
class Table:
    """One bidi table in our syntax."""

    router: Router[tuple[Handler, ...]]
    entries: list[tuple[str, tuple[str, ...], Handler]]
    lead: str
    dropped: tuple[tuple[str, Handler], ...]
    """What bidi never reaches and we refuse: not in the router."""

    @property
    def never_reached(self):
        """The handlers of which no route is left."""
        return {h.name for _, h in self.dropped} - {h.name for _, _, h in self.entries}


def _value(value):
    """A bidi value in Python."""
    if isinstance(value, dict):
        return value["kw"] if "kw" in value else UUID(value["uuid"])
    return value


def _regex(text):
    return text.replace("(a|b)", "(?:a|b)")


def _segment(part, used, exactly):
    """One segment of a bidi pattern; `exactly` as bidi would read it, or as we would write it."""
    if isinstance(part, str):
        return part
    kind, name = (None, part["kw"]) if isinstance(part, dict) else (part[0], part[1]["kw"])
    used.append(name)
    if used.count(name) > 1:
        name = f"{name}__{used.count(name)}"
    if kind is None:
        return f"{{{name}:/{BIDI_TEXT}/}}" if exactly else f"{{{name}}}"
    if "re" in kind:
        return f"{{{name}:/{_regex(kind['re'])}/}}"
    number = f"/{BIDI_NUMBER}/" if exactly else "int"
    types = {"long": number, "uuid": "uuid", "keyword": f"/{BIDI_KEYWORD}/"}
    return f"{{{name}:{types[kind['fn']]}}}"


def _variants(pattern, used, exactly):
    """What a bidi pattern is in ours: keys, with guards."""
    if pattern is True:
        return [("", {}), ("{rest:path}", {})]
    if isinstance(pattern, str):
        return [(pattern, {})]
    if "re" in pattern:
        return [(f"{{_regex:/{_regex(pattern['re'])}/}}", {})]
    if "kw" in pattern:
        return [("", {"request-method": pattern["kw"]})]
    if "guard" in pattern:
        return [("", pattern["guard"])]
    if "set" in pattern:
        return [one for each in pattern["set"] for one in _variants(each, used, exactly)]
    return [("".join([_segment(part, used, exactly) for part in pattern["seg"]]), {})]


def _chains(pattern, matched, keys, guards, tag, used, exactly):
    """Every bidi route as the chain of our keys that leads to a handler."""
    used = list(used)
    for key, more in _variants(pattern, used, exactly):
        chain, all_guards = (*keys, key), {**guards, **more}
        if "tag" in matched:
            yield from _chains(
                "", matched["matched"], chain, all_guards, matched["tag"], used, exactly
            )
        elif "kw" in matched:
            catch_all = pattern is True
            yield chain, Handler(matched["kw"], tag, tuple(all_guards.items()), catch_all)
        else:
            for inner, below in matched.get("map") or matched["vec"]:
                yield from _chains(inner, below, chain, all_guards, tag, used, exactly)


def _nest(leaves):
    """Mounts as bidi has them: one mapping for each key."""
    routes = {}
    for chain, leaf in leaves:
        place, prefix, key = routes, "", ""
        for each in chain:
            key += each
            # Only at a "/" can a mapping end; bidi cuts anywhere.
            if key and (prefix + key).endswith("/") and not key.endswith("}"):
                place, prefix, key = place.setdefault(key, {}), prefix + key, ""
        place[key] = leaf
    return routes


@cache
def _table(text, exactly=False):
    chains = list(_chains(*json.loads(text), (), {}, None, [], exactly))
    lead = "" if "".join(chains[0][0]).startswith("/") else "/"
    leaves, shapes, dropped, entries = {}, {}, [], []
    for chain, handler in chains:
        chain = (lead + chain[0], *chain[1:])
        pattern = "".join(chain)
        shape = re.sub(r"\{\w+", "{", pattern)
        first = shapes.setdefault(shape, chain)
        above = leaves.setdefault(first, [])
        if any(not earlier.guards for earlier in above):
            dropped.append((pattern, handler))
            with pytest.raises(RoutesError, match="matches the same paths as"):
                Router({"".join(first): handler, "/": {pattern[1:]: handler}}, name_of=str)
        else:
            above.append(handler)
            entries.append((pattern, chain, handler))
    routes = _nest((chain, tuple(handlers)) for chain, handlers in leaves.items())
    return Table(Router(routes, name_of=_name_of), entries, lead, tuple(dropped))


def _name_of(leaf):
    return leaf[0].name


def _without_renaming(params):
    """Of a parameter that stands twice bidi gives the last value."""
    return {
        name.partition("__")[0]: value for name, value in params.items() if name not in NOT_COMPARED
    }


def _match(router, path, options):
    """What our router answers, as bidi says it: handler, parameters, tag."""
    found = router.match(path)
    for handler in found.leaf if found else ():
        if handler.takes(options):
            return handler.name, _without_renaming(found.params), handler.tag
    return None


def _bidi_match(result):
    if result is None or "exception" in result:
        return result
    params = {name: _value(value) for name, value in (result["route-params"] or {}).items()}
    return result["handler"]["kw"], params, result["tag"]["kw"] if "tag" in result else None


def _first_declared(table, path, options):
    """Who bidi would give the request to: the first that takes it, and the pattern of its route."""
    for pattern, _, handler in table.entries:
        answer = _match(Router({pattern: (handler,)}, name_of=_name_of), path, options)
        if answer is not None:
            return pattern, answer
    return None, None


def _specificity(pattern):
    """The order in which routes that match the same path win, written down once more."""

    def rank(part):
        for place, kind in enumerate((r"[^{}]*", r"\{\w+:int\}", r"\{\w+:uuid\}")):
            if re.fullmatch(kind, part):
                return place, 0, 0
        if re.fullmatch(r"\{\w+\}", part):
            return 4, 0, 0
        if part.endswith(":path}"):
            return 5, 0, 0
        return 3, len(re.findall(r"\{\w+\}", part)), -len(re.sub(r"\{.*?\}", "", part))

    return [rank(part) for part in re.sub(r":/.*?/\}", ":regex}", pattern).split("/")]


def _texts(answer):
    """An answer with its parameters as text, for a number may be none in the other table."""
    if answer is None:
        return None
    return answer[0], {name: str(value) for name, value in answer[1].items()}, answer[2]


def _why_match(case, text, path, ours):
    """The name of the difference, once it is shown to be this one; None for a fault of ours."""
    table, options, result = _table(text), case["options"], case["result"]
    found, theirs = table.router.match(path), _bidi_match(result)
    exact = _table(text, exactly=True)
    if theirs and "exception" in theirs:
        # It breaks while it reads, before it knows whether the path matches at all.
        number = re.search("-?[0-9]{19,}", theirs["exception"]["message"])[0]
        assert number in path
        assert not -(2**63) <= int(number) < 2**63
        return "digits" if ours is None else None
    if theirs and any(type(value) is int and abs(value) >= 10**18 for value in theirs[1].values()):
        return "digits" if _texts(_match(exact.router, path, options)) == _texts(theirs) else None
    if theirs and any("/" in str(v) or not v for v in theirs[1].values()) and ".*" in text:
        return "segment" if ours is None else None
    for each in (table, exact):
        if each is exact and _texts(_match(exact.router, path, options)) == _texts(theirs):
            outside = [v for v in ours[1].values() if not re.fullmatch(BIDI_TEXT, str(v))]
            return "text" if outside else None
        pattern, first = _first_declared(each, path, options)
        is_theirs = found and first and _texts(first) == _texts(theirs)
        if is_theirs and _specificity(found.route.pattern) < _specificity(pattern):
            return "specific" if ours else "method"
    handlers = {handler.name: handler for _, _, handler in table.entries}
    if theirs and handlers[theirs[0]].is_catch_all:
        return "slash" if "//" in path and ours is None else None
    if theirs and ours and "(a|b)" in text and theirs[0] == ours[0]:
        return "groups" if theirs[1] == _miscounted(found.route.pattern, path, ours[1]) else None
    return None


def _miscounted(pattern, path, params):
    """The parameters as bidi counts them: each piece of a segment is a group, and so is `(a|b)`."""
    wrong = dict(params)
    for part, segment in zip(
        re.sub(r":/\(\?:a\|b\)c/\}", ":groups}", pattern).split("/"), path.split("/"), strict=True
    ):
        if ":groups}" in part:
            pieces = re.findall(r"\{(\w+)[^}]*\}|([^{}]+)", part)
            regex = "".join(
                "((a|b)c)"
                if f"{{{name}:groups}}" in part and name
                else f"({name and BIDI_TEXT}{text})"
                for name, text in pieces
            )
            groups = re.fullmatch(regex, segment).groups()
            wrong |= {name: group for (name, _), group in zip(pieces, groups, strict=False) if name}
    return wrong


def _path_for(table, case):
    """What our router answers: a path as bidi would write it, or an error."""
    pattern, handler = _named(table, case["handler"])
    params = {}
    for name, regex, kind in _PARAMETER.findall(pattern):
        value = case["params"].get(name.partition("__")[0])
        if value is not None:
            text = not regex and not kind
            is_keyword = isinstance(value, dict) and "kw" in value
            value = _value(value)
            # bidi takes the text of what it is given, and that of a keyword begins with a colon.
            if text or (regex and regex != BIDI_KEYWORD):
                value = f":{value}" if is_keyword and not text else str(value)
            params[name] = value
    # A leaf has one name, that of its first method.
    leaf = next(route.leaf for route in table.router.leaves() if handler in route.leaf)
    try:
        path = table.router.path_for(_name_of(leaf), params)
    except LinkError as error:
        return error
    assert table.router.match(path).leaf == leaf
    return path.removeprefix(table.lead)


def _named(table, name):
    return next((p, h) for p, _, h in table.entries if name in (h.name, h.tag))


def _why_path_for(case, text, ours):
    """The name of the difference, once it is shown to be this one; None for a fault of ours."""
    table, theirs = _table(text), case["result"]
    if isinstance(theirs, str):
        if isinstance(ours, str):
            return "encoded" if ours.isascii() and unquote(ours) == theirs else None
        route = table.router.match(table.lead + theirs).route
        listed = "is ambiguous" in str(ours) and route.pattern in str(ours)
        return "several" if listed and '"set"' in text else None
    key = re.search(r"\(key :(\w+)\).*clojure\.core\$keyword", theirs["exception"]["message"])
    return "keyword" if key and isinstance(case["params"][key[1]], str | int) else None


def _bidi_patterns(table, path):
    """Where bidi's route-seq says that a handler is, in our syntax."""
    used = []
    patterns = [table.lead]
    for piece in path:
        pattern = {"seg": piece} if isinstance(piece, list) else piece
        if isinstance(pattern, dict) and not pattern.keys() & {"seg", "re", "kw"}:
            pattern = {"guard": pattern}
        keys = dict.fromkeys(key for key, _ in _variants(pattern, used, exactly=False))
        patterns = [before + key for before in patterns for key in keys]
    return patterns


def _seq(table, result):
    return [
        (pattern, each["handler"]["kw"], each["tag"] and each["tag"]["kw"])
        for each in result
        for pattern in _bidi_patterns(table, each["path"])
    ]


def _our_seq(table):
    return [
        (route.pattern, handler.name, handler.tag)
        for route in table.router.leaves()
        for handler in route.leaf
    ]


def _why_route_seq(case, text, ours):
    """The name of the difference, once it is shown to be this one; None for a fault of ours."""
    table = _table(text)
    theirs = _seq(table, case["result"])
    dropped = {(pattern, handler.name, handler.tag) for pattern, handler in table.dropped}
    left = [each for each in theirs if each not in dropped]
    if Counter(left) != Counter(ours):
        return None
    if len(left) < len(theirs):
        return "refused"
    return "order" if '"set"' in text or _has_large_map(case["routes"][1]) else None


def _has_large_map(matched):
    if "tag" in matched:
        return _has_large_map(matched["matched"])
    below = matched.get("map") or matched.get("vec") or []
    return len(matched.get("map", ())) > 8 or any(_has_large_map(each) for _, each in below)


def _verdict(case):
    """ "same", the name of a difference, or None for a fault of ours."""
    text = json.dumps(case["routes"])
    table, theirs = _table(text), case["result"]
    if case["op"] == "match-route":
        path = quote(table.lead + re.split("[?#]", case["path"])[0], safe="/%()+")
        ours = _match(table.router, path, case["options"])
        return "same" if ours == _bidi_match(theirs) else _why_match(case, text, path, ours)
    if case["op"] == "path-for":
        if case["handler"] in table.never_reached:
            taken = table.router.match(table.lead + theirs).leaf
            return "refused" if case["handler"] != taken[0].name else None
        ours = _path_for(table, case)
        both_refuse = isinstance(theirs, dict) and isinstance(ours, LinkError)
        return "same" if both_refuse or ours == theirs else _why_path_for(case, text, ours)
    ours = _our_seq(table)
    return "same" if ours == _seq(table, theirs) else _why_route_seq(case, text, ours)


@pytest.fixture(scope="module")
def verdicts():
    if not FILE.exists():
        pytest.skip(f"{FOLDER} holds no bidi.jsonl.gz")
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        return [(case, _verdict(case)) for case in map(json.loads, lines)]


@pytest.mark.parametrize("op", ["match-route", "path-for", "route-seq"])
def test_every_answer_is_bidis_or_differs_for_a_shown_reason(verdicts, op):
    """Each case agrees, or is one of the named differences; there is no third kind."""
    unexplained = [case for case, verdict in verdicts if case["op"] == op and verdict is None]

    assert [] == unexplained


def test_nearly_all_answers_are_bidis(verdicts):
    """The named differences stay few; the summary is printed."""
    counts = Counter((case["op"], verdict) for case, verdict in verdicts)
    for (op, verdict), count in sorted(counts.items(), key=str):
        print(f"{count:5} {op:12} {verdict:10} {REASONS.get(verdict, '')}")
    same = sum(verdict == "same" for _, verdict in verdicts)
    print(f"{same:5} of {len(verdicts)} alike")

    assert {verdict for _, verdict in verdicts} <= {"same", *REASONS}
    assert same >= 0.85 * len(verdicts)
