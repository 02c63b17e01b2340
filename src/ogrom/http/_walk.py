"""What a walk through the graph carries: what is known of its resource, and of its request so far."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from ogrom.http._conditional import ETag
from ogrom.http._cors import Cors
from ogrom.http._errors import Refused
from ogrom.http._media import Decode, Encode, Media
from ogrom.http._message import Context, Request, Step
from ogrom.http._negotiate import MediaType
from ogrom.http._outcome import Outcome
from ogrom.http._resource import Resource
from ogrom.http._routing import Match, Router

Test = Callable[["Walk"], bool | Awaitable[bool]]
"""Answers one decision for one walk."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How the content of one method's requests is read."""

    media: tuple[Media, ...]
    decoders: tuple[Decode, ...]

    @property
    def accept(self) -> str:
        """The media types, as `Accept` and `Accept-Patch` list them."""
        return ", ".join(str(media.type) for media in self.media)


Refusals = Mapping[type[Exception], Callable[[Any], Refused]]
"""What exceptions that know nothing of HTTP mean to a client."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph to walk: the whole, or what is left of it when some answers are known."""

    start: str
    steps: Mapping[str, tuple[Test, str, str]]
    """For each decision how it is answered, and where yes and no lead."""
    after: Mapping[str, str]
    """What follows each action."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What follows from a resource alone."""

    resource: Resource[Any]
    whole: Plan
    plans: Mapping[str, Plan]
    """What is left of the whole for each method."""
    methods: tuple[str, ...]
    cors: Cors | None
    media_types: tuple[MediaType, ...]
    encoders: tuple[Encode, ...]
    languages: tuple[str, ...]
    charsets: tuple[str, ...]
    encodings: tuple[str, ...]
    variants: frozenset[str]
    vary: str
    read_query: Callable[[str], Any] | None
    readers: Mapping[str, Reader]
    refusals: Refusals

    @property
    def language(self) -> str | None:
        """The language that is sent to those who ask for none."""
        return self.languages[0] if self.languages else None


class Walk(Struct, eq=False):
    """One request on its way through the graph. All of it changes as the walk goes on."""

    prepared: Prepared
    request: Request
    ctx: Context
    encoding: int | None
    exists: bool
    media: int | None = 0
    language: int | None = 0
    charset: int | None = 0
    content: bytes = b""
    content_error: Exception | None = None
    entity: Any = None
    tag: ETag | str | None = None
    location: str | None = None
    outcome: Outcome | None = None
    refusal: Refused | None = None
    steps: list[Step] | None = None
    """What a traced walk has come by; None where nobody looks."""
    why: str = ""
    watch: Callable[["Walk", Step], object] | None = None
    """Is told of each step as soon as it is taken, where somebody watches a traced walk."""

    @property
    def resource(self) -> Resource[Any]:
        """The resource that is asked."""
        return self.prepared.resource

    def header(self, name: str) -> str | None:
        """A field of the request; None where it was not sent."""
        return self.request.headers.get(name)

    def note(self, step: Step) -> None:
        """One more step of a traced walk."""
        assert self.steps is not None
        self.steps.append(step)
        if self.watch is not None:
            self.watch(self, step)


def at_start(
    prepared: Prepared, request: Request, ctx: Context, steps: list[Step] | None = None
) -> Walk:
    """A walk at its start, where the favourite of everything offered is what will be sent.

    Args:
        prepared: the resource.
        request: the request.
        ctx: what the resource's functions are given.
        steps: where each step is noted; None where nobody looks.
    """
    return Walk(
        prepared,
        request,
        ctx,
        len(prepared.encodings) - 1,
        prepared.resource.exists is True,
        steps=steps,
    )


def begin(
    prepared: Prepared, request: Request, match: Match[Any], router: Router[Any], *, trace: bool
) -> Walk:
    """A walk at its start, of a request that was matched."""
    ctx = Context(request, match.params, router.links(match.route), prepared.language)
    return at_start(prepared, request, ctx, [] if trace else None)
