"""Full-text search: one query model for every engine, and the engine that needs no server."""

from ogrom.sources._analysis import Analysis, Lexicon, collation, learn, tokens
from ogrom.sources._elastic import ElasticIndex
from ogrom.sources._engine import Address, Engine, address, connect
from ogrom.sources._errors import Busy, Misuse, SourceError, Unavailable
from ogrom.sources._generations import Draft, drafts
from ogrom.sources._query import Document, Found, Index, Range, Schema, Search
from ogrom.sources._tantivy import TantivyIndex

__all__ = [
    "Address",
    "Analysis",
    "Busy",
    "Document",
    "Draft",
    "ElasticIndex",
    "Engine",
    "Found",
    "Index",
    "Lexicon",
    "Misuse",
    "Range",
    "Schema",
    "Search",
    "SourceError",
    "TantivyIndex",
    "Unavailable",
    "address",
    "collation",
    "connect",
    "drafts",
    "learn",
    "tokens",
]
