"""`Index` by tantivy, in the process itself: no server, and a question costs less than asking one.

A document's text is kept as the terms of `_analysis`, and a question is built of terms. Nothing is
ever parsed as a query, so no text can be a wrong one.
"""

import shutil
import time
from collections import OrderedDict
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import tantivy
from msgspec import Struct
from tantivy import Occur, Query

from ogrom.sources._analysis import Analysis, Lexicon, Word, learn
from ogrom.sources._generations import Bodies, Draft, Generations, Live
from ogrom.sources._query import Document, Found, Range, Schema, Search

LAYOUT = 1
"""Changes whenever an index made by older code could answer wrongly; it is then made anew."""

ENOUGH = 20
"""With fewer documents that have all the words, those that lack one are shown after them."""

WORDS = 32
"""How many words of a question count; the rest are left out."""

TIER = 256.0
"""What having a word is worth: more than all that frequency and place can add up to."""

ROOT = 0.7
"""What a word's root is worth where the word itself is asked for."""

NEAR = 2
"""How many places two words may be apart to belong together ("rotes langes Kleid")."""

LOOK_AGAIN = 1.0
"""Seconds for which a reader does not look whether there is a new generation."""

FACET_VALUES = 200
"""How many values of a facet are counted, the most frequent first."""

COUNTED = 128
"""For how many questions the counts are remembered; they cost more than the page itself."""

_TEXT, _FACET, _NUMBER, _UP, _DOWN, _RANK = "text_", "facet_", "number_", "up_", "down_", "rank"
_INT64 = 2**63


class About(Struct, frozen=True):
    """How a generation was made."""

    layout: int
    schema: Schema
    lexicon: Lexicon
    origin: str


class Matching(NamedTuple):
    """A question's text as a query, and the number of words that it asks for."""

    clauses: Sequence[tuple[Occur, Query]]
    near: Sequence[tuple[Occur, Query]]


class Counts(NamedTuple):
    """What all pages of one question share."""

    needed: int
    total: int
    facets: Mapping[str, tuple[tuple[str, int], ...]]


class TantivyIndex:
    """An `Index` in a directory. Any number of processes read it, and one at a time writes."""

    def __init__(self, path: Path, schema: Schema) -> None:
        self.schema = schema
        self._generations = Generations(path)
        self._reader: Reader | None = None
        self._looked = 0.0
        self._refresh()
        if not self._fits():
            self._build_anew()

    @property
    def revision(self) -> str:
        """The live generation's name: numbered, and with a token that no other store has."""
        reader = self._current()
        return reader.live.name if reader else "empty"

    @property
    def origin(self) -> str | None:
        """What the writer of the documents called itself; None in an empty store."""
        reader = self._current()
        return reader and reader.about.origin

    def __len__(self) -> int:
        reader = self._current()
        return len(reader.bodies) if reader else 0

    async def search(self, query: Search) -> Found:
        """Answer the question, in the event loop: most take less than a millisecond."""
        reader = self._current()
        if reader is None:
            return Found((), 0, {name: () for name in query.facets})
        return reader.search(query)

    async def get(self, document_id: str) -> bytes | None:
        """The body of the document, or None where there is no such id."""
        reader = self._current()
        return reader and reader.bodies.by_id(_sound(document_id))

    @contextmanager
    def locked(self, *, wait: bool = False) -> Generator[None]:
        """Be the one who writes; raises Busy where another process is, unless told to wait."""
        with self._generations.lock(wait=wait):
            self._refresh()
            yield

    @contextmanager
    def draft(self, label: str, *, origin: str, keep: bool) -> Generator[Draft]:
        """Write, while `locked`: what is put is published, all at once, when the block ends well.

        A draft of the same label that was left behind is gone on with: see its mark. `keep` says
        whether a new one starts with the documents that are live.
        """
        draft = self._generations.draft(label, keep=keep)
        try:
            yield draft
            build(draft, self.schema, origin)
        finally:
            draft.close()
        self._generations.publish(draft.path)
        self._refresh()

    def close(self) -> None:
        """Let go of all files."""
        if self._reader is not None:
            self._reader.bodies.close()
            self._reader = None

    def _fits(self) -> bool:
        return self._reader is None or self._reader.fits(self.schema)

    def _build_anew(self) -> None:
        with self.locked(wait=True):
            if self._reader is not None and not self._fits():
                with self.draft("anew", origin=self._reader.about.origin, keep=True):
                    pass

    def _current(self) -> "Reader | None":
        now = time.monotonic()
        if now - self._looked >= LOOK_AGAIN:
            self._refresh()
        return self._reader

    def _refresh(self) -> None:
        self._looked = time.monotonic()
        stamp = self._generations.stamp()
        while (self._reader.live.stamp if self._reader else (0, 0)) != stamp:
            live = self._generations.live()
            if live is None:
                return
            try:
                reader = Reader(self._generations.path / live.name, live)
            except Exception:
                # It may have been replaced and dropped between the look and the opening.
                if self._generations.stamp() == live.stamp:
                    raise
                continue
            self.close()
            self._reader = reader
            return


