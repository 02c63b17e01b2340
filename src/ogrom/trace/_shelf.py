"""Traces on disk, so that any process that shares the folder can show them: the newest, so many of them."""

import os
import re
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

_ID: Final = re.compile(r"[A-Za-z0-9_-]{16}")
_KIND: Final = ".json"


class Shelf:
    """A folder of traces as they may be shown, readable by this user alone. Nothing of it is in memory.

    Any number of processes may put and get at once: each trace is a file, which appears whole.

    Args:
        folder: where they are; made when the first is put.
        count: how many are kept.
        size: how many bytes they may take together.
    """

    def __init__(self, folder: Path, count: int = 200, size: int = 32 << 20) -> None:
        self._folder: Final = folder
        self._count: Final = count
        self._size: Final = size

    def put(self, id: str, written: bytes) -> None:
        """Keep one more; the oldest go.

        Raises:
            OSError: it cannot be kept.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._folder, delete=False) as file:  # for its owner alone
            try:
                file.write(written)
                file.close()
                Path(file.name).replace(self._folder / f"{id}{_KIND}")
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        self._tidy()

    def get(self, id: str) -> bytes | None:
        """The trace of that id; None where there is none, or no longer."""
        if not _ID.fullmatch(id):
            return None
        with suppress(FileNotFoundError):
            return (self._folder / f"{id}{_KIND}").read_bytes()
        return None

    def _tidy(self) -> None:
        found: list[tuple[int, int, str]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # another process tidies too
                    known = entry.stat()
                    found.append((known.st_mtime_ns, known.st_size, entry.path))
        left = 0
        for number, (_, size, path) in enumerate(sorted(found, reverse=True)):
            left += size
            if number and (number >= self._count or left > self._size):
                Path(path).unlink(missing_ok=True)
