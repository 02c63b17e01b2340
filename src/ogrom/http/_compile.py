"""One specialised function for each resource and method, generated from what `fold` left of the graph.

The graph stays written down once, in `_graph`: this module follows a `Plan` from its start, writes
each question as Python (in place where that pays, else a call of the very function that the plain
walk asks), joins the ways where they meet again, and writes the ends that matter, 200, 304 and the
201 of a POST, as templates. Everything else ends as it does on foot. Exceptions end it by rule 4 of
the graph.

Generated source, not closures: a closure costs a call for each question, and of those a GET has a
dozen at 50 ns each, where `"if-match" in headers` in place takes 13. A function is made at its
first request, so that a service starts as fast as before: 0.1 ms to write its hundred lines, 0.5 to
compile them, 27 kB. Resources of one name and shape (the locales of an API) share the code object;
each further one takes 0.1 ms and 3 kB. Measured by `bench/engine.py` on CPython 3.11.
"""

import linecache
from collections.abc import Callable, Coroutine
from functools import lru_cache
from inspect import iscoroutinefunction
from json import dumps
from types import CodeType
from typing import Any, Final

from ogrom.http import _questions as questions
from ogrom.http._conditional import ETag, format_http_date
from ogrom.http._engine import act, checked, ended_by, truth
from ogrom.http._fast import (
    NEGOTIATION,
    CrossOrigin,
    Negotiation,
    Plain,
    Variant,
    created_lines,
    end,
    opened,
    tag_line,
    variant_of,
    write,
)
from ogrom.http._graph import ACTIONS, DECISIONS, HANDLERS
from ogrom.http._message import Context, Head, Request, Response
from ogrom.http._outcome import Accepted, Answer, Created, NoContent, SeeOther, Updated
from ogrom.http._render import compressed, finish, respond, settle
from ogrom.http._routing import Match, Router
from ogrom.http._walk import Plan, Prepared, Walk, begin

Answers = Callable[[Request, Match[Any], Router[Any]], Coroutine[Any, Any, Response]]
"""Answers the requests of one method for one resource."""

_HEADER: Final = {
    "accept_exists": "accept",
    "accept_language_exists": "accept-language",
    "accept_charset_exists": "accept-charset",
    "accept_encoding_exists": "accept-encoding",
    "if_match_exists": "if-match",
    "if_match_exists_for_missing": "if-match",
    "if_unmodified_since_exists": "if-unmodified-since",
    "if_none_match_exists": "if-none-match",
    "if_modified_since_exists": "if-modified-since",
}
"""Questions that ask only whether a field was sent."""

_OF_OUTCOME: Final = {
    "post_enacted": "not isinstance(walk.outcome, Accepted)",
    "put_enacted": "not isinstance(walk.outcome, Accepted)",
    "patch_enacted": "not isinstance(walk.outcome, Accepted)",
    "delete_enacted": "not isinstance(walk.outcome, Accepted)",
    "post_redirect": "isinstance(walk.outcome, SeeOther)",
}
"""Questions that ask only what an action has returned."""
_OUTCOMES: Final = frozenset({Created, Updated, NoContent, Accepted, SeeOther})
_OF_ENTITY: Final = frozenset({"allowed_for_entity", "multiple_representations", "conflict"})
_SETS_LOCATION: Final = frozenset(
    {"put_to_different_url", "moved_permanently", "permanent_redirect", "moved_temporarily"}
)


def specialise(prepared: Prepared, method: str) -> Answers:
    """The function that answers a method's requests, with `__source__` to read."""
    source, names = generate(prepared, method)
    filename = f"<ogrom: {method} {prepared.resource.name or 'a resource'}>"
    exec(_code(source, filename), names)  # noqa: S102 - our own source, of names and templates alone
    made: Any = names["answer"]
    return made  # type: ignore[no-any-return]


def generate(prepared: Prepared, method: str) -> tuple[str, dict[str, Any]]:
    """The source of the function, and what its names mean."""
    writer = _Writer(prepared, method)
    return writer.source(), writer.names


def forget() -> None:
    """Drops the code objects kept, so that the next function is compiled anew."""
    _code.cache_clear()


@lru_cache(maxsize=1024)
def _code(source: str, filename: str) -> CodeType:
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    return compile(source, filename, "exec")


