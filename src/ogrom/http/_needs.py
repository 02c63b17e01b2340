"""What is known from requests that were seen, and what it takes of a resource that one comes to an end."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from ogrom.http._anatomy import Source, source_of
from ogrom.http._conditional import ETag
from ogrom.http._graph import ACTIONS, HANDLERS
from ogrom.http._message import Request
from ogrom.http._walk import Prepared


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


def by_raising(prepared: Prepared, end: str) -> Reach:
    """Why no request alone comes to an end that only an exception leads to."""
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


def unreachable(prepared: Prepared, end: str) -> Reach:
    """Why there is no request that comes to an end."""
    status = HANDLERS[end]
    says = f"No request that can be made up comes to {status} by an edge of this resource's graph."
    resource = prepared.resource
    if status in {304, 412} and resource.etag is None and resource.last_modified is None:
        says += " It has neither etag nor last_modified to compare with."
    elif status in {304, 412}:
        says += " No ETag and no date of it were seen: GET it first."
    return Reach(end, status, found=False, says=says)
