"""Resilience: what happens to everybody else when a source is slow, wrong or gone.

    shield = Shield("users", timeout=2, retry=Retry(), breaker=Breaker(), bulkhead=Bulkhead())
    by_id = shield.protect(client.user, cache=Cache(fresh=60, while_revalidate=300, on_error=3600))

    user = await by_id("anna")                    # as before
    kept = await by_id.aged("anna")               # kept.value, kept.age, kept.fresh

| value | what it is for |
| --- | --- |
| `Retry` | what failed is tried again, inside the deadline and within a budget |
| `Breaker` | a source that keeps failing is left alone, and tried again by one call |
| `Bulkhead` | so many calls at once: one slow source does not take all there is |
| `Cache` | answers are kept, fresh, stale while a new one is fetched, and stale while it is down |

Equal calls in flight are made once, unless told not to (`share=False`). Each piece can be used by
itself: leave the others out.
"""

from ogrom.sources._breaker import TRANSITIONS, Breaker, Circuit, Pass
from ogrom.sources._bulkhead import Bulkhead
from ogrom.sources._cache import Aged, Cache
from ogrom.sources._errors import (
    BadAnswer,
    Busy,
    CircuitOpen,
    Misuse,
    SourceError,
    TimedOut,
    Unavailable,
)
from ogrom.sources._protected import Protected
from ogrom.sources._retry import Retry
from ogrom.sources._shield import Shield

__all__ = [
    "TRANSITIONS",
    "Aged",
    "BadAnswer",
    "Breaker",
    "Bulkhead",
    "Busy",
    "Cache",
    "Circuit",
    "CircuitOpen",
    "Misuse",
    "Pass",
    "Protected",
    "Retry",
    "Shield",
    "SourceError",
    "TimedOut",
    "Unavailable",
]