class _Writer:
    """Writes one function. It collects lines, and the meanings of the names in them."""

    def __init__(self, prepared: Prepared, method: str) -> None:
        self._prepared = prepared
        self._resource = prepared.resource
        self._method = method
        self._plan: Plan = prepared.plans[method]
        self._lines: list[str] = []
        self._templates = self._fold_head()
        self._favourite = self._sent_unasked()
        self.names: dict[str, Any] = {
            "Context": Context, "Walk": Walk, "Head": Head, "Response": Response,
            "prepared": prepared, "end": end, "ended_by": ended_by, "respond": respond,
        }  # fmt: skip

    def source(self) -> str:
        """The whole function."""
        self._body(self._plan.start, None, 2)
        resource = self._resource
        doc = f"{self._method} {resource.name or 'a resource'}"
        begin_ = [
            "async def answer(request, match, router):",
            f"    {dumps(doc)}",
            "    headers = request.headers",
            "    ctx = Context(request, match, router, LANGUAGE)",
            "    walk = Walk(prepared, request, ctx, IDENTITY, EXISTS)",
            "    variant = FAVOURITE",
            "    try:",
        ]
        self.names |= {
            "LANGUAGE": self._prepared.languages[0] if self._prepared.languages else None,
            "IDENTITY": len(self._prepared.encodings) - 1,
            "EXISTS": resource.exists is True,
            "FAVOURITE": self._favourite,
        }
        after = [
            "    except Exception as error:",
            "        raised = error",
            "    return await respond(walk, *ended_by(walk, raised))",
        ]
        return "\n".join([*begin_, *self._lines, *after, ""])

    def _write(self, depth: int, *lines: str) -> None:
        self._lines += [f"{'    ' * depth}{line}" for line in lines]

    # the graph

    def _targets(self, node: str) -> tuple[str, ...]:
        if (step := self._plan.steps.get(node)) is not None:
            return step[1:]
        following = self._plan.after.get(node)
        return () if following is None else (following,)

    def _reach(self, node: str, stop: str | None, without: str | None = None) -> set[str]:
        found: set[str] = set()
        ahead = [node]
        while ahead:
            each = ahead.pop()
            if each not in found and each != without:
                found.add(each)
                if each != stop:
                    ahead += self._targets(each)
        return found

    def _meeting(self, yes: str, no: str, stop: str | None) -> str | None:
        """Where two ways meet for good: past it they share all, before it only ends."""
        shared = self._reach(yes, stop) & self._reach(no, stop)
        for node in sorted(shared, key=lambda each: -len(self._reach(each, stop))):
            if node in HANDLERS and node != "handle_ok":
                continue
            rest = self._reach(yes, stop, node) & self._reach(no, stop, node)
            if all(each in HANDLERS and each != "handle_ok" for each in rest):
                return node
        return None

    def _body(self, node: str, stop: str | None, depth: int) -> None:
        """Everything from a node to where `stop` follows, or to the ends."""
        while node != stop:
            if node in HANDLERS:
                self._end(node, depth)
                return
            if node in ACTIONS:
                self._act(node, depth)
                node = self._plan.after[node]
                continue
            if node in NEGOTIATION and (past := self._past_negotiation(node)) is not None:
                self._negotiate(node, depth)
                node = past
                continue
            _, yes, no = self._plan.steps[node]
            said = self._question(node, depth)
            if yes in HANDLERS and yes != "handle_ok":
                self._write(depth, f"if {said}:")
                self._end(yes, depth + 1)
                node = no
            elif no in HANDLERS and no != "handle_ok":
                self._write(depth, f"if not ({said}):")
                self._end(no, depth + 1)
                node = yes
            else:
                meeting = self._meeting(yes, no, stop) or stop
                if yes != meeting:
                    self._write(depth, f"if {said}:")
                    self._body(yes, meeting, depth + 1)
                    if no != meeting:
                        self._write(depth, "else:")
                        self._body(no, meeting, depth + 1)
                elif no != meeting:
                    self._write(depth, f"if not ({said}):")
                    self._body(no, meeting, depth + 1)
                if meeting is None:
                    return
                node = meeting

    # questions

    def _question(self, node: str, depth: int) -> str:
        """Writes what has to be done to know the answer; the expression that is it."""
        given = getattr(self._resource, node, None)
        if (field := _HEADER.get(node)) is not None:
            return f'"{field}" in headers'
        if node == "exists" and callable(given):
            self.names["exists"] = given
            self._write(
                depth,
                "walk.entity = entity = await exists(ctx)",
                "walk.exists = entity is not None",
            )
            return "entity is not None"
        if node == "if_none_match_star":
            self._ask(node)
            return f"""headers["if-none-match"][:1] != '"' and ask_{node}(walk)"""
        if node == "etag_matches_for_if_none_match" and callable(self._resource.etag):
            self._ask(node)
            self._tag(depth)
            plain = "tag.__class__ is str and tag.isalnum() and tag.isascii()"
            same = """headers["if-none-match"] == f'"{tag}{variant.suffix}"'"""
            return f"({plain} and {same}) or ask_{node}(walk)"
        if node == "content_headers_valid" and given is None:
            self._ask(node)
            plain = '"content-length" not in headers'
            if self._method in self._prepared.readers:
                plain = f'({plain} or headers["content-length"].isdecimal())'
                plain += ' and headers.get("content-length", "").isascii()'
            if self._method == "PUT":
                plain = f'({plain}) and "content-range" not in headers'
            return f"({plain}) or ask_{node}(walk)"
        if node in questions.OF_CONTENT and given is None:
            return self._content(node, depth)
        if node in _OF_OUTCOME and given is None:
            self.names |= {"Accepted": Accepted, "SeeOther": SeeOther}
            return _OF_OUTCOME[node]
        asked_of = callable(given) and node in DECISIONS and node not in _SETS_LOCATION
        if asked_of and node not in {"authorized", "exists", "precondition_required"}:
            self.names[node] = given
            call = f"{node}(ctx, walk.entity)" if node in _OF_ENTITY else f"{node}(ctx)"
            if iscoroutinefunction(given):
                self._write(depth, f"said = await {call}")
            else:
                self.names["truth"] = truth
                self._write(depth, f"said = {call}")
                self._write(depth, "if said is not True and said is not False:")
                self._write(depth + 1, "said = truth(said)")
                self._write(depth + 1, "if said is not True and said is not False:")
                self._write(depth + 2, "said = await said")
            return "said"
        self._ask(node)
        if getattr(questions, node, None) is self._plan.steps[node][0] and not iscoroutinefunction(
            self._plan.steps[node][0]
        ):
            return f"ask_{node}(walk)"
        self._write(depth, f"said = ask_{node}(walk)")
        self._write(depth, "if said is not True and said is not False:")
        self._write(depth + 1, "said = await said")
        return "said"

    def _content(self, node: str, depth: int) -> str:
        """A question of the content: the ordinary answer in place, any other by the function."""
        self._ask(node)
        reader, limit = self._prepared.readers[self._method], self._resource.max_content
        ask = f"ask_{node}(walk)"
        if node == "content_valid":
            return f"walk.content_error is None or {ask}"
        if node == "content_length_valid":
            if self._resource.content_headers_valid is not None:
                return ask
            return f'len(headers.get("content-length", "")) < {len(str(limit))} or {ask}'
        # The first of a type is the one that is meant; others are not looked at.
        decoders = {
            str(media.type): decode
            for media, decode in reversed(list(zip(reader.media, reader.decoders, strict=True)))
        }
        self.names["DECODERS"] = decoders
        if node == "content_type_known":
            return (
                '("content-encoding" not in headers and headers.get("content-type") in DECODERS)'
                f" or {ask}"
            )
        if node == "content_within_limit":
            self._write(
                depth,
                "content = request.content",
                f"said = content.__class__ is bytes and len(content) <= {limit}",
                'if said and "content-encoding" not in headers:',
                "    walk.content = content",
                "else:",
                f"    said = await {ask}",
            )
            return "said"
        self._write(
            depth,
            'decode = DECODERS.get(headers.get("content-type"))',
            "try:",
            "    said = decode is not None",
            "    if said:",
            "        ctx._body = decode(walk.content)",
            "except Exception:  # asked again, for what it says about it",
            "    said = False",
        )
        return f"said or {ask}"

    def _act(self, name: str, depth: int) -> None:
        action = getattr(self._resource, name)
        if action is None:
            self.names["act"] = act
            self._write(depth, f'walk.outcome = outcome = await act(walk, "{name}")')
            return
        self.names |= {name: action, "OUTCOMES": _OUTCOMES, "checked": checked}
        self._write(
            depth,
            f"walk.outcome = outcome = await {name}(ctx, walk.entity)",
            "if outcome.__class__ not in OUTCOMES:",
            f'    walk.outcome = checked(walk, "{name}", outcome)',
        )
        if self._templates and self._method == "POST" and self._leads_to_created(name):
            self.names["Created"] = Created
            self._write(depth, "if outcome.__class__ is Created:")
            self._created(depth + 1)

    def _leads_to_created(self, action: str) -> bool:
        """Whether all that is asked of a `Created` is what the outcome itself answers."""
        nobody: Any = None
        asked = Request(method=self._method, path="/")
        walk = Walk(self._prepared, asked, nobody, None, exists=False, outcome=Created())
        node = self._plan.after[action]
        while node in {"post_enacted", "post_redirect", "new"}:
            test, yes, no = self._plan.steps[node]
            if test is not getattr(questions, node):
                return False
            node = yes if test(walk) else no
        return node == "handle_created"

    def _ask(self, node: str) -> None:
        self.names[f"ask_{node}"] = self._plan.steps[node][0]

    def _tag(self, depth: int) -> None:
        self.names["etag"] = self._resource.etag
        self._write(depth, "tag = walk.tag", "if tag is None:")
        self._write(depth + 1, "walk.tag = tag = etag(walk.entity)")

    def _past_negotiation(self, node: str) -> str | None:
        """The one way on behind the Accept fields; None where there are several."""
        within = {each for each in self._reach(node, None) if each in NEGOTIATION}
        beyond = {target for each in within for target in self._targets(each)} - within
        ways = [target for target in beyond if target not in HANDLERS]
        return ways[0] if len(ways) == 1 else None

    def _negotiate(self, node: str, depth: int) -> None:
        negotiation = Negotiation(self._prepared, self._method, node, self._favourite)
        self.names |= {"choose": negotiation.choose, "KNOWN": negotiation.known}
        self._write(
            depth,
            'if "accept-charset" in headers:',
            "    variant = choose(walk)",
            'elif "accept-encoding" in headers or "accept-language" in headers:',
            "    get = headers.get",
            '    sent = get("accept"), get("accept-language"), get("accept-encoding")',
            "    variant = KNOWN.get(sent) or choose(walk)",
            'elif "accept" in headers:',
            '    variant = KNOWN.get(headers["accept"]) or choose(walk)',
            "if variant is not FAVOURITE:",
            "    variant.enter(walk)",
            "    if variant.end:",
            "        return await end(walk, variant.end)",
        )

    # ends

    def _fold_head(self) -> bool:
        """Works out what the heads of 200 and 304 have in common; False where that cannot be sent."""
        resource, prepared = self._resource, self._prepared
        cache = resource.cache_control
        self._cross: CrossOrigin | str | None = None
        self._vary = self._cache = self._dated = self._tagged = ""
        try:
            if cache is not None:
                self._cache = write([("Cache-Control", cache)])
            if prepared.vary:
                self._vary = write([("Vary", prepared.vary)])
            if prepared.cors is not None:
                everybody = prepared.cors.everybody()
                self._cross = write(everybody) if everybody else CrossOrigin(prepared.cors)
            if isinstance(resource.etag, ETag):
                self._tagged = write([("ETag", str(resource.etag))])
            if resource.last_modified is not None and not callable(resource.last_modified):
                self._dated = write([("Last-Modified", format_http_date(resource.last_modified))])
        except ValueError:
            return False
        return True

    def _end(self, handler: str, depth: int) -> None:
        reads = self._templates and self._method in questions.READS
        if reads and handler == "handle_ok":
            self._ok(depth)
        elif reads and handler == "handle_not_modified":
            self._not_modified(depth)
        else:
            self._write(depth, f'return await end(walk, "{handler}")')

    def _validators(self, depth: int) -> str:
        """Writes what makes the validators; the template that holds them."""
        resource = self._resource
        text = _braced(self._tagged)
        if callable(resource.etag):
            self.names["tag_line"] = tag_line
            self._tag(depth)
            self._write(depth, "if tag.__class__ is str and tag.isalnum() and tag.isascii():")
            self._write(depth + 1, """etag_is = f'ETag: "{tag}{variant.suffix}"\\r\\n'""")
            self._write(depth, "else:")
            self._write(depth + 1, "etag_is = tag_line(walk)")
            text = "{etag_is}"
        if callable(resource.last_modified):
            self.names |= {"last_modified": resource.last_modified, "http_date": format_http_date}
            self._write(depth, "changed = last_modified(walk.entity)")
            self._write(
                depth,
                'dated = "" if changed is None else f"Last-Modified: {http_date(changed)}\\r\\n"',
            )
            return text + "{dated}"
        return text + _braced(self._dated)

    def _response(self, depth: int, status: int, template: str, content: str) -> None:
        if isinstance(self._cross, str):
            template += _braced(self._cross)
        elif self._cross is not None:
            self.names["cross_origin"] = self._cross.lines
            self._write(
                depth, 'shared = cross_origin(headers["origin"]) if "origin" in headers else ""'
            )
            template += "{shared}"
        self.names["NAME"] = self._resource.name
        shown = template.replace("\\", "\\\\").replace("\r\n", "\\r\\n").replace('"', '\\"')
        self._write(
            depth,
            f'head = f"{shown}"',
            'head = Head(head.encode("latin-1"))',
            f"return Response(status={status}, headers=head, content={content}, route=NAME)",
        )

    def _not_modified(self, depth: int) -> None:
        self._write(depth, "if variant.encode is None:")
        self._write(depth + 1, 'return await end(walk, "handle_not_modified")')
        template = _braced(self._cache) + self._validators(depth) + _braced(self._vary)
        self._response(depth, 304, template, 'b""')

    def _ok(self, depth: int) -> None:
        self._value("handle_ok", 200, "walk.entity", depth)
        self._encode("handle_ok", 200, depth)
        template = "{more}{start}{len(content)}\r\n" + _braced(self._cache)
        template += self._validators(depth) + _braced(self._vary)
        self._response(depth, 200, template, 'b""' if self._method == "HEAD" else "content")

    def _created(self, depth: int) -> None:
        """What a POST has created, where there is something to show."""
        self.names["created_lines"] = created_lines
        self._write(depth, "made = created_lines(outcome)")
        self._write(depth, "if made is not None and walk.location is None:")
        self._value("handle_created", 201, "outcome.entity", depth + 1)
        self._encode("handle_created", 201, depth + 1)
        template = "{more}{start}{len(content)}\r\n{made}" + _braced(self._vary)
        self._response(depth + 1, 201, template, "content")

    def _value(self, handler: str, status: int, entity: str, depth: int) -> None:
        """Writes what makes the value that is shown."""
        show = getattr(self._resource, handler)
        if show is None:
            self._write(depth, f"value = {entity}")
        else:
            self.names[handler] = show
            wait = "await " if iscoroutinefunction(show) else ""
            self._write(depth, f"value = {wait}{handler}(ctx, {entity})")
        plain = Plain()
        self.names |= {
            "PLAIN": plain.types, "is_plain": plain.is_plain, "finish": finish, "settle": settle,
            "compressed": compressed, "opened": opened, "Answer": Answer,
        }  # fmt: skip
        self._write(
            depth,
            'answer, more = value, ""',
            "if value.__class__ is Answer:",
            "    value, more = opened(value)",
            "if more is None or (value.__class__ not in PLAIN and not is_plain(value)):",
            f"    value = answer = await settle(walk, answer, {status})",
            "    if answer.__class__ is Answer or not is_plain(answer):",
            f'        return finish(walk, "{handler}", {status}, answer)',
        )

    def _encode(self, handler: str, status: int, depth: int) -> None:
        """Writes what makes the content, and how the head begins."""
        self._write(
            depth,
            "if variant.encode is None:",
            f'    return finish(walk, "{handler}", {status}, answer)',
            "content = variant.encode(value)",
            "if content.__class__ is not bytes:",
            "    variant.encode = None",
            f'    return finish(walk, "{handler}", {status}, answer)',
            "start = variant.start",
            "if variant.coding and len(content) >= variant.least:",
            "    start = variant.coded",
            "    content = compressed(variant.coding, content)",
        )

    def _sent_unasked(self) -> Variant:
        """The variant that is sent to those who ask for none."""
        nobody: Any = None
        walk = begin(self._prepared, nobody, nobody, nobody, trace=False)
        return variant_of(walk)


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