class Reader:
    """One published generation, open."""

    def __init__(self, path: Path, live: Live) -> None:
        self.live = live
        self.about = msgspec.json.decode((path / "about.json").read_bytes(), type=About)
        self.bodies = Bodies(path)
        index = tantivy.Index.open(str(path / "index"))
        index.config_reader(reload_policy="manual")
        self._schema = index.schema
        self._searcher = index.searcher()
        self._analysis = Analysis(self.about.lexicon)
        self._counts: OrderedDict[object, Counts] = OrderedDict()

    def fits(self, schema: Schema) -> bool:
        """Whether this generation was made by code that would make it the same today."""
        return self.about.layout == LAYOUT and self.about.schema == schema

    def search(self, query: Search) -> Found:
        """Answer the question."""
        matching = self._matching(query.text)
        if matching is None:
            return Found((), 0, {name: () for name in query.facets})
        counts = self._count(query, matching)
        numbers = self._page(query, matching, counts.needed) if counts.total and query.limit else ()
        bodies = tuple(self.bodies.by_number(number) for number in numbers)
        return Found(bodies, counts.total, counts.facets)

    # -- what is asked for

    def _matching(self, text: str) -> Matching | None:
        """The text as clauses, one for each word; None where it has no word to look for."""
        if not text or text.isspace():
            return Matching((), ())
        words = [
            (term, word.root if len(word.sought) == 1 else None)
            for word in self._analysis.words(text)
            for term in word.sought
        ]
        words = list(dict.fromkeys(words))[:WORDS]
        if not words:
            return None
        heads = self.about.lexicon.heads
        thing = max((term for term, _ in words), key=lambda term: heads.get(term, 0))
        clauses = [
            (Occur.Should, self._word(term, root, 2 * TIER if term == thing else TIER))
            for term, root in words
        ]
        near = [
            (Occur.Should, self._near(first, second))
            for (first, _), (second, _) in zip(words, words[1:], strict=False)
        ]
        return Matching(clauses, near)

    def _word(self, term: str, root: str | None, tier: float) -> Query:
        ways = [self._in_fields(term)]
        if root is not None:
            ways.append(Query.boost_query(self._in_fields(root), ROOT))
        word = Query.disjunction_max_query(ways)
        return Query.boolean_query(
            [(Occur.Must, word), (Occur.Must, Query.const_score_query(word, tier))]
        )

    def _in_fields(self, term: str) -> Query:
        return Query.disjunction_max_query([
            Query.boost_query(Query.term_query(self._schema, _TEXT + name, term), weight)
            for name, weight in self.about.schema.text.items()
        ])

    def _near(self, first: str, second: str) -> Query:
        return Query.disjunction_max_query([
            Query.boost_query(
                Query.phrase_query(self._schema, _TEXT + name, [first, second], slop=NEAR), weight
            )
            for name, weight in self.about.schema.text.items()
        ])

    def _query(
        self, query: Search, matching: Matching, needed: int, *, but: str | None = None
    ) -> Query:
        """The whole question, for documents with so many of the words; `but` without a filter."""
        clauses = [
            (Occur.Must, Query.const_score_query(clause, 0.0))
            for clause in self._filters(query, but)
        ]
        if needed:
            text = Query.boolean_query(
                list(matching.clauses), minimum_number_should_match=needed
            )
            clauses = [(Occur.Must, text), *matching.near, *clauses]
        if not clauses:
            return Query.all_query()
        return Query.boolean_query(clauses)

    def _filters(self, query: Search, but: str | None) -> list[Query]:
        schema = self._schema
        return [
            Query.term_set_query(schema, _FACET + name, [_sound(value) for value in values])
            for name, values in query.filters.items()
            if values and name != but
        ] + [
            Query.range_query(
                schema, _NUMBER + name, tantivy.FieldType.Integer, *_bounds(bounds)
            )
            for name, bounds in query.ranges.items()
            if bounds != Range()
        ]

    # -- what is found

    def _count(self, query: Search, matching: Matching) -> Counts:
        key = (
            query.text,
            query.order is None,
            tuple((name, values) for name, values in query.filters.items() if values),
            tuple((name, bounds.least, bounds.most) for name, bounds in query.ranges.items()),
            query.facets,
        )
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = self._count_anew(query, matching)
            if len(self._counts) > COUNTED:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(key)
        return counts

    def _count_anew(self, query: Search, matching: Matching) -> Counts:
        # Where the order is not relevance, near misses would come before what was asked for.
        enough = ENOUGH if query.order is None else 1
        needed, total = len(matching.clauses), 0
        for needed in range(len(matching.clauses), -1 if not matching.clauses else 0, -1):
            total = self._total(self._query(query, matching, needed))
            if total >= enough:
                break
        return Counts(needed, total, self._facets(query, matching, needed))

    def _total(self, query: Query) -> int:
        counted: Any = self._searcher.search(query, 1, count=True)  # the stubs know no `count`
        return int(counted.count)

    def _facets(
        self, query: Search, matching: Matching, needed: int
    ) -> dict[str, tuple[tuple[str, int], ...]]:
        free = [name for name in query.facets if not query.filters.get(name)]
        counted = self._values(self._query(query, matching, needed), free)
        for name in query.facets:
            if name not in counted:
                others = self._query(query, matching, needed, but=name)
                counted |= self._values(others, [name])
        return {name: counted[name] for name in query.facets}

    def _values(
        self, query: Query, names: Sequence[str]
    ) -> dict[str, tuple[tuple[str, int], ...]]:
        if not names:
            return {}
        asked = {
            name: {"terms": {"field": _FACET + name, "size": FACET_VALUES}} for name in names
        }
        answer = self._searcher.aggregate(query, asked)
        return {
            name: tuple(
                sorted(
                    ((bucket["key"], bucket["doc_count"]) for bucket in answer[name]["buckets"]),
                    key=lambda bucket: (-bucket[1], bucket[0]),
                )
            )
            for name in names
        }

    def _page(self, query: Search, matching: Matching, needed: int) -> Sequence[int]:
        whole = self._query(query, matching, needed)
        by = _RANK if query.order is None and not needed else None
        if query.order is not None:
            by = (_DOWN if query.descending else _UP) + query.order
        if by is None:
            return self._best(whole, query.offset, query.limit)
        result = self._searcher.search(
            whole,
            query.limit,
            count=False,
            order_by_field=by,
            offset=query.offset,
            order=tantivy.Order.Asc,
        )
        return self._ranks([address for _, address in result.hits])

    def _best(self, query: Query, offset: int, limit: int) -> Sequence[int]:
        # Counted, because otherwise tantivy may leave out parts of a score that cannot matter for
        # the page at hand, and so sum up a document's score differently on the next one.
        if self._searcher.num_segments == 1:
            # Documents were added in the order of their numbers: so are equal scores, already.
            hits = self._searcher.search(query, limit, count=True, offset=offset).hits
            return self._ranks([address for _, address in hits])
        end = wanted = offset + limit
        while True:
            hits = self._searcher.search(query, wanted, count=True).hits
            # Whoever ties with the page's last may be its rightful last: all of them are needed.
            if len(hits) < wanted or hits[-1][0] < hits[end - 1][0]:
                break
            wanted *= 2
        ranks = self._ranks([address for _, address in hits])
        ranked = sorted(zip((-score for score, _ in hits), ranks, strict=True))
        return [rank for _, rank in ranked[offset:end]]

    def _ranks(self, addresses: list[tantivy.DocAddress]) -> list[int]:
        ranks = self._searcher.fast_field_values(_RANK, addresses)
        return [int(rank) for rank in ranks if rank is not None]


