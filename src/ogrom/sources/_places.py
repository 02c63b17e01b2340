"""So many at once: whoever comes later waits for a place, in the order of coming."""

import asyncio
from collections import deque


class Places:
    """Places that are taken and given back. It changes with both.

        if not places.take():
            await places.wait(seconds)
        try:
            ...
        finally:
            places.give()

    Where there is a place, nothing is waited for and nothing is made: that is what almost always happens.

    Args:
        most: how many there are.
    """

    __slots__ = ("_most", "_waiting", "taken")

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.taken = 0
        """How many are taken."""

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def take(self) -> bool:
        """Take one, if there is any and nobody waits for it; whether that was so."""
        if self.taken < self._most and not self._waiting:
            self.taken += 1
            return True
        return False

    async def wait(self, seconds: float | None) -> None:
        """Take one as soon as it is one's turn.

        Raises:
            TimeoutError: that was not within so many seconds.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.give()  # it was one's turn in the very moment of leaving
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def give(self) -> None:
        """Give one back: it is the next one's then."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # who has just been cancelled is passed over
                turn.set_result(None)
                return
        self.taken -= 1
