"""Full-text search: one query model for every engine, and the engine that needs no server."""

from ogrom.sources._analysis import Analysis, Lexicon, collation, learn, tokens
from ogrom.sources._errors import Busy
from ogrom.sources._generations import Draft
from ogrom.sources._query import Document, Found, Index, Range, Schema, Search
from ogrom.sources._tantivy import TantivyIndex

__all__ = [
    "Analysis",
    "Busy",
    "Document",
    "Draft",
    "Found",
    "Index",
    "Lexicon",
    "Range",
    "Schema",
    "Search",
    "TantivyIndex",
    "collation",
    "learn",
    "tokens",
]
