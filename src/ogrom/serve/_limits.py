"""How much of what a client may send, and for how long."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server takes at most. Beyond it, it answers with the status named.

    Args:
        target: the length of path and query, in bytes; 414.
        head: the length of the request line and all header fields, in bytes; 431.
        content: the length of the content on the wire, in bytes; 413. A resource's `max_content`
            may be less.
        head_seconds: for how long the head may be on its way; the connection is closed.
        content_seconds: for how long the content may be on its way; 408.
        answer_seconds: for how long a resource may think; 503.
        idle_seconds: for how long a connection may wait for its next request. Longer than the
            balancer's, so that it is never closed at the moment in which a request comes.
        drain_seconds: for how long requests in flight may go on after SIGTERM.

    Raises:
        ValueError: a limit is not above zero.
    """

    target: int = 8 << 10
    head: int = 32 << 10
    content: int = 16 << 20
    head_seconds: float = 10.0
    content_seconds: float = 30.0
    answer_seconds: float = 30.0
    idle_seconds: float = 75.0
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ValueError(f"Limits({field.name}=…) must be above 0.")
