"""Files that are whole or not there: written aside, flushed to disk, renamed, one writer at a time."""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ogrom.deploy._target import ArtifactError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ASIDE = ".aside-"


def home(repository: Path, env: Mapping[str, str] = os.environ) -> Path:
    """The folder of all that is made and kept: `$OGROM_HOME`, else `.ogrom` in the repository."""
    return Path(env.get("OGROM_HOME") or repository / ".ogrom").resolve()


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def writing(what: str) -> Generator[None]:
    """What the operating system refuses becomes an ArtifactError that says what to do.

    Args:
        what: is being written: `the artifact`.

    Raises:
        ArtifactError: the disk is full, or the folder is not ours to write.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ArtifactError(
                f"There is no room for {what} ({error.strerror}). Nothing of it was kept. "
                "Free some (ogrom prune), then run this again."
            ) from None
        raise ArtifactError(
            f"{what[0].upper()}{what[1:]} cannot be written: {error}. Nothing of it was kept."
        ) from None


@contextmanager
def alone(lock: Path) -> Generator[None]:
    """Be the only process in this block. The lock goes with the process, however it ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def aside(path: Path) -> Generator[Path]:
    """A place beside `path` to write a file or a folder to; it takes that place when all went well.

    What was written is flushed to disk before it is renamed, and the folder after, so that a name
    never stands for half a file. Whoever replaces a folder does it alone, and removes it first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"{_ASIDE}{os.getpid()}-", dir=path.parent))
    try:
        new = place / path.name
        yield new
        for file in new.rglob("*") if new.is_dir() else (new,):
            _flush(file)
        new.replace(path)
        _flush(path.parent)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def scratch(parent: Path) -> Generator[Path]:
    """A folder for as long as the block runs."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    place = Path(tempfile.mkdtemp(prefix=f"{_ASIDE}{os.getpid()}-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Remove what processes that were killed have left aside in a folder."""
    for place in parent.glob(f"{_ASIDE}*"):
        pid = place.name.removeprefix(_ASIDE).partition("-")[0]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(place, ignore_errors=True)
        except PermissionError:  # somebody else's, alive
            continue


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
