"""The wheels that an artifact is made of: locked ones, fetched once; and the projects' own."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from ogrom.deploy._files import alone, aside, digest, sweep, writing
from ogrom.deploy._target import ArtifactError

TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"
PLATFORM = sysconfig.get_platform()


class Wheel(Struct, frozen=True):
    """One wheel, and what it is."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """Of the distribution, normalised as PEP 503 says."""
        return re.sub(r"[-_.]+", "-", self.path.name.split("-")[0]).lower()

    @property
    def version(self) -> str:
        """Of the distribution."""
        return self.path.name.split("-")[1]


def locked(
    lock: bytes, tree: Path, where: str, cache: Path, say: Callable[[str], object]
) -> list[Wheel]:
    """The wheels of a lock, for this Python and platform. Fetched once, then found in the cache.

    Whatever is in the cache is believed only when its sha256 is in the lock.

    Args:
        lock: the content of a requirements file with hashes.
        tree: the commit's files. The lock may find wheels among them: `--find-links wheels`.
        where: the lock's path in the tree.
        cache: the folder that they are kept in, by lock.
        say: is told that they are fetched.

    Raises:
        ArtifactError: the lock has no hashes, or the wheels cannot be had.
    """
    hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock.decode()))
    names = re.findall(r"^[A-Za-z0-9][\w.-]*", lock.decode(), re.MULTILINE)
    if names and not hashes:
        raise ArtifactError(
            f"{where} has no hashes. Lock it with them: "
            f"uv pip compile --generate-hashes pyproject.toml -o {where}"
        )
    key = sha256(b"\0".join((lock, TAG.encode(), PLATFORM.encode()))).hexdigest()
    folder = cache / "wheels" / key
    with writing("the cache of dependencies"), alone(cache / "wheels" / f"{key}.lock"):
        found = _wheels(folder)
        if not folder.is_dir() or any(wheel.sha256 not in hashes for wheel in found):
            say(f"fetching what {where} names ({len(names)} packages) …")
            sweep(folder.parent)
            shutil.rmtree(folder, ignore_errors=True)
            with aside(folder) as new:
                new.mkdir()
                (new / "lock.txt").write_bytes(lock)
                if names:
                    _fetch(new, tree, where)
            found = _wheels(folder)
    return found


def _wheels(folder: Path) -> list[Wheel]:
    return [Wheel(path, digest(path)) for path in sorted(folder.glob("*.whl"))]


def _fetch(folder: Path, tree: Path, where: str) -> None:
    pip = [sys.executable, "-P", "-m", "pip"]  # -P: a module of the tree's is none of pip's
    flags = (
        *("--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar=off"),
        *("--only-binary=:all:", "--no-deps", "--require-hashes"),
    )
    command = [*pip, "download", *flags, "-r", where, "-d", str(folder)]
    run(
        command,
        tree,
        {},
        f"What {where} names could not be fetched. Look at the network and at pip's settings "
        "(pip config list); where there is no pip: python -m ensurepip",
    )


def own(
    projects: Sequence[str], tree: Path, to: Path, epoch: int, scripts: Path
) -> tuple[list[Wheel], dict[str, str]]:
    """Build the projects' own wheels, at the same time, without a network.

    Args:
        projects: their folders, from the root of `tree`.
        tree: the commit's files.
        to: the folder for the wheels.
        epoch: the time that their files are given (SOURCE_DATE_EPOCH).
        scripts: a folder for temporary files, outside of the tree.

    Returns:
        The wheels, and the versions of the tools that built them.

    Raises:
        ArtifactError: one cannot be built; the message has the last lines of its backend.
    """

    def build(project: str) -> tuple[Wheel, str]:
        folder = tree / project
        backend = _backend(folder, project)
        place = to / sha256(project.encode()).hexdigest()[:8]
        place.mkdir(parents=True)
        run(
            [sys.executable, "-c", _HOOK, backend, str(place)],
            folder,
            {"SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0", "TMPDIR": str(scripts)},
            f"The wheel of {project!r} could not be built. Its backend has to be installed beside ogrom: "
            f"{sys.executable} -m pip install {backend.split('.', maxsplit=1)[0]}",
        )
        path = next(place.glob("*.whl"))
        return Wheel(path, digest(path)), backend.split(".", maxsplit=1)[0]

    with ThreadPoolExecutor(max(1, len(projects))) as pool:
        built = list(pool.map(build, projects))
    return [wheel for wheel, _ in built], {tool: version(tool) for _, tool in built}


_HOOK = """
import importlib, sys
module, _, attribute = sys.argv[1].partition(":")
backend = importlib.import_module(module)
for part in attribute.split(".") if attribute else ():
    backend = getattr(backend, part)
backend.build_wheel(sys.argv[2])
"""
"""What a build frontend does, by PEP 517, with the backend that is installed."""


def _backend(folder: Path, project: str) -> str:
    try:
        tables = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"The project {project!r} has no pyproject.toml that can be read ({error}). "
            "Look at tool.ogrom.projects."
        ) from None
    found: object = tables.get("build-system", {}).get("build-backend")
    if not isinstance(found, str):
        raise ArtifactError(
            f"The pyproject.toml of the project {project!r} names no build-backend. Write "
            '[build-system] with requires = ["hatchling"], build-backend = "hatchling.build".'
        )
    return found


def version(tool: str) -> str:
    """Of an installed distribution; empty if it is not known by that name."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as found

    try:
        return found(tool)
    except PackageNotFoundError:
        return ""


def run(command: Sequence[str], cwd: Path, env: Mapping[str, str], failed: str) -> None:
    """Run a tool quietly, ended with us; what it said is in the error.

    Raises:
        ArtifactError: it failed; `failed`, then its last lines.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PEX_", "PYTHON")) and key != "SOURCE_DATE_EPOCH"
    }
    done = subprocess.run(  # noqa: S603 - arguments go past every shell
        command,
        cwd=cwd,
        env={**kept, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = " | ".join(line.strip() for line in done.stdout.splitlines()[-4:] if line.strip())
        raise ArtifactError(f"{failed}. It said: {last}")
