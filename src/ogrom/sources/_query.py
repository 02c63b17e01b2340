"""What can be asked of a search engine, and what it answers: values that name no engine.

Whoever keeps documents implements `Index`; the query means the same to all of them:

- Text finds the documents that have all its words. Where these are few, those follow that lack one
  word, then two. Documents with more of the words always come first, and among equals those that
  have the word for the thing itself ("dress", not "red"), if the engine can tell it.
- Several values of one filter are alternatives; different filters must all hold.
- Every order is total: what is equal by it is ordered by id. Pages neither repeat nor miss any.
- A facet's counts heed all filters but its own, so that a shopper who chose "red" still sees
  how many there are in blue.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from msgspec import Struct, field


class Schema(Struct, frozen=True, kw_only=True):
    """Which fields the documents of one index have, and what each is for."""

    language: str
    """Two letters: how words are inflected and compounded."""

    text: Mapping[str, float]
    """The fields that text is looked for in, and how much a word counts there."""

    facets: tuple[str, ...] = ()
    """Fields of exact values, to filter by and to count."""

    numbers: tuple[str, ...] = ()
    """Fields of whole numbers, to filter by range."""

    orders: tuple[str, ...] = ()
    """What a result can be ordered by instead of relevance."""


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to be found: what it is found by, and `body`, which the index only keeps."""

    id: str
    body: bytes
    text: Mapping[str, str] = field(default_factory=dict[str, str])
    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    numbers: Mapping[str, int] = field(default_factory=dict[str, int])
    orders: Mapping[str, int | str] = field(default_factory=dict[str, int | str])
    """Numbers, or strings that collate as they are. Documents without one come last."""


class Range(Struct, frozen=True, gc=False):
    """Numbers from `least` to `most`, both included; None is without bound."""

    least: int | None = None
    most: int | None = None


class Search(Struct, frozen=True, kw_only=True):
    """One question: text, filters, an order and a page."""

    text: str = ""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    ranges: Mapping[str, Range] = field(default_factory=dict[str, Range])
    order: str | None = None
    """One of the schema's orders; None is by relevance, or by id where there is no text."""

    descending: bool = False
    offset: int = 0
    limit: int = 20
    facets: tuple[str, ...] = ()
    """The facets to count."""


Facet: TypeAlias = Callable[[str, int], Any]
"""Makes what is told of one value of a facet, from the value and the number of documents that have it."""


def pair(value: str, count: int) -> tuple[str, int]:
    """The plainest of them."""
    return value, count


class Found(Struct, frozen=True, gc=False):
    """The bodies of one page, the number of all found, and the counts of the facets asked for."""

    bodies: tuple[bytes, ...]
    total: int
    facets: Mapping[str, tuple[Any, ...]]
    """The most frequent value first, each as the index was told to make it. Other pages may have the same."""


class Index(Protocol):
    """Documents that can be searched."""

    @property
    def revision(self) -> str:
        """Changes whenever the documents do; never repeats within one store."""
        ...

    async def search(self, query: Search) -> Found:
        """Answer the question."""
        ...

    async def get(self, document_id: str) -> bytes | None:
        """The body of the document, or None where there is no such id."""
        ...
