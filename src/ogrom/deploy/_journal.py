"""What a rollout is about to do, written down before it is done, one JSON line each.

    rollouts/20261124T202412.123-9f3c2e1.jsonl
        {"plan": {…}, "holder": "anna@host, pid 12, deploy 9f3c2e1", "at": …, "before": {…}}
        {"step": "start", "event": "begin", "at": …}
        {"step": "start", "event": "done", "detail": "2 of 2 up", "at": …}
        …
        {"end": "live", "at": …}

Every line is on the disk before its act. A file whose first line is torn describes a rollout that
never began; any other torn line is the last one, and its act was not begun either.
"""

import errno
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from ogrom.deploy._rollout import End, Plan, Step
from ogrom.deploy._target import Counts, DeployError, Name

APPENDING: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class Marks(Struct, frozen=True):
    """All counts at one moment."""

    total: Counts = Counts()
    environments: Mapping[Name, Counts] = {}


class First(Struct, frozen=True, kw_only=True):
    """The first line: the very plan that is walked."""

    plan: Plan
    holder: str
    who: str
    host: str
    at: datetime
    before: Marks


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Any later line."""

    at: datetime
    step: str = ""
    event: Literal["begin", "done", "failed"] | None = None
    detail: str = ""
    marks: Marks | None = None
    """The counts as the first share of the traffic was about to be given."""
    end: End | None = None


class Record(Struct, frozen=True):
    """A journal as it was read."""

    path: Path
    first: First
    lines: tuple[Line, ...] = ()

    @property
    def id(self) -> str:
        """The rollout's."""
        return self.path.stem

    @property
    def end(self) -> End | None:
        """How it ended; None if it did not."""
        return next((line.end for line in self.lines if line.end is not None), None)

    @property
    def marks(self) -> Marks | None:
        """The counts as the new release got its first share."""
        return next((line.marks for line in self.lines if line.marks is not None), None)

    @property
    def failures(self) -> tuple[str, ...]:
        """Why steps failed, in order."""
        return tuple(line.detail for line in self.lines if line.event == "failed")

    def next(self) -> tuple[Step | None, str]:
        """The step that was begun last, and the id at which the walk is: that step, or what follows."""
        steps = [line for line in self.lines if line.event is not None]
        if not steps:
            return None, self.first.plan.steps[0].id
        last = steps[-1]
        step = self.first.plan.step(last.step)
        if last.event == "begin":
            return step, step.id
        return step, step.works if last.event == "done" else step.fails


class Journal:
    """The journal of one rollout, being written. Holds an open file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    @classmethod
    def begin(cls, folder: Path, first: First) -> "Journal":
        """A new file with the plan in it, on the disk.

        Raises:
            DeployError: it cannot be written, such as on a full disk.
        """
        commit = first.plan.release.commit[:7]
        stamp = f"{first.at:%Y%m%dT%H%M%S}.{first.at.microsecond:06}"
        journal = cls(folder / f"{stamp}-{commit}.jsonl")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            journal._append(msgspec.json.encode(first))
            flush_folder(folder)
        except OSError as problem:
            journal.path.unlink(missing_ok=True)
            raise DeployError(
                f"The journal cannot be written ({problem}), so nothing was begun. "
                f"Make room for {folder} and deploy again."
            ) from problem
        return journal

    def write(self, line: Line) -> None:
        """One more line, on the disk when this returns. OSError where it cannot be written."""
        self._append(msgspec.json.encode(line))

    def _append(self, content: bytes) -> None:
        if self._file is None:
            self._file = os.open(self.path, APPENDING, 0o644)
        append(self._file, content)

    def close(self) -> None:
        """No more is written."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def append(file: int, content: bytes) -> None:
    """A line at the end of an open file, and on the disk. A torn line before it is ended first.

    A line that does not fit is taken away again, so that it is not read later.
    """
    size = os.fstat(file).st_size
    torn = b""
    if size:
        torn = b"" if os.pread(file, 1, size - 1) == b"\n" else b"\n"
    line = torn + content + b"\n"
    try:
        written = os.write(file, line)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def read(path: Path) -> Record | None:
    """A journal; None where its first line is torn. A torn later line is left out."""
    lines = path.read_bytes().split(b"\n")
    try:
        first = msgspec.json.decode(lines[0], type=First)
    except msgspec.DecodeError:
        return None
    later: list[Line] = []
    for line in lines[1:]:
        try:
            later.append(msgspec.json.decode(line, type=Line))
        except msgspec.DecodeError:
            continue
    return Record(path, first, tuple(later))


def unfinished(folder: Path) -> Record | None:
    """The newest rollout, if it has not ended. Only the newest can be: it is ended before another."""
    for path in sorted(folder.glob("*.jsonl"), reverse=True):
        record = read(path)
        if record is not None:
            return record if record.end is None else None
    return None


def now() -> datetime:
    """This moment, with its zone."""
    return datetime.now(UTC)
