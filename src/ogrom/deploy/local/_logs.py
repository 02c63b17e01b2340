"""Logs that processes write to by themselves, kept short without losing a line."""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

LIMIT: Final = 8 << 20
"""Bytes that a log may have, and as many that it had before."""
_BLOCK: Final = 4096
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # linux/falloc.h
_libc = ctypes.CDLL(None, use_errno=True)


def rotate(log: Path, limit: int = LIMIT) -> bool:
    """Move the older part of a log into `<log>.1` while a process goes on adding to it.

    The writer keeps its descriptor, so the file can be neither renamed nor cut off: what is written
    between copying and cutting would be lost. What was copied is punched out of the file's start
    instead, and no byte that is added meanwhile is touched.

    Returns: whether it did. Not where the log is short, or the file system cannot do it.
    """
    try:
        file = os.open(log, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        end = os.fstat(file).st_size // _BLOCK * _BLOCK
        start = _start(file)
        if end - start <= limit:
            return False
        aside = log.with_name(f".{log.name}.1")
        with aside.open("wb") as out:
            os.lseek(file, start, os.SEEK_SET)
            left = end - start
            while left and (part := os.read(file, min(left, 1 << 20))):
                out.write(part)
                left -= len(part)
        punched = _libc.fallocate(
            file, _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(end)
        )
        if punched:
            aside.unlink()
            return False
        aside.replace(_older(log))
        return True
    finally:
        os.close(file)


def begin(log: Path) -> None:
    """A new log, where nobody writes to the old one any more; that is kept as `<log>.before`."""
    _older(log).unlink(missing_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.before"))


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log, oldest first. A line may lie across both files."""
    content = _content(_older(log)) + _content(log)
    return [line.decode(errors="replace") for line in content.splitlines()[-lines:]]


def _content(log: Path) -> bytes:
    """The last mebibyte."""
    try:
        file = os.open(log, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    try:
        end = os.fstat(file).st_size
        begin_at = max(_start(file), end - (1 << 20))
        return os.pread(file, end - begin_at, begin_at)
    finally:
        os.close(file)


def _start(file: int) -> int:
    """Where the content begins, behind what was punched out."""
    try:
        return os.lseek(file, 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing there
            return 0
        raise


def _older(log: Path) -> Path:
    return log.with_name(f"{log.name}.1")
