"""From a name of a commit to its files: never from the working tree, where there is git."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from ogrom.deploy._target import ArtifactError

EPOCH = 315_532_800
"""The first second that a zip can tell, 1980: the time of what has no commit."""

MADE_AGAIN = frozenset(
    {".git", ".venv", ".ogrom", ".state", ".cache", "dist", "__pycache__", "node_modules"}
)
"""Folders that are made again and are no part of a tree; nor is `.*_cache`."""

_TREE = "tree-"


class Commit(Struct, frozen=True):
    """Exactly one state of the repository."""

    id: str
    """The full commit id; of a tree without git, `tree-` and a hash of its content."""
    time: int
    """When it was committed, in seconds since 1970."""
    uncommitted: int = 0
    """How many changes of the working tree are not in it; counted for the head only."""

    @property
    def short(self) -> str:
        """As people write it."""
        return short(self.id)

    @property
    def left_out(self) -> str:
        """What is told of changes that are not in it; "" where there are none."""
        if not self.uncommitted:
            return ""
        many = "change is" if self.uncommitted == 1 else "changes are"
        return f"{self.uncommitted} uncommitted {many} not in it: git commit"


def short(commit: str) -> str:
    """The first seven digits of a commit's or a tree's id, as people write it."""
    return commit[: 7 + (len(_TREE) if commit.startswith(_TREE) else 0)]


def resolve(repository: Path, commit: str = "HEAD") -> Commit:
    """Which commit is meant.

    Args:
        repository: the folder of the service's pyproject.toml.
        commit: an id, an abbreviation, a branch or a tag.

    Raises:
        ArtifactError: there is no such commit; the message says what to do.
    """
    if not _is_checkout(repository):
        if not (repository / "pyproject.toml").is_file():
            raise ArtifactError(
                f"{repository / 'pyproject.toml'} is missing. Run this in the service's repository, whose"
                " pyproject.toml has [tool.ogrom]."
            )
        found = _tree(repository)
        if commit != "HEAD" and not (found.id.startswith(commit) and len(commit) > len(_TREE)):
            raise ArtifactError(
                f"{repository} is no git checkout, so there is no commit {commit!r}. "
                "Leave it out to build the files as they are."
            )
        return found
    id_ = _git_or_none(repository, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    if id_ is None or commit.startswith("-"):
        raise ArtifactError(_missing(repository, commit))
    time = int(_git(repository, "show", "--no-patch", "--format=%ct", id_))
    return Commit(id_, time, _uncommitted(repository, id_))


def check_out(repository: Path, commit: Commit, to: Path) -> None:
    """Write the commit's files to a folder: the same bytes and modes, wherever it is done."""
    if commit.id.startswith(_TREE):
        for path in _files(repository):
            place = to / path.relative_to(repository)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            place.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        return
    archive = to.with_suffix(".tar")
    _git(
        repository,
        *("-c", "tar.umask=0022", "-c", "core.autocrlf=false"),
        *("archive", "--format=tar", f"--output={archive}", commit.id),
    )
    with tarfile.open(archive) as tar:
        tar.extractall(to, filter="tar")
    archive.unlink()


def read(repository: Path, commit: Commit, path: str) -> bytes:
    """One file of the commit.

    Raises:
        ArtifactError: the commit has no such file.
    """
    if commit.id.startswith(_TREE):
        try:
            return (repository / path).read_bytes()
        except OSError:
            found = None
    else:
        found = _run(repository, "show", f"{commit.id}:./{path}")
        if found.returncode == 0:
            return found.stdout
    raise ArtifactError(f"{commit.short} has no {path}. Commit it, then build that commit.")


def _is_checkout(repository: Path) -> bool:
    return _git_or_none(repository, "rev-parse", "--is-inside-work-tree") == "true" and bool(
        # A folder that another repository merely ignores is no checkout of it.
        _git_or_none(repository, "ls-files", "--", "pyproject.toml")
        or (repository / ".git").exists()
    )


def _missing(repository: Path, commit: str) -> str:
    if _git_or_none(repository, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        return f"{repository} has no commit yet. Commit first (git commit), then build."
    return (
        f"There is no commit {commit!r} in {repository}. Look at git log; "
        "if it is on another machine, git fetch it first; if it is an abbreviation, give more digits."
    )


def _uncommitted(repository: Path, id_: str) -> int:
    if _git_or_none(repository, "rev-parse", "HEAD") != id_:
        return 0
    return len(_git(repository, "status", "--porcelain", "--", ".").splitlines())


def _tree(repository: Path) -> Commit:
    whole = hashlib.sha256()
    for path in _files(repository):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        mode = "x" if os.access(path, os.X_OK) else "-"
        whole.update(f"{path.relative_to(repository).as_posix()}\0{mode}{content}\n".encode())
    return Commit(f"{_TREE}{whole.hexdigest()[:40]}", EPOCH)


def _files(repository: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(repository):
        folders[:] = sorted(
            each
            for each in folders
            if each not in MADE_AGAIN and not (each.startswith(".") and each.endswith("_cache"))
        )
        paths = (Path(folder, each) for each in sorted(files) if not each.endswith(".pyc"))
        yield from (path for path in paths if path.is_file())  # no dangling link, no pipe


def _git(repository: Path, *arguments: str) -> str:
    done = _run(repository, *arguments)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise ArtifactError(f"git {arguments[0]} failed in {repository}: {said}")
    return done.stdout.decode().strip()


def _git_or_none(repository: Path, *arguments: str) -> str | None:
    done = _run(repository, *arguments)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def _run(repository: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    # A hook's own variables would name another repository.
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(repository), *arguments]
    try:
        return subprocess.run(  # noqa: S603 - arguments go past every shell
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except FileNotFoundError:
        # As where there is no repository: the id is then that of the content.
        return subprocess.CompletedProcess(command, 127, b"", b"there is no git on this machine")
