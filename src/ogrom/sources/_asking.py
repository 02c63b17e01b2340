"""A question as the engines' JSON, and their JSON as what was found: values in, values out.

The fields are those of the embedded engine. The terms of one word share its place: they are joined
by `|` in what is sent, and an analyzer of ours takes them apart without moving on.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct, field

from ogrom.sources._analysis import Analysis
from ogrom.sources._building import DOWN, FACET, NUMBER, RANK, TEXT, UP
from ogrom.sources._matching import (
    FACET_VALUES,
    NEAR,
    NEARNESS,
    ROOT,
    Question,
    Sought,
    bounds,
    sound,
)
from ogrom.sources._query import Document, Facet, Range, Schema, Search

Json: TypeAlias = dict[str, Any]
_Fields: TypeAlias = tuple[tuple[str, float], ...]

_ENCODE = msgspec.json.Encoder()


class Kept(Struct, frozen=True, gc=False):
    """What is read back of a document; bytes travel as base64."""

    body: bytes = b""
    clues: bytes = b""


class Hit(Struct, frozen=True, gc=False):
    """One document found, and its place in the order that was asked for."""

    id: str = field(default="", name="_id")
    source: Kept = field(default_factory=Kept, name="_source")
    sort: tuple[Any, ...] = ()


class _Total(Struct, frozen=True, gc=False):
    value: int


class _Hits(Struct, frozen=True, gc=False):
    total: _Total | None = None
    hits: tuple[Hit, ...] = ()


class _Bucket(Struct, frozen=True, gc=False):
    key: str
    doc_count: int


class _Counted(Struct, frozen=True, gc=False):
    doc_count: int = 0
    buckets: tuple[_Bucket, ...] = ()
    inner: "_Counted | None" = None


_NONE = _Counted()
_COUNTED = msgspec.json.Decoder(dict[str, _Counted])


class Answer(Struct, frozen=True, gc=False):
    """What an engine answers to a search, as far as it is read."""

    hits: _Hits
    aggregations: Raw = Raw(b"{}")

    @property
    def total(self) -> int:
        """How many were found."""
        return self.hits.total.value if self.hits.total else 0

    def counts(self) -> Mapping[str, int]:
        """Of each aggregation, how many documents it is about."""
        return {name: one.doc_count for name, one in _COUNTED.decode(self.aggregations).items()}


def divided(
    aggregations: bytes, names: Sequence[str], facet: Facet
) -> Mapping[str, tuple[Any, ...]]:
    """How what was found divides by each facet, the most frequent value first, as engines tell it."""
    counted = _COUNTED.decode(aggregations)
    found: dict[str, tuple[Any, ...]] = {}
    for name in names:
        one = counted.get(name, _NONE)
        buckets = (one.inner or one).buckets
        found[name] = tuple([facet(each.key, each.doc_count) for each in buckets])
    return found


def page(
    query: Search, question: Question, needed: int, schema: Schema, *, bodies: bool = True
) -> Json:
    """The search for one page: what has so many of the words and passes all filters.

    Args:
        query: what is asked.
        question: its text, understood.
        needed: how many of its words a document has to have.
        schema: of the index.
        bodies: whether the bodies of what is found are to be sent.
    """
    chosen = {name: values for name, values in query.filters.items() if values}
    counted = {name: chosen[name] for name in query.facets if name in chosen} if chosen else chosen
    others = {name: values for name, values in chosen.items() if name not in counted}
    asked: Json = {
        "query": _found(question, needed, _filters(others, query.ranges), schema, query.order),
        "size": query.limit,
        "from": query.offset,
        "sort": _order(query, needed),
        "track_total_hits": True,
        "_source": ["body"] if bodies else False,
    }
    if counted:
        # Applied after the counting, so that a facet can be counted without its own filter.
        asked["post_filter"] = {"bool": {"filter": _filters(counted, {})}}
    if counted:
        asked["aggs"] = {name: _facet(name, counted) for name in query.facets}
    elif query.facets:
        asked["aggs"] = _facets(query.facets)
    return asked


def whole(name: str) -> str:
    """The path of a search in an index, which fails where a part of it does."""
    return f"{name}/_search?allow_partial_search_results=false"


def levels(query: Search, question: Question, schema: Schema) -> Json:
    """How many documents have all the words but one, all but two, and so on: no page."""
    filters = _filters(query.filters, query.ranges)
    return {
        "query": _found(question, 1, filters, schema, ""),
        "size": 0,
        "aggs": {
            str(needed): {"filter": _text(question, needed, schema)}
            for needed in range(1, len(question.words))
        },
    }


def _found(
    question: Question, needed: int, filters: list[Json], schema: Schema, order: str | None
) -> Json:
    if not needed:
        return {"bool": {"filter": filters}} if filters else {"match_all": {}}
    text = _text(question, needed, schema)
    if order is not None:
        return {"bool": {"filter": [text, *filters]}}
    fields = tuple(schema.text.items())
    worth = [_worth(one, fields) for one in question.words]
    worth += [_near(*pair, fields) for pair in question.near]
    return {"bool": {"must": [text], "filter": filters, "should": worth}}


def _text(question: Question, needed: int, schema: Schema) -> Json:
    fields = tuple(schema.text.items())
    words = [_word(one, fields) for one in question.words]
    return {"bool": {"should": words, "minimum_should_match": needed}}


# What is asked of a word is the same in every question that has it, so it is kept as it is sent.


@lru_cache(4096)
def _worth(sought: Sought, fields: _Fields) -> Raw:
    return _raw({"constant_score": {"filter": _word(sought, fields), "boost": sought.worth}})


@lru_cache(4096)
def _word(sought: Sought, fields: _Fields) -> Raw:
    ways = [(sought.term, 1.0)]
    if sought.root is not None:
        ways.append((sought.root, ROOT))
    queries = [
        {"term": {TEXT + name: {"value": term, "boost": weight * boost}}}
        for term, boost in ways
        for name, weight in fields
    ]
    return _raw({"dis_max": {"queries": queries}})


@lru_cache(4096)
def _near(first: str, second: str, fields: _Fields) -> Raw:
    queries = [
        {
            "match_phrase": {
                TEXT + name: {
                    "query": f"{first} {second}",
                    "slop": NEAR,
                    "boost": weight * NEARNESS,
                }
            }
        }
        for name, weight in fields
    ]
    return _raw({"dis_max": {"queries": queries}})


def _raw(asked: Json) -> Raw:
    return Raw(_ENCODE.encode(asked))


def _filters(values: Mapping[str, tuple[str, ...]], ranges: Mapping[str, Range]) -> list[Json]:
    found: list[Json] = [
        {"terms": {FACET + name: [sound(one) for one in chosen]}}
        for name, chosen in values.items()
        if chosen
    ]
    for name, numbers in ranges.items():
        least, most = bounds(numbers)
        limits = {key: one for key, one in (("gte", least), ("lte", most)) if one is not None}
        if limits:
            found.append({"range": {NUMBER + name: limits}})
    return found


def _facet(name: str, chosen: Mapping[str, tuple[str, ...]]) -> Json:
    terms = {"terms": {"field": FACET + name, "size": FACET_VALUES}}
    others = {other: values for other, values in chosen.items() if other != name}
    if not others:
        return terms
    return {"filter": {"bool": {"filter": _filters(others, {})}}, "aggs": {"inner": terms}}


@lru_cache(256)
def _facets(names: tuple[str, ...]) -> Raw:
    return _raw({name: _facet(name, {}) for name in names})


def _order(query: Search, needed: int) -> list[Any]:
    if query.order is not None:
        return [(DOWN if query.descending else UP) + query.order]
    return ["_score", RANK] if needed else [RANK]


def mapping(schema: Schema) -> Json:
    """The settings and fields of an index."""
    exact = {"type": "keyword"}
    place = {"type": "long", "index": False}
    fields: Json = {
        "body": {"type": "binary"},
        "clues": {"type": "binary"},
        RANK: {"type": "long"},
    }
    fields |= {TEXT + name: {"type": "text", "analyzer": "terms"} for name in schema.text}
    fields |= {FACET + name: exact for name in schema.facets}
    fields |= {NUMBER + name: {"type": "long"} for name in schema.numbers}
    fields |= {way + name: place for name in schema.orders for way in (UP, DOWN)}
    return {
        "settings": {
            "number_of_shards": 1,
            "auto_expand_replicas": "0-1",
            "refresh_interval": "-1",
            # A word of several terms is as long as they are, as the embedded engine has it.
            "similarity": {"default": {"type": "BM25", "discount_overlaps": False}},
            "analysis": {
                "filter": {
                    "apart": {
                        "type": "pattern_capture",
                        "preserve_original": False,
                        "patterns": ["([^|]+)"],
                    }
                },
                "analyzer": {
                    "terms": {"type": "custom", "tokenizer": "whitespace", "filter": ["apart"]}
                },
            },
        },
        "mappings": {"dynamic": "strict", "properties": fields},
    }


def entry(
    number: int,
    document: Document,
    kept: Kept,
    schema: Schema,
    analysis: Analysis,
    places: Mapping[str, Mapping[int, int]],
) -> Json:
    """A document as it is sent."""
    sent: Json = {"body": kept.body, "clues": kept.clues, RANK: number}
    for name in schema.text:
        if text := document.text.get(name):
            sent[TEXT + name] = " ".join("|".join(word.kept) for word in analysis.words(text))
    for name in schema.facets:
        sent[FACET + name] = [sound(value) for value in document.facets.get(name, ())]
    for name in schema.numbers:
        if (value := document.numbers.get(name)) is not None:
            sent[NUMBER + name] = value
    return sent | {name: numbers[number] for name, numbers in places.items()}
