"""From what a repository says of its targets to the targets themselves, and to what they need."""

from collections.abc import Mapping
from pathlib import Path

from ogrom.deploy import _history as history
from ogrom.deploy import _journal as journal
from ogrom.deploy._artifact import manifest_of
from ogrom.deploy._config import Config
from ogrom.deploy._deploying import place
from ogrom.deploy._rollout import Request, Settings
from ogrom.deploy._target import NAMES, Release, Target
from ogrom.deploy.local import LocalTarget
from ogrom.deploy.local._state import State, read


def target(home: Path, name: str) -> Target:
    """The target of that name. It need not be running yet.

    Args:
        home: `$OGROM_HOME`.
        name: as the configuration has it.
    """
    return LocalTarget(home / "targets" / name)


def settings(config: Config) -> Settings:
    """How a rollout goes, as the configuration says."""
    said = config.rollout
    return Settings(
        weights=said.weights,
        start_seconds=said.start_seconds,
        watch_seconds=said.watch_seconds,
        drain_seconds=said.drain_seconds,
    )


def requests(release: Release) -> tuple[Request, ...]:
    """The requests that warm an instance up, as the artifact itself declares them.

    Raises:
        ArtifactError: the artifact cannot be read.
    """
    declared = (each.split(" ", 1) for each in manifest_of(Path(release.path)).warm)
    return tuple(Request(path, method) for method, path in declared)


def unfinished(home: Path, name: str) -> str | None:
    """The rollout that is under way at a target, or was left by a deployer that is gone, in a line."""
    record = journal.unfinished(place(home, name).rollouts)
    if record is None:
        return None
    _, at = record.next()
    return f"{record.first.holder}: at {at!r} since {record.lines[-1].at if record.lines else record.first.at:%H:%M:%S} UTC"


def entries(home: Path, name: str) -> tuple[history.Entry, ...]:
    """What was deployed to a target, the oldest first."""
    return history.read(place(home, name).history)


def needed(home: Path) -> Mapping[str, str]:
    """The commits that must not be removed, and why: for people to read.

    What a target serves or keeps ready, what `ogrom rollback` would go to, and what is being
    deployed. Told by what is on the disk, so that it is right whether the targets run or not.
    """
    found: dict[str, str] = {}
    for folder in sorted((home / "targets").glob("*")):
        name, where = folder.name, place(home, folder.name)
        state = read(folder / "state.json", State, State())
        for environment in NAMES:
            wanted = state[environment]
            if wanted.release is not None:
                does = "serves" if wanted.share else "keeps"
                found.setdefault(wanted.release.commit, f"{environment} of {name} {does} it")
        record = journal.unfinished(where.rollouts)
        for release in (record.first.plan.release, record.first.plan.old) if record else ():
            if release is not None:
                found.setdefault(release.commit, f"it is being deployed to {name}")
        back = history.before(history.read(where.history))
        if back is not None:
            found.setdefault(back.commit, f"a rollback of {name} goes to it")
    return found


__all__ = ["entries", "needed", "requests", "settings", "target", "unfinished"]
