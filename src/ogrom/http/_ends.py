"""How the ends that matter are written in a generated function: 200, 304, and the 201 of a POST.

Their heads are templates; whatever does not fit them is shown as the plain walk shows it.
"""

from inspect import iscoroutinefunction
from typing import Final

from ogrom.http import _questions as questions
from ogrom.http._conditional import format_http_date
from ogrom.http._engine import checked
from ogrom.http._outcome import Answer, Created
from ogrom.http._parts import Plain, created_lines, opened, tag_line
from ogrom.http._render import compressed
from ogrom.http._source import Source
from ogrom.http._variant import unwritten

PLAIN_TAG: Final = "tag.__class__ is str and tag.isascii() and tag.isalnum()"
"""Whether a revision can stand in a tag as it is, for most of them."""

_TAG: Final = "{TAG}"
_DATE: Final = "{DATE}"
_BEGIN: Final = "{more}{start}{len(content)}\r\n"


def ended(source: Source, handler: str) -> None:
    """Writes an end: a template where there is one for it, else the plain walk's."""
    if source.method in questions.READS and source.parts is not None and handler == "handle_ok":
        _ok(source)
    else:
        source.leave(0, handler)


def acted(source: Source, action: str) -> None:
    """Writes an action, and what it leads to."""
    following = source.plan.after[action]
    function = getattr(source.resource, action)
    if function is None:
        source.leave(0, action)
        return
    source.means(**{action: function}, RESOURCE=source.resource, checked=checked)
    source.write(0, f"done = await {action}(ctx, entity)")
    created = source.method == "POST" and source.parts is not None
    if created:
        source.means(Created=Created, created_lines=created_lines)
        source.write(0, "made = created_lines(done) if done.__class__ is Created else None")
        source.write(0, "if made is None:")
    source.write(created, f'outcome = checked(RESOURCE, "{action}", done)')
    source.learn("outcome", "None")
    source.leave(created, following)
    if created:
        source.write(0, "outcome = done")
        _created(source)


def not_modified(source: Source, depth: int, *, tag: str = _TAG) -> None:
    """Writes a 304.

    Args:
        source: the function.
        depth: of its lines.
        tag: the line of the tag, in a template, where it is known.
    """
    assert source.parts is not None
    source.means(unwritten=unwritten)
    source.leave_if("variant.encode is unwritten", "handle_not_modified", depth)
    _response(source, depth, 304, f"{braced(source.parts.cache)}{tag}{_DATE}", 'b""')


def _ok(source: Source) -> None:
    assert source.parts is not None
    _content(source, "handle_ok", "entity")
    template = f"{_BEGIN}{braced(source.parts.cache)}{_TAG}{_DATE}"
    _response(source, 0, 200, template, 'b""' if source.method == "HEAD" else "content")


def _created(source: Source) -> None:
    _content(source, "handle_created", "outcome.entity")
    _response(source, 0, 201, f"{_BEGIN}{{made}}", "content")


def _content(source: Source, handler: str, entity: str) -> None:
    """Writes what makes the value that is shown, the content, and how the head begins."""
    show = getattr(source.resource, handler)
    if show is not None:
        source.means(**{handler: show})
        entity = f"{'await ' * iscoroutinefunction(show)}{handler}(ctx, {entity})"
    plain = Plain()
    source.means(
        PLAIN=plain.types,
        is_plain=plain.is_plain,
        Answer=Answer,
        opened=opened,
        compressed=compressed,
        unwritten=unwritten,
    )
    source.write(
        0,
        f"given = value = {entity}",
        'more = ""',
        "if value.__class__ is not dict:",
        "    if value.__class__ is Answer:",
        "        value, more = opened(value)",
        "    if more is None or value.__class__ not in PLAIN and not is_plain(value):",
    )
    source.show(2, handler)
    source.write(
        0,
        "content = variant.encode(value)",
        "if content.__class__ is not bytes:",
        "    variant.encode = unwritten",
    )
    source.show(1, handler)
    source.write(
        0,
        "start = variant.start",
        "if variant.coding and len(content) >= variant.least:",
        "    start = variant.coded",
        "    content = compressed(variant.coding, content)",
    )


def _response(source: Source, depth: int, status: int, template: str, content: str) -> None:
    """Writes a response whose head is what a template says."""
    assert source.parts is not None
    template += braced(source.parts.vary + source.parts.everybody)
    etag = source.resource.etag
    if _TAG in template and callable(etag):
        source.means(etag=etag, tag_line=tag_line)
        source.known["tag"] = "None"
        source.write(depth, "if tag is None:", "    tag = etag(entity)", f"if {PLAIN_TAG}:")
        _head(source, depth + 1, template.replace(_TAG, 'ETag: "{tag}{variant.suffix}"\r\n'))
        source.write(depth, "else:", "    tag_is = tag_line(tag, variant.suffix)")
        _head(source, depth + 1, template.replace(_TAG, "{tag_is}"))
    else:
        _head(source, depth, template.replace(_TAG, braced(source.parts.tag)))
    if source.parts.cross_origin is not None:
        source.means(cross_origin=source.parts.cross_origin.lines)
        source.write(
            depth, 'if "origin" in headers:', '    head += cross_origin(headers["origin"])'
        )
    source.write(
        depth,
        'head = Head(head.encode("latin-1"))',
        f"return Response(status={status}, headers=head, content={content}, route=NAME)",
    )


def _head(source: Source, depth: int, template: str) -> None:
    """Writes a head, and before it what makes the entity's date: that comes after the tag."""
    assert source.parts is not None
    changed = source.resource.last_modified
    if _DATE in template and callable(changed):
        source.means(last_modified=changed, http_date=format_http_date)
        source.write(
            depth,
            "changed = last_modified(entity)",
            'dated = "" if changed is None else f"Last-Modified: {http_date(changed)}\\r\\n"',
        )
        template = template.replace(_DATE, "{dated}")
    template = template.replace(_DATE, braced(source.parts.dated))
    shown = template.replace("\\", "\\\\").replace("\r\n", "\\r\\n").replace('"', '\\"')
    source.write(depth, f'head = f"{shown}"')


def braced(text: str) -> str:
    """Text that stands for itself in a template."""
    return text.replace("{", "{{").replace("}", "}}")
