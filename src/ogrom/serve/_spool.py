"""Lines on disk, in the order in which they came, until they need not be kept any more.

A spool is a folder of segments, files that are only ever appended to and are removed as a whole.
Each process has a folder of its own in the one that all share, locked while it lives. What a dead
process left is taken over by the next that looks: its files are moved into the folder of whoever
got the lock, so that nothing is sent by two. A line that was cut off by the death is dropped.

Nothing is flushed to the disk itself (fsync) but at the end: the lines survive the death of the
process, and the machine's only as far as the kernel has written them, which takes it up to 30 s.
"""

import fcntl
import os
import secrets
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".log"
_LOCK: Final = "lock"
_CHUNK: Final = 1 << 16


class Segment:
    """One file of the spool; or, where there can be no file, what would be in it."""

    __slots__ = ("_fd", "_memory", "path", "sealed", "size", "start")

    def __init__(self, path: Path | None, start: int) -> None:
        self.path: Final = path
        self.start: Final = start
        """How many bytes came before it in the spool."""
        self.sealed = False
        self.size = 0
        self._fd = -1
        self._memory = bytearray()
        if path is not None:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._fd = os.open(path, flags, 0o600)
            self.size = os.fstat(self._fd).st_size

    def append(self, content: bytes) -> None:
        """Add lines: all of them, or none and an OSError."""
        if self.path is None:
            self._memory += content
        else:  # nobody else writes to it
            rest = memoryview(content)
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._fd, self.size)
                raise
        self.size += len(content)

    def read(self, offset: int) -> bytes:
        """What is there from `offset` on, a part of it at least; b"" at the end."""
        most = min(_CHUNK, self.size - offset)
        if self.path is None:
            return bytes(self._memory[offset : offset + most])
        return os.pread(self._fd, most, offset)

    def trim(self) -> None:
        """Cut off a last line that is not whole."""
        end = self.size
        while end > 0:
            start = max(0, end - _CHUNK)
            found = os.pread(self._fd, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end != self.size:
            os.ftruncate(self._fd, end)
            self.size = end

    def flush(self) -> None:
        """Have the disk itself keep it."""
        if self._fd >= 0:
            os.fsync(self._fd)

    def close(self, *, remove: bool) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if remove and self.path is not None:
            self.path.unlink(missing_ok=True)


class Spool:
    """The lines that are kept, as one stream: a position is how many bytes came before.

    It changes with every call, and belongs to one thread.

    Args:
        folder: what all processes share.
        most: how many bytes are kept at most; further lines are refused.
        segment: how many bytes a segment has when it is sealed.
        memory: how many bytes are kept in memory while nothing can be written to the disk.
    """

    def __init__(
        self, folder: Path, *, most: int, segment: int = 1 << 20, memory: int = 4 << 20
    ) -> None:
        self._folder: Final = folder
        self._most: Final = most
        self._segment: Final = segment
        self._memory: Final = memory
        self._own: Path | None = None
        self._lock = -1
        self._number = 0
        self._segments: deque[Segment] = deque()
        self.end = 0
        """The position of what comes next."""
        self.failure = ""
        """Why nothing can be written to the disk; "" while it can."""

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self.end - self.start

    @property
    def start(self) -> int:
        """The position of the oldest byte that is kept."""
        try:
            return self._segments[0].start
        except IndexError:  # also where another thread has just looked
            return self.end

    def append(self, lines: bytes) -> bool:
        """Keep these lines; False where there is no room for them."""
        if self.size + len(lines) > self._most:
            return False
        try:
            segment = self._last_file() or self._new_file()
            segment.append(lines)
            self.failure = ""
        except OSError as error:
            self.failure = f"{error.strerror or error} in {self._folder}"
            in_memory = sum(each.size for each in self._segments if each.path is None)
            if in_memory + len(lines) > self._memory:
                return False
            segment = Segment(None, self.end)
            segment.append(lines)
            segment.sealed = True
        if not self._segments or self._segments[-1] is not segment:
            self._segments.append(segment)
        segment.sealed = segment.sealed or segment.size >= self._segment
        self.end += len(lines)
        return True

    def read(self, position: int) -> bytes:
        """What is there from a position on, a part of it at least; b"" at the end."""
        for segment in self._segments:
            if position < segment.start + segment.size:
                return segment.read(position - segment.start)
        return b""

    def settle(self, position: int) -> None:
        """What came before the position need not be kept: segments that end there are removed."""
        while self._segments:
            first = self._segments[0]
            if first.start + first.size > position:
                return
            self._segments.popleft()
            first.close(remove=True)

    def adopt(self) -> int:
        """Take over what dead processes left, as if it came now; how many bytes."""
        before = self.end
        with suppress(OSError):
            own = self._open()
            for other in sorted(self._folder.iterdir()):
                if other != own and not other.name.startswith("."):
                    self._take(other)
        return self.end - before

    def close(self) -> None:
        """Let go of it. What is not settled stays for the next process."""
        for segment in self._segments:
            with suppress(OSError):
                segment.flush()
            segment.close(remove=False)
        if self._own is not None:
            if not self._segments:
                _remove(self._own)
            os.close(self._lock)
            self._own = None

    def _last_file(self) -> Segment | None:
        last = self._segments[-1] if self._segments else None
        return None if last is None or last.sealed else last

    def _new_file(self) -> Segment:
        return Segment(self._path(), self.end)

    def _path(self) -> Path:
        self._number += 1
        return self._open() / f"{self._number:08}{_SUFFIX}"

    def _open(self) -> Path:
        """Our own folder. It is locked before it has a name that others look at."""
        if self._own is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            made = self._folder / f".{name}"
            made.mkdir(mode=0o700)
            self._lock = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._own = made.rename(self._folder / name)
        return self._own

    def _take(self, other: Path) -> None:
        """The segments of a folder, if its owner is dead, moved into ours."""
        with suppress(OSError):  # it is no such folder, its owner lives, or it has just gone
            lock = os.open(other / _LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for path in sorted(other.glob(f"*{_SUFFIX}")):
                    segment = Segment(path.rename(self._path()), self.end)
                    segment.trim()
                    segment.sealed = True
                    if self._segments:
                        self._segments[-1].sealed = True
                    self._segments.append(segment)
                    self.end += segment.size
                _remove(other)
            finally:
                os.close(lock)


def _remove(folder: Path) -> None:
    with suppress(OSError):
        (folder / _LOCK).unlink()
        folder.rmdir()
