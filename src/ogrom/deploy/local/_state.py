"""What is wanted of a local target, and what was started for it: one file that survives everything.

$OGROM_HOME/targets/production/
    state.json     what is wanted; written by `ogrom up` alone
    counts.json    what has been counted; may be a second behind
    lease.json     who deploys; see `_lease`
    up.lock        held by the `ogrom up` that runs
    haproxy.cfg    made from the state
    logs/          blue-1.log … and haproxy.log
the run directory  sockets; beside these, or in a short place where the path would be too long
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, json

from ogrom.deploy._target import NAMES, Name, Release, TargetError

SLOTS: Final = 16
"""How many instances an environment can have: so many servers HAProxy knows of from its start."""
_LONGEST_RUN: Final = 80
"""Bytes of a run directory's path. A Unix socket's path has 108; HAProxy adds up to 12 while it
binds its own, and `/blue-16` follows."""


class Identity(Struct, frozen=True):
    """A process, told from another that got the same number later."""

    pid: int
    ticks: int
    """When it started, in the kernel's clock ticks since boot (proc(5), stat, field 22)."""
    boot: str
    """Which boot that was."""


class Slot(Struct, frozen=True):
    """What one instance is known to have been."""

    process: Identity | None = None
    started: float = 0.0
    """Seconds since the epoch."""
    proven: bool = False
    """It was healthy once: if it ends, it is started again."""
    restarts: int = 0


class Wanted(Struct, frozen=True):
    """What one environment is to be."""

    release: Release | None = None
    instances: int = 0
    share: int = 0
    slots: dict[int, Slot] = {}


class State(Struct, frozen=True):
    """All that `ogrom up` has to know when it is started again."""

    blue: Wanted = Wanted()
    green: Wanted = Wanted()
    token: int = 0
    """The newest fencing token seen."""
    minimum: int = 1
    maximum: int = 1
    declared: tuple[int, int] | None = None
    """The bounds that `ogrom up` was last started with: `ogrom scale` holds until they change."""
    proxy: Identity | None = None

    def __getitem__(self, name: Name) -> Wanted:
        """One of the two."""
        return self.blue if name == "blue" else self.green

    @property
    def live(self) -> Name | None:
        """The environment with the larger share of the traffic; None where none has any."""
        best = max(NAMES, key=lambda name: self[name].share)
        return best if self[best].share else None


def with_environment(state: State, name: Name, wanted: Wanted) -> State:
    """The state with one environment replaced."""
    if name == "blue":
        return msgspec.structs.replace(state, blue=wanted)
    return msgspec.structs.replace(state, green=wanted)


_T = TypeVar("_T")


def read(path: Path, kind: type[_T], absent: _T) -> _T:
    """What a file holds; `absent` where there is none.

    Raises:
        TargetError: it is not what we wrote; the message names the file.
    """
    try:
        return json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return absent
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TargetError(
            f"{path} cannot be read ({error}). Move it away and start `ogrom up` again: what it held"
            " is then forgotten, and has to be deployed again."
        ) from None


def write(path: Path, value: object, *, durable: bool = True) -> None:
    """Replace a file by a value, whole or not at all.

    Args:
        path: the file.
        value: what msgspec can encode.
        durable: wait until it is on the disk.

    Raises:
        TargetError: it cannot be written: the disk is full, …
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as out:
            out.write(json.format(json.encode(value), indent=1))
            if durable:
                out.flush()
                os.fsync(out.fileno())
        aside.replace(path)
        if durable:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise TargetError(f"{path} cannot be written: {error.strerror or error}.") from None


def run_directory(folder: Path, where: Path | None = None) -> Path:
    """A directory for the target's sockets that its owner alone can enter; made if need be.

    Args:
        folder: the target's.
        where: for what is too long; `$XDG_RUNTIME_DIR` or the directory for temporary files.

    Raises:
        TargetError: somebody else has made it, or others may enter it.
    """
    beside = folder.resolve() / "run"
    if len(os.fsencode(beside)) <= _LONGEST_RUN:
        return _private(beside)
    parent = where or Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    short = parent / f"ogrom-{os.geteuid()}-{digest}"
    if len(os.fsencode(short)) > _LONGEST_RUN:
        raise TargetError(
            f"No socket can be made in {beside} nor in {short}: the paths are too long. Set"
            " OGROM_HOME or XDG_RUNTIME_DIR to a shorter one."
        )
    return _private(short)


def _private(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise TargetError(
            f"{path} must be a directory that you alone can enter (mode 700). Remove it, or find out"
            " who made it."
        )
    return path
