"""To look into resources and walks: who decides what, why it was decided, and what would come elsewhere.

For those who show or test a service; nothing here is in the way of a request.
"""

from ogrom.http._anatomy import Anatomy, Edge, Node, Place, Source, anatomy, node_of, short_path
from ogrom.http._because import Row, Why
from ogrom.http._nearest import Tried, tried
from ogrom.http._needs import Need, Reach, Seen
from ogrom.http._reach import ends_of, reach
from ogrom.http._walk import Prepared, Walk
from ogrom.http._why import explain
from ogrom.http._words import words

__all__ = [
    "Anatomy",
    "Edge",
    "Need",
    "Node",
    "Place",
    "Prepared",
    "Reach",
    "Row",
    "Seen",
    "Source",
    "Tried",
    "Walk",
    "Why",
    "anatomy",
    "ends_of",
    "explain",
    "node_of",
    "reach",
    "short_path",
    "tried",
    "words",
]
