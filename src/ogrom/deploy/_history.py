"""What was deployed to a target: who, when, from what to what, how it ended, and the counted proof."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ogrom.deploy._journal import APPENDING, append
from ogrom.deploy._rollout import End
from ogrom.deploy._target import Name, Release


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rollout that has ended."""

    id: str
    kind: Literal["deploy", "rollback"]
    result: End
    who: str
    host: str
    at: datetime
    """When it began."""
    seconds: float
    release: Release
    environment: Name
    old: Release | None = None
    steps: Mapping[str, float] = {}
    """How long each took, in seconds."""
    requests: int = 0
    """How many requests clients made meanwhile."""
    failed: int = 0
    """How many of them failed."""
    failed_by_new: int = 0
    """How many failures the new release itself answered."""
    reason: str = ""
    """Why it failed."""


def write(path: Path, entry: Entry) -> None:
    """Add one entry, on the disk when this returns. OSError where it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, APPENDING, 0o644)
    try:
        append(file, msgspec.json.encode(entry))
    finally:
        os.close(file)


def read(path: Path) -> tuple[Entry, ...]:
    """All entries, oldest first; a torn line is left out, and so is one that was written twice."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return ()
    entries: dict[tuple[str, End], Entry] = {}
    for line in lines:
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError:
            continue
        entries.setdefault((entry.id, entry.result), entry)
    return tuple(entries.values())


def before(entries: Sequence[Entry]) -> Release | None:
    """What a rollback goes to: the last release before the present one that was live and healthy.

    A release that was rolled back from is not gone back to, however often a rollback is asked for.
    """
    served: list[Release] = []
    for entry in entries:
        if entry.result != "live":
            continue
        if not served and entry.old is not None:
            served.append(entry.old)
        at = [release.sha256 for release in served]
        if entry.kind == "rollback" and entry.release.sha256 in at:
            del served[at.index(entry.release.sha256) + 1 :]
        else:
            served = [each for each in served if each.sha256 != entry.release.sha256]
            served.append(entry.release)
    return served[-2] if len(served) > 1 else None
