"""Answering from one published generation.

A document's text is kept as the terms of `_analysis`, and a question is built of terms.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import tantivy
from tantivy import Occur, Query

from ogrom.sources._analysis import Analysis
from ogrom.sources._building import DOWN, FACET, NUMBER, RANK, TEXT, UP, About
from ogrom.sources._generations import Bodies, Live
from ogrom.sources._matching import (
    COUNTED,
    FACET_VALUES,
    NEAR,
    NEARNESS,
    ROOT,
    bounds,
    enough,
    sound,
    understand,
)
from ogrom.sources._query import Facet, Found, Range, Search


class Matching(NamedTuple):
    """A question's text as queries."""

    words: Sequence[Query]
    """One for each word that it asks for."""

    tiers: Sequence[Query]
    """For each word, what having it is worth."""

    near: Sequence[Query]
    """For each two words that follow each other, that they do so in the document."""


class Counts(NamedTuple):
    """What all pages of one question share."""

    needed: int
    total: int
    facets: Mapping[str, tuple[Any, ...]]


class Reader:
    """One published generation, open."""

    def __init__(self, path: Path, live: Live, facet: Facet) -> None:
        self._facet = facet
        self.live = live
        self.about = msgspec.json.decode((path / "about.json").read_bytes(), type=About)
        self.bodies = Bodies(path)
        index = tantivy.Index.open(str(path / "index"))
        index.config_reader(reload_policy="manual")
        self._schema = index.schema
        self._searcher = index.searcher()
        self._analysis = Analysis(self.about.lexicon)
        self._counts: OrderedDict[object, Counts] = OrderedDict()

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
        question = understand(text, self._analysis)
        if question is None:
            return None
        found = [self._word(one.term, one.root) for one in question.words]
        tiers = [
            Query.const_score_query(query, one.worth)
            for query, one in zip(found, question.words, strict=True)
        ]
        return Matching(found, tiers, [self._near(*pair) for pair in question.near])

    def _word(self, term: str, root: str | None) -> Query:
        if root is None:
            return self._in_fields(term)
        ways = self._in_fields(term), Query.boost_query(self._in_fields(root), ROOT)
        return Query.disjunction_max_query(ways)

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
                    weight * NEARNESS,
                )
                for name, weight in self.about.schema.text.items()
            ]
        )

    def _found(
        self, query: Search, matching: Matching, needed: int, *, but: str | None = None
    ) -> Query:
        """Whatever has so many of the words and passes the filters, all or `but` one."""
        must = [
            (Occur.Must, Query.const_score_query(one, 0.0)) for one in self._filters(query, but)
        ]
        if needed:
            words = [(Occur.Should, word) for word in matching.words]
            text = Query.boolean_query(words, minimum_number_should_match=needed)
            must.append((Occur.Must, text))
        return Query.boolean_query(must) if must else Query.all_query()

    def _ranked(self, query: Search, matching: Matching, needed: int) -> Query:
        """The same, with the scores that put it in order."""
        worth = [(Occur.Should, one) for one in (*matching.tiers, *matching.near)]
        found = self._found(query, matching, needed)
        return Query.boolean_query([(Occur.Must, found), *worth])

    def _filters(self, query: Search, but: str | None) -> list[Query]:
        schema = self._schema
        return [
            Query.term_set_query(schema, FACET + name, [sound(value) for value in values])
            for name, values in query.filters.items()
            if values and name != but
        ] + [
            Query.range_query(schema, NUMBER + name, tantivy.FieldType.Integer, *bounds(one))
            for name, one in query.ranges.items()
            if one != Range()
        ]

    # -- what is found

    def _count(self, query: Search, matching: Matching) -> Counts:
        key = (
            query.text,
            query.order is None,
            tuple((name, values) for name, values in query.filters.items() if values),
            tuple((name, one.least, one.most) for name, one in query.ranges.items()),
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
        wanted = enough(query.order)
        needed = len(matching.words)
        total = self._total(self._found(query, matching, needed))
        while total < wanted and needed > 1:
            needed -= 1
            total = self._total(self._found(query, matching, needed))
        return Counts(needed, total, self._facets(query, matching, needed))

    def _total(self, query: Query) -> int:
        counted: Any = self._searcher.search(query, 1, count=True)  # the stubs know no `count`
        return int(counted.count)

    def _facets(self, query: Search, matching: Matching, needed: int) -> dict[str, tuple[Any, ...]]:
        free = [name for name in query.facets if not query.filters.get(name)]
        counted = self._values(self._found(query, matching, needed), free)
        for name in query.facets:
            if name not in counted:
                others = self._found(query, matching, needed, but=name)
                counted |= self._values(others, [name])
        return {name: counted[name] for name in query.facets}

    def _values(self, query: Query, names: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        if not names:
            return {}
        asked = {name: {"terms": {"field": FACET + name, "size": FACET_VALUES}} for name in names}
        answer = cast("Any", self._searcher).aggregate(query, asked)
        return {
            name: tuple(
                self._facet(bucket["key"], bucket["doc_count"])
                for bucket in sorted(
                    answer[name]["buckets"], key=lambda one: (-one["doc_count"], one["key"])
                )
            )
            for name in names
        }

    def _page(self, query: Search, matching: Matching, needed: int) -> Sequence[int]:
        if query.order is not None:
            by = (DOWN if query.descending else UP) + query.order
        elif needed:
            return self._best(self._ranked(query, matching, needed), query.offset, query.limit)
        else:
            by = RANK
        result = self._searcher.search(
            self._found(query, matching, needed),
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
