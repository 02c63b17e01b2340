"""Removing artifacts that nobody needs any more, with what was unpacked of them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from ogrom.deploy._files import alone
from ogrom.deploy._store import Record, Store


class Pruned(Struct, frozen=True):
    """One artifact that was removed."""

    record: Record
    freed: int
    """Bytes, of the artifact and of what was unpacked."""


def surplus(records: list[Record], keep: int, needed: Mapping[str, str]) -> list[Record]:
    """What may go: neither needed nor among the `keep` newest of the others.

    Args:
        records: the store's, the newest first.
        keep: how many are kept beside those that are needed.
        needed: commits that stay in any case.
    """
    return [record for record in records if record.commit not in needed][keep:]


def prune(home: Path, keep: int, needed: Mapping[str, str]) -> list[Pruned]:
    """Remove what is surplus; what was removed.

    Args:
        home: `$OGROM_HOME`.
        keep: how many artifacts are kept beside those that are needed.
        needed: commits that stay in any case, by full id.

    Raises:
        ArtifactError: the store cannot be read or written.
    """
    store = Store(home / "store")
    pruned: list[Pruned] = []
    for record in surplus(store.list(), keep, needed):
        freed = record.size
        store.remove(record.commit)
        with alone(home / "releases" / "lock"):
            for folder in (home / "releases").glob(f"{record.commit}-*"):
                freed += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
                shutil.rmtree(folder, ignore_errors=True)
        pruned.append(Pruned(record, freed))
    return pruned
