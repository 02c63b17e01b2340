"""A route, and a route found: the values that matching, linking and serving share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from ogrom.http._pattern import PARAMETER, Parameter, Slot

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """One leaf and the paths that lead to it."""

    pattern: str
    """All keys on the way to it, concatenated: "/v1/products/{product_id:int}"."""
    leaf: T
    name: str | None
    parameters: tuple[Parameter, ...]
    """From the left."""
    mounts: tuple[str, ...]
    """The patterns of the mappings that it lies in, the outermost ("") first."""
    pieces: tuple[str | Slot, ...] = field(repr=False, compare=False)
    """What `path_for` writes: encoded text, and what holds parameters, in turn."""
    kept: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)
    """What those who serve this route keep with it; nobody looks at it here."""

    @property
    def template(self) -> str:
        """The pattern without types, as OpenAPI writes it: "/v1/products/{product_id}"."""
        return PARAMETER.sub(r"{\1}", self.pattern)


class Match(NamedTuple, Generic[T]):
    """What a path leads to."""

    leaf: T
    params: Mapping[str, object]
    """The decoded and converted values by name, from the left."""
    route: Route[T]
