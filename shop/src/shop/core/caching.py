"""What caches may do with what everybody may see (RFC 9111 and RFC 5861)."""

from typing import Final

HOUR: Final = 3_600
DAY: Final = 86_400


def public(fresh: int = 0) -> str:
    """A `Cache-Control` for what is the same for everybody.

    Args:
        fresh: for how many seconds it may be given without asking, and for as many more while
            a new one is fetched; for a day where none can be had. 0: it may be kept, and is given
            only when we have said that it is still right (304).
    """
    if not fresh:
        return "public, no-cache"
    return f"public, max-age={fresh}, stale-while-revalidate={fresh}, stale-if-error={DAY}"
