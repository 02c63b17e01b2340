"""The traces that are kept: the newest, so many and so many bytes of them."""

from collections import deque
from collections.abc import Iterator
from secrets import token_hex

import msgspec

from ogrom.trace._trace import Kept


class Ring:
    """Keeps traces; it changes with each. Where one alone is too long, it is kept alone.

    Args:
        count: how many are kept.
        size: how many bytes they may take together, about.
    """

    def __init__(self, count: int = 200, size: int = 16 << 20) -> None:
        self._count = count
        self._most = size
        self._kept: deque[Kept] = deque()
        self._size = 0
        self.name = token_hex(4)
        """Tells this ring, and those that took it over, from every other."""
        self.numbered = 0
        """How many there have ever been."""

    def __iter__(self) -> Iterator[Kept]:
        """The newest first."""
        return reversed(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, kept: Kept) -> None:
        """Keep one more; the oldest go."""
        self._kept.append(kept)
        self._size += kept.size
        while len(self._kept) > 1 and (len(self._kept) > self._count or self._size > self._most):
            self._size -= self._kept.popleft().size

    def number(self) -> int:
        """The next number."""
        self.numbered += 1
        return self.numbered

    def get(self, id: str) -> Kept | None:
        """The trace of that id; None where there is none, or no longer."""
        return next((kept for kept in self._kept if kept.summary.id == id), None)

    def dump(self) -> bytes:
        """All of it, for a successor."""
        return msgspec.msgpack.encode((self.name, self.numbered, list(self._kept)))

    def load(self, dumped: bytes) -> None:
        """Take over what a predecessor has dumped.

        Raises:
            msgspec.MsgspecError: it is something else.
        """
        self.name, numbered, kept = msgspec.msgpack.decode(dumped, type=tuple[str, int, list[Kept]])
        self.numbered = max(self.numbered, numbered)
        for each in kept:
            self.put(each)
