"""Making a draft's documents findable: learning its words, and writing tantivy's index.

The same documents make the same index, however they came into the draft.
"""

import shutil
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec
import tantivy
from msgspec import Struct

from ogrom.sources._analysis import Analysis, Lexicon, learn
from ogrom.sources._generations import Draft
from ogrom.sources._query import Document, Schema

LAYOUT = 1
"""Changes whenever an index made by older code could answer wrongly; it is then made anew."""

TEXT, FACET, NUMBER, UP, DOWN, RANK = "text_", "facet_", "number_", "up_", "down_", "rank"
"""How fields are called in the index: one of these before the schema's name."""

TOLD = 1_000
"""After how many documents it is told how far the work is."""

Progress = Callable[[int, int], None]
"""Called with how many documents are done, and how many there are."""

_HEAP = 256_000_000
"""Bytes that the writer may fill before it begins another segment. It takes what it needs."""


def unseen(done: int, total: int) -> None:
    """Show nothing."""


class Told(Struct, frozen=True):
    """What a generation says of its documents, in whatever layout."""

    origin: str
    label: str


class About(Struct, frozen=True):
    """How a generation was made."""

    layout: int
    schema: Schema
    lexicon: Lexicon
    origin: str
    label: str


def version(schema: Schema) -> str:
    """A name for what this code makes of that schema: an index of another one is of no use."""
    told = msgspec.json.encode((LAYOUT, schema), order="deterministic")
    return blake2b(told, digest_size=4).hexdigest()


def taught(draft: Draft, schema: Schema) -> Lexicon:
    """The lexicon of a draft's documents."""
    texts = (text for _, one in draft.documents() for text in one.text.values())
    return learn(schema.language, texts)


def placed(draft: Draft, schema: Schema) -> Mapping[str, Mapping[int, int]]:
    """For each order and direction, by its field's name, the place of each document."""
    return {
        field: _places(draft, order, down=down)
        for order in schema.orders
        for down, field in ((False, UP + order), (True, DOWN + order))
    }


def build(draft: Draft, schema: Schema, origin: str, progress: Progress = unseen) -> None:
    """Make of a draft's documents what they are found by. Begun again, it makes the same."""
    draft.number()
    lexicon, places = taught(draft, schema), placed(draft, schema)
    analysis, total = Analysis(lexicon), draft.count()
    path = draft.path / "index"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    index = tantivy.Index(_fields(schema), str(path))
    # One thread, and memory enough for one segment: then tantivy's own order is ours.
    writer = index.writer(_HEAP, 1)
    for number, document in draft.documents():
        writer.add_document(_entry(number, document, schema, analysis, places))
        if number % TOLD == 0:
            progress(number, total)
    writer.commit()
    writer.wait_merging_threads()
    progress(total, total)
    about = About(LAYOUT, schema, lexicon, origin, draft.label)
    (draft.path / "about.json").write_bytes(msgspec.json.encode(about))


def _places(draft: Draft, order: str, *, down: bool) -> dict[int, int]:
    """Each document's place in an order; those that it says nothing about come last."""
    keyed: list[tuple[Any, int]] = []
    last: list[int] = []
    for number, document in draft.documents():
        key = document.orders.get(order)
        if key is None:
            last.append(number)
        else:
            keyed.append((key, number))
    keyed.sort(key=lambda pair: pair[1])
    keyed.sort(key=lambda pair: pair[0], reverse=down)
    numbers = [*(number for _, number in keyed), *last]
    return {number: place for place, number in enumerate(numbers)}


def _fields(schema: Schema) -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in schema.text:
        builder.add_text_field(TEXT + name, tokenizer_name="whitespace")
    for name in schema.facets:
        builder.add_text_field(FACET + name, fast=True, tokenizer_name="raw", index_option="basic")
    for name in schema.numbers:
        builder.add_integer_field(NUMBER + name, indexed=True, fast=True)
    for order in schema.orders:
        builder.add_integer_field(UP + order, fast=True)
        builder.add_integer_field(DOWN + order, fast=True)
    builder.add_integer_field(RANK, fast=True)
    return builder.build()


def _entry(
    number: int,
    document: Document,
    schema: Schema,
    analysis: Analysis,
    places: Mapping[str, Mapping[int, int]],
) -> tantivy.Document:
    entry = tantivy.Document()
    entry.add_integer(RANK, number)
    for name in schema.text:
        if text := document.text.get(name):
            entry.add_pre_tokenized_text(TEXT + name, _placed(analysis, text))
    for name in schema.facets:
        for value in document.facets.get(name, ()):
            entry.add_text(FACET + name, value)
    for name in schema.numbers:
        if (number_of := document.numbers.get(name)) is not None:
            entry.add_integer(NUMBER + name, number_of)
    for field, numbers in places.items():
        entry.add_integer(field, numbers[number])
    return entry


def _placed(analysis: Analysis, text: str) -> tantivy.PreTokenizedString:
    """The text as terms, each in its word's place: "rotes" stands next to any part of the next."""
    return tantivy.PreTokenizedString(
        "",
        [
            tantivy.Token(term, place, 0, 0)
            for place, word in enumerate(analysis.words(text))
            for term in word.kept
        ],
    )
