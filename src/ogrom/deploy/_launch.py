"""From an artifact to a command: verified, unpacked and installed before an instance is started."""

import shutil
import sys
import zipfile
from pathlib import Path

from msgspec import Struct

from ogrom.deploy._artifact import APP, Manifest, manifest_of
from ogrom.deploy._files import alone, aside, digest, sweep, writing
from ogrom.deploy._store import verify
from ogrom.deploy._target import Release
from ogrom.deploy._wheels import TAG, run


class Launch(Struct, frozen=True):
    """How one instance is started."""

    command: list[str]
    env: dict[str, str]
    """To be added to the environment, with what the instance is told: OGROM_LISTEN, OGROM_RELEASE."""
    cwd: str
    """Where it runs. The same for every release, so that a path of the service's means one thing."""


def launch(release: Release, home: Path) -> Launch:
    """Make a release ready, and say how an instance of it is started. Done again, it is quick.

    Dependencies are installed once for all releases that have them, below `home`.

    Raises:
        ArtifactError: the artifact is not what the release says, is for another Python, or the
            disk is full. Nothing of it was run.
    """
    path = Path(release.path)
    verify(path, release.sha256, release.commit)
    manifest = manifest_of(path)
    root = home / "releases"
    folder = root / f"{release.commit}-{release.sha256[:12]}"
    env = {"PEX_ROOT": str(home / "pex")}
    with writing("the release"), alone(root / "lock"):
        if not _is_whole(folder, manifest):
            sweep(root)
            shutil.rmtree(folder, ignore_errors=True)
            with aside(folder) as new:
                _unpack(path, new)
        ready = folder / "ready"
        if not ready.exists():
            _install(folder / APP, manifest, env)
            ready.touch()
    arguments = manifest.command.split()[1:]
    return Launch([str(folder / APP), *arguments], env, str(Path.cwd()))


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    return all(
        (folder / name).is_file() and digest(folder / name) == member.sha256
        for name, member in manifest.members.items()
    )


def _unpack(path: Path, to: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(to)
    (to / APP).chmod(0o755)


def _install(app: Path, manifest: Manifest, env: dict[str, str]) -> None:
    """Make the pex's environment, and compile it, so that no instance has to."""
    python = [sys.executable] if manifest.python == TAG else []
    run(
        [*python, str(app), "-c", _COMPILE],
        app.parent,
        {**env, "PEX_INTERPRETER": "1"},
        f"The release could not be installed. It is for {manifest.python} on {manifest.platform}: "
        f"that Python has to be on PATH",
    )


_COMPILE = """
import compileall, os, sysconfig
packages = sysconfig.get_path("purelib")
for name in sorted(os.listdir(packages)):
    path = os.path.realpath(os.path.join(packages, name))
    if os.path.isdir(path):
        compileall.compile_dir(path, quiet=2)
    elif path.endswith(".py"):
        compileall.compile_file(path, quiet=2)
"""
"""Most of the packages are links into what releases share, and `compileall` follows none."""
