"""Answering from one published generation.

A document's text is kept as the terms of `_analysis`, and a question is built of terms. Nothing is
ever parsed as a query, so no text can be a wrong one.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import tantivy
from tantivy import Occur, Query

from ogrom.sources._analysis import Analysis
from ogrom.sources._building import DOWN, FACET, LAYOUT, NUMBER, RANK, TEXT, UP, About
from ogrom.sources._generations import Bodies, Live
from ogrom.sources._query import Found, Range, Schema, Search

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

FACET_VALUES = 200
"""How many values of a facet are counted, the most frequent first."""

COUNTED = 128
"""For how many questions the counts are remembered; they cost more than the page itself."""

_INT64 = 2**63


class Matching(NamedTuple):
    """A question's text as a query, and the number of words that it asks for."""

    clauses: Sequence[tuple[Occur, Query]]
    near: Sequence[tuple[Occur, Query]]


class Counts(NamedTuple):
    """What all pages of one question share."""

    needed: int
    total: int
    facets: Mapping[str, tuple[tuple[str, int], ...]]


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
            return Found((), 0, dict.fromkeys(query.facets, ()))
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
        known = thing in heads
        clauses = [
            (Occur.Should, self._word(term, root, 2 * TIER if known and term == thing else TIER))
            for term, root in words
        ]
        near = [
            (Occur.Should, self._near(first, second)) for (first, _), (second, _) in pairwise(words)
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
        return Query.disjunction_max_query(
            [
                Query.boost_query(Query.term_query(self._schema, TEXT + name, term), weight)
                for name, weight in self.about.schema.text.items()
            ]
        )

    def _near(self, first: str, second: str) -> Query:
        return Query.disjunction_max_query(
            [
                Query.boost_query(
                    Query.phrase_query(self._schema, TEXT + name, [first, second], slop=NEAR),
                    weight,
                )
                for name, weight in self.about.schema.text.items()
            ]
        )

    def _query(
        self, query: Search, matching: Matching, needed: int, *, but: str | None = None
    ) -> Query:
        """The whole question, for documents with so many of the words; `but` without a filter."""
        clauses = [
            (Occur.Must, Query.const_score_query(clause, 0.0))
            for clause in self._filters(query, but)
        ]
        if needed:
            text = Query.boolean_query(list(matching.clauses), minimum_number_should_match=needed)
            clauses = [(Occur.Must, text), *matching.near, *clauses]
        if not clauses:
            return Query.all_query()
        return Query.boolean_query(clauses)

    def _filters(self, query: Search, but: str | None) -> list[Query]:
        schema = self._schema
        return [
            Query.term_set_query(schema, FACET + name, [sound(value) for value in values])
            for name, values in query.filters.items()
            if values and name != but
        ] + [
            Query.range_query(schema, NUMBER + name, tantivy.FieldType.Integer, *_bounds(bounds))
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

    def _values(self, query: Query, names: Sequence[str]) -> dict[str, tuple[tuple[str, int], ...]]:
        if not names:
            return {}
        asked = {name: {"terms": {"field": FACET + name, "size": FACET_VALUES}} for name in names}
        aggregate: Callable[..., dict[str, Any]] = self._searcher.aggregate  # pyright: ignore[reportUnknownMemberType]
        answer = aggregate(query, asked)
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
        by = RANK if query.order is None and not needed else None
        if query.order is not None:
            by = (DOWN if query.descending else UP) + query.order
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
        ranks = self._searcher.fast_field_values(RANK, addresses)
        return [int(rank) for rank in ranks if rank is not None]


def _bounds(bounds: Range) -> tuple[int | None, int | None]:
    return _int64(bounds.least), _int64(bounds.most)


def _int64(number: int | None) -> int | None:
    return number if number is None else max(-_INT64, min(number, _INT64 - 1))


def sound(text: str) -> str:
    """The text as it can be kept: half of a surrogate pair is no character."""
    return text.encode("utf-8", "replace").decode()
