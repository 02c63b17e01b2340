"""The right to deploy: a file under a lock, with an expiry and a token that only ever rises."""

import asyncio
import contextlib
import fcntl
import os
import socket
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ogrom.deploy._target import Fenced, LeaseHeld
from ogrom.deploy.local._process import identity, is_alive
from ogrom.deploy.local._state import Identity, read, write

SECONDS: Final = 15.0
"""How long a lease is good for that is not renewed."""
_RENEW: Final = 5.0
_POLL: Final = 0.1


class Held(Struct, frozen=True):
    """What the file says."""

    token: int = 0
    """Of the newest lease; stays when that is given back."""
    holder: str = ""
    since: float = 0.0
    """Seconds since the epoch; so is `expires`. 0: nobody has it."""
    expires: float = 0.0
    process: Identity | None = None
    host: str = ""

    def is_held(self, now: float) -> bool:
        """Whether somebody has it still: it has not expired, and its process has not ended."""
        if now >= self.expires:
            return False
        return self.process is None or self.host != socket.gethostname() or is_alive(self.process)


def held(folder: Path) -> Held:
    """What is known of the lease of a target."""
    return read(folder / "lease.json", Held, Held())


class FileLease:
    """A lease that we have. Mutable: it can be lost."""

    def __init__(self, folder: Path, mine: Held, seconds: float) -> None:
        self._folder, self._mine, self._seconds = folder, mine, seconds
        self._good_until = time.monotonic() + seconds
        self._lost = False

    @property
    def token(self) -> int:
        """The fencing token."""
        return self._mine.token

    def check(self) -> None:
        """Raise Fenced if it was lost. One that was not renewed in time, and is still ours, is."""
        if not self._lost and time.monotonic() >= self._good_until:
            self.renew()
        if self._lost:
            raise Fenced(
                f"The lease with token {self.token} was lost: another deployer has taken over since."
                " See who with `ogrom status`."
            )

    def renew(self) -> None:
        """Make it good for some more seconds, unless another has taken it."""
        with _locked(self._folder):
            if held(self._folder).token != self.token:
                self._lost = True
                return
            self._mine = msgspec.structs.replace(self._mine, expires=time.time() + self._seconds)
            write(self._folder / "lease.json", self._mine)
        self._good_until = time.monotonic() + self._seconds

    def give_back(self) -> None:
        """Let the next have it; the token stays."""
        with _locked(self._folder):
            if held(self._folder).token == self.token:
                write(self._folder / "lease.json", Held(token=self.token))


@asynccontextmanager
async def lease(
    folder: Path,
    holder: str,
    *,
    wait: float = 0,
    seconds: float = SECONDS,
    renew: float = _RENEW,
) -> AsyncGenerator[FileLease]:
    """Be the only deployer while the block runs.

    Args:
        folder: the target's.
        holder: who, for others to read.
        wait: for how many seconds another's lease is waited for.
        seconds: how long it is good for without being renewed.
        renew: how often it is renewed, in seconds.

    Raises:
        LeaseHeld: another has it.
    """
    until = time.monotonic() + wait
    while not isinstance(got := take(folder, holder, seconds), FileLease):
        if time.monotonic() >= until:
            since = datetime.fromtimestamp(got.since, UTC).astimezone()
            raise LeaseHeld(
                f"{got.holder} is deploying to {folder.name} since {since:%H:%M:%S}. Wait for it"
                " (--wait SECONDS); if it was killed, its lease ends by itself within"
                f" {max(0, got.expires - time.time()):.0f} s."
            )
        await asyncio.sleep(min(_POLL, seconds / 10))
    renewing = asyncio.create_task(_renew(got, renew), name="lease")
    try:
        yield got
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        got.give_back()


async def _renew(mine: FileLease, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        with contextlib.suppress(Exception):  # a full disk: it is tried again, and `check` tells
            mine.renew()


def take(
    folder: Path, holder: str, seconds: float = SECONDS, now: Callable[[], float] = time.time
) -> FileLease | Held:
    """The lease, if nobody has it; else what is known of who does."""
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        before = held(folder)
        if before.is_held(now()):
            return before
        mine = Held(
            token=before.token + 1,
            holder=holder,
            since=now(),
            expires=now() + seconds,
            process=identity(os.getpid()),
            host=socket.gethostname(),
        )
        write(folder / "lease.json", mine)
    return FileLease(folder, mine, seconds)


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    with (folder / "lease.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
