"""How each question is written in a generated function: the ordinary answer in place.

Each writer takes the source and the name of a node, adds lines, and says which node follows the
ordinary answer; None where the function has come to its end. Any other answer leaves for the plain
walk, at the very node where the ways part, so that nothing is decided in two places.
"""

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Final

from ogrom.http import _questions as questions
from ogrom.http._conditional import ETag, modified_since, parse_http_date
from ogrom.http._ends import PLAIN_TAG, not_modified
from ogrom.http._graph import DECISIONS, HANDLERS
from ogrom.http._parts import names, quoted
from ogrom.http._resume import received, settled
from ogrom.http._source import Source
from ogrom.http._variant import NEGOTIATION, Negotiation

Writer = Callable[[Source, str], str | None]


def ask(source: Source, node: str) -> str | None:
    """Writes a question; the node that follows its ordinary answer, None where there is none."""
    given = getattr(source.resource, node, None)
    if callable(given) and node in _OF_RESOURCE:
        return _of_resource(source, node)
    write = _WRITERS.get(node)
    if write is not None and (given is None or callable(given) or node == "precondition_required"):
        return write(source, node)
    source.leave(0, node)
    return None


# what the resource answers

_OF_ENTITY: Final = frozenset({"allowed_for_entity", "multiple_representations", "conflict"})
_OF_RESOURCE: Final = frozenset(DECISIONS) - {
    "authorized", "exists", "precondition_required", "put_to_different_url", "moved_permanently",
    "permanent_redirect", "moved_temporarily",
}  # fmt: skip
"""The questions that a function of the resource answers with yes or no."""


def _of_resource(source: Source, node: str) -> str:
    """The ordinary answer is the one that ends nothing."""
    _, yes, no = source.plan.steps[node]
    function = getattr(source.resource, node)
    source.means(**{node: function})
    call = f"{node}(ctx, entity)" if node in _OF_ENTITY else f"{node}(ctx)"
    if iscoroutinefunction(function):
        source.write(0, f"said = await {call}")
    else:
        source.means(settled=settled)
        source.write(
            0,
            f"said = {call}",
            "if said is not True and said is not False:",
            "    said = await settled(said)",
        )
    if yes in HANDLERS and yes != "handle_ok":
        source.leave_if("said", yes)
        return no
    source.leave_if("not said", no)
    return yes


def _authorized(source: Source, node: str) -> str:
    _, yes, no = source.plan.steps[node]
    source.means(authorized=source.resource.authorized)
    source.write(0, "ctx._principal = principal = await authorized(ctx)")
    source.leave_if("principal is None or principal is False", no)
    return yes


def _exists(source: Source, node: str) -> str:
    _, yes, no = source.plan.steps[node]
    source.means(exists=source.resource.exists)
    source.write(0, "entity = await exists(ctx)")
    source.leave_if("entity is None", no)
    return yes


# what is sent


def _query_valid(source: Source, node: str) -> str:
    source.means(read_query=source.prepared.read_query)
    _try(source, "ctx._query = read_query(request.query)", node)
    return source.plan.steps[node][1]


def _content_headers_valid(source: Source, node: str) -> str:
    if source.method == "PUT":
        source.leave_if('"content-range" in headers', node)
    wrong = "not (length.isascii() and length.isdecimal())"
    if source.method in source.prepared.readers:
        source.write(0, 'length = headers.get("content-length", "0")')
        source.leave_if(wrong, node)
    else:
        source.write(0, 'if "content-length" in headers:')
        source.write(1, 'length = headers["content-length"]')
        source.leave_if(wrong, node, 1)
    return source.plan.steps[node][1]


def _content_type_known(source: Source, node: str) -> str:
    source.leave_if('"content-encoding" in headers', node)
    _decoder(source, node)
    return source.plan.steps[node][1]


def _decoder(source: Source, node: str) -> None:
    if "DECODERS" not in source.names:
        reader = source.prepared.readers[source.method]
        pairs = zip(reader.media, reader.decoders, strict=True)
        # The first of a type is the one that is meant; others are not looked at.
        source.means(DECODERS={str(each.type): decode for each, decode in reversed([*pairs])})
        source.write(0, 'decode = DECODERS.get(headers.get("content-type"))')
        source.leave_if("decode is None", node)


def _content_length_valid(source: Source, node: str) -> str:
    if source.resource.content_headers_valid is not None:  # nobody has looked whether it is one
        source.write(0, 'length = headers.get("content-length", "0")')
        source.leave_if("not (length.isascii() and length.isdecimal())", node)
    source.leave_if(f"len(length) >= {len(str(source.resource.max_content))}", node)
    return source.plan.steps[node][1]


def _content_within_limit(source: Source, node: str) -> str:
    _, yes, no = source.plan.steps[node]
    if "DECODERS" not in source.names:
        source.leave_if('"content-encoding" in headers', node)
    source.means(received=received)
    source.write(
        0,
        "body = request.content",
        "if body.__class__ is not bytes:",
        "    body = await received(body)",
    )
    source.leave_if(f"body is None or len(body) > {source.resource.max_content}", no)
    source.learn("body", 'b""')
    return yes


def _content_well_formed(source: Source, node: str) -> str:
    _decoder(source, node)
    _try(source, "ctx._body = decode(body)", node)
    return source.plan.steps[node][1]


def _content_valid(source: Source, node: str) -> str:
    return source.plan.steps[node][1]  # it would not have been decoded


def _try(source: Source, what: str, node: str) -> None:
    """Writes what may go wrong: the question itself is asked then, for what it says about it."""
    source.write(
        0,
        "try:",
        f"    {what}",
        "    well = True",
        "except Exception:",
        "    well = False",
    )
    source.leave_if("not well", node)


