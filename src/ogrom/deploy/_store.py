"""Where artifacts lie: one for each commit, written once, checked on every read.

store/
├── <commit>.json              the record: which file, of which sha256
└── shop-9f3c2e1d4b5a.zip      the file; there before its record is
"""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from ogrom.deploy._files import alone, aside, digest, sweep, writing
from ogrom.deploy._source import short
from ogrom.deploy._target import ArtifactError, Release


class Record(Struct, frozen=True):
    """What the store knows of one artifact."""

    commit: str
    file: str
    sha256: str
    size: int
    stored: datetime


class Store:
    """Artifacts in a folder. Any number of processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, commit: str, path: Path) -> Release:
        """Keep a commit's artifact. Once: the same file again changes nothing.

        A file that was damaged since is mended, if this is the one that it was.

        Raises:
            ArtifactError: the commit has another artifact, or the disk is full.
        """
        with writing("the artifact"), alone(self._folder / "lock"):
            sweep(self._folder)
            new = Record(commit, path.name, digest(path), path.stat().st_size, datetime.now(UTC))
            old = self._record(commit)
            if old is not None and old.sha256 != new.sha256:
                raise ArtifactError(
                    f"{short(commit)} has another artifact already: sha256 {old.sha256[:12]}… is "
                    f"stored, this one is {new.sha256[:12]}…. One commit has one artifact. If the "
                    f"tools have changed, commit that and build the new commit; to replace it all "
                    f"the same, remove {self._folder / f'{commit}.json'} first."
                )
            place = self._folder / new.file
            if old is None or not place.is_file() or digest(place) != old.sha256:
                with aside(place) as copy:
                    shutil.copyfile(path, copy)
                with aside(self._folder / f"{commit}.json") as record:
                    record.write_bytes(msgspec.json.encode(old or new))
        return Release(commit, new.sha256, str(place))

    def has(self, commit: str) -> bool:
        """Whether the commit, by its full id, has an artifact."""
        return (self._folder / f"{commit}.json").is_file()

    def get(self, commit: str) -> Release:
        """The artifact of a commit, or of an abbreviation that fits one only.

        Raises:
            ArtifactError: there is none, or it is not what was stored.
        """
        fits = [record for record in self.list() if record.commit.startswith(commit)]
        if not fits or not commit:
            raise ArtifactError(
                f"The store has no artifact of {commit!r}. Build it first: ogrom build {commit}"
            )
        if len(fits) > 1:
            several = ", ".join(short(record.commit) for record in fits)
            raise ArtifactError(f"{commit!r} fits {several}. Give more digits.")
        [record] = fits
        path = self._folder / record.file
        verify(path, record.sha256, record.commit)
        return Release(record.commit, record.sha256, str(path))

    def list(self) -> list[Record]:
        """What there is, the newest first; not checked."""
        found = [self._record(path.stem) for path in self._folder.glob("*.json")]
        return sorted(
            (record for record in found if record is not None),
            key=lambda record: record.stored,
            reverse=True,
        )

    def remove(self, commit: str) -> None:
        """Forget a commit's artifact, by its full id. No error if there is none."""
        with writing("the store"), alone(self._folder / "lock"):
            record = self._record(commit)
            if record is not None:  # the record first: a name without a file is worse than a file
                (self._folder / f"{commit}.json").unlink()
                (self._folder / record.file).unlink(missing_ok=True)

    def _record(self, commit: str) -> Record | None:
        path = self._folder / f"{commit}.json"
        if not re.fullmatch(r"(?:tree-)?[0-9a-f]+", commit):
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise ArtifactError(
                f"{path} is damaged ({error}). Remove it, then build again: ogrom build {short(commit)}"
            ) from None


def verify(path: Path, sha256: str, commit: str) -> None:
    """Raise ArtifactError unless the file is there and is what it was."""
    try:
        found = digest(path)
    except OSError as error:
        raise ArtifactError(
            f"The artifact of {short(commit)} cannot be read: {path}: {error.strerror}. "
            f"Build it again: ogrom build {short(commit)}"
        ) from None
    if found != sha256:
        raise ArtifactError(
            f"{path} is damaged: its sha256 is {found[:12]}…, and {sha256[:12]}… was stored. "
            f"Nothing of it was run. Build it again: ogrom build {short(commit)}"
        )