def build(draft: Draft, schema: Schema, origin: str) -> None:
    """Make of a draft's documents what they are found by. Begun again, it makes the same."""
    draft.number()
    lexicon = learn(
        schema.language, (text for _, one in draft.documents() for text in one.text.values())
    )
    places = {
        field: _places(draft, order, down=down)
        for order in schema.orders
        for down, field in ((False, _UP + order), (True, _DOWN + order))
    }
    analysis = Analysis(lexicon)
    path = draft.path / "index"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    index = tantivy.Index(_fields(schema), str(path))
    # One thread, and memory enough for one segment: then tantivy's own order is ours.
    writer = index.writer(_HEAP, 1)
    for number, document in draft.documents():
        writer.add_document(_entry(number, document, schema, analysis, places))
    writer.commit()
    writer.wait_merging_threads()
    about = About(LAYOUT, schema, lexicon, origin)
    (draft.path / "about.json").write_bytes(msgspec.json.encode(about))


_HEAP = 256_000_000


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
        builder.add_text_field(_TEXT + name, tokenizer_name="whitespace")
    for name in schema.facets:
        builder.add_text_field(_FACET + name, fast=True, tokenizer_name="raw", index_option="basic")
    for name in schema.numbers:
        builder.add_integer_field(_NUMBER + name, indexed=True, fast=True)
    for order in schema.orders:
        builder.add_integer_field(_UP + order, fast=True)
        builder.add_integer_field(_DOWN + order, fast=True)
    builder.add_integer_field(_RANK, fast=True)
    return builder.build()


def _entry(
    number: int,
    document: Document,
    schema: Schema,
    analysis: Analysis,
    places: Mapping[str, Mapping[int, int]],
) -> tantivy.Document:
    entry = tantivy.Document()
    entry.add_integer(_RANK, number)
    for name in schema.text:
        if text := document.text.get(name):
            entry.add_text(_TEXT + name, " ".join(analysis.terms(text)))
    for name in schema.facets:
        for value in document.facets.get(name, ()):
            entry.add_text(_FACET + name, value)
    for name in schema.numbers:
        if (value := document.numbers.get(name)) is not None:
            entry.add_integer(_NUMBER + name, value)
    for field, numbers in places.items():
        entry.add_integer(field, numbers[number])
    return entry


def _bounds(bounds: Range) -> tuple[int | None, int | None]:
    return _int64(bounds.least), _int64(bounds.most)


def _int64(number: int | None) -> int | None:
    return number if number is None else max(-_INT64, min(number, _INT64 - 1))


def _sound(text: str) -> str:
    """The text as it can be kept: half of a surrogate pair is no character."""
    return text.encode("utf-8", "replace").decode()