# what is wanted back


def _negotiate(source: Source, node: str) -> str | None:
    """All of negotiation at once: it is known by the fields' values."""
    within, beyond = {node}, set[str]()
    ahead = [node]
    while ahead:
        for target in source.plan.steps[ahead.pop()][1:]:
            if target in NEGOTIATION and target not in within:
                within.add(target)
                ahead.append(target)
            elif target not in NEGOTIATION and target != "handle_not_acceptable":
                beyond.add(target)
    if len(beyond) != 1:
        source.leave(0, node)
        return None
    negotiation = Negotiation(source.prepared, source.method, node)
    source.means(
        choose=negotiation.choose, KNOWN=negotiation.known, FAVOURITE=negotiation.favourite
    )
    source.write(
        0,
        'if "accept-charset" in headers:',
        "    variant = choose(headers)",
        'elif "accept-encoding" in headers or "accept-language" in headers:',
        "    get = headers.get",
        '    sent = get("accept"), get("accept-language"), get("accept-encoding")',
        "    variant = KNOWN.get(sent) or choose(headers)",
        'elif "accept" in headers:',
        '    variant = KNOWN.get(headers["accept"]) or choose(headers)',
        "if variant is not FAVOURITE:",
        "    ctx.language = variant.says",
        "    if variant.end:",
        f"        return await walk_on(variant.end, {source.learnt})",
    )
    return beyond.pop()


# what is only to be done where the state is as it was


def _precondition_required(source: Source, node: str) -> str:
    return source.plan.steps[node][1]  # it is folded away where none is


def _precondition_exists(source: Source, node: str) -> str:
    source.leave_if('"if-match" not in headers', node)
    return source.plan.steps[node][1]


def _if_match_exists(source: Source, node: str) -> str | None:
    _, there, absent = source.plan.steps[node]
    if source.method in questions.READS or not callable(source.resource.etag):
        source.leave_if('"if-match" in headers', node)
        return absent
    source.means(etag=source.resource.etag)
    source.write(
        0,
        'if "if-match" in headers:',
        '    sent = headers["if-match"]',
        '    tag = None if "*" in sent else etag(entity)',  # nobody asks for it where "*" will do
    )
    same = f"""{PLAIN_TAG} and sent == f'"{{tag}}"'"""
    source.leave_if(f"not ({same})", node, 1)
    matched = source.plan.steps[there][1]
    if absent == "if_unmodified_since_exists":
        source.write(0, 'elif "if-unmodified-since" in headers:')
        source.leave(1, absent)
        absent = source.plan.steps[absent][2]
    assert matched == absent, "both ways lead to If-None-Match"
    return matched


def _if_unmodified_since_exists(source: Source, node: str) -> str:
    source.leave_if('"if-unmodified-since" in headers', node)
    return source.plan.steps[node][2]


def _if_none_match_exists(source: Source, node: str) -> str | None:
    """Where a tag is sent that is not the present one, the date is not asked for (13.1.3)."""
    _, there, absent = source.plan.steps[node]
    resource = source.resource
    if source.method not in questions.READS or source.parts is None:
        source.leave_if('"if-none-match" in headers', node)
        return absent
    source.write(0, 'if "if-none-match" in headers:')
    if resource.etag is None:
        source.leave(1, node)
    else:
        source.means(names=names)
        source.write(1, 'sent = headers["if-none-match"]')
        source.leave_if('"*" in sent', node, 1)  # which asks for no tag
        if isinstance(resource.etag, ETag):
            source.means(TAGGED=str(resource.etag))
            source.write(1, "tagged = TAGGED")
        else:
            source.means(etag=resource.etag, quoted=quoted)
            source.write(
                1,
                "tag = etag(entity)",
                f"if {PLAIN_TAG}:",
                """    tagged = f'"{tag}{variant.suffix}"'""",
                "else:",
                "    tagged = quoted(tag, variant.suffix)",
            )
        source.write(1, "said = sent == tagged or names(sent, tagged)")
        source.leave_if("said is None", node, 1)
        source.write(1, "if said:")
        not_modified(source, 2, tag="ETag: {tagged}\r\n")
    unmatched = source.plan.steps[source.plan.steps[there][2]][2]
    if absent == "if_modified_since_exists":
        source.means(
            last_modified=resource.last_modified, read_date=parse_http_date, is_newer=modified_since
        )
        changed = "last_modified(entity)" if callable(resource.last_modified) else "last_modified"
        source.write(
            0,
            'elif "if-modified-since" in headers:',
            '    since = read_date(headers["if-modified-since"])',
            f"    changed = None if since is None else {changed}",
            "    if changed is not None and not is_newer(changed, since):",
        )
        not_modified(source, 2)
        absent = source.plan.steps[absent][2]
    assert unmatched == absent, "both ways lead to what is done"
    return absent


_WRITERS: Final[Mapping[str, Writer]] = {
    **dict.fromkeys(NEGOTIATION, _negotiate),
    "authorized": _authorized,
    "query_valid": _query_valid,
    "content_headers_valid": _content_headers_valid,
    "content_type_known": _content_type_known,
    "content_length_valid": _content_length_valid,
    "content_within_limit": _content_within_limit,
    "content_well_formed": _content_well_formed,
    "content_valid": _content_valid,
    "exists": _exists,
    "precondition_required": _precondition_required,
    "precondition_exists": _precondition_exists,
    "if_match_exists": _if_match_exists,
    "if_unmodified_since_exists": _if_unmodified_since_exists,
    "if_none_match_exists": _if_none_match_exists,
}
"""What is asked of a request, or answered by an entity; whatever is not here is left to the walk."""
