"""From a commit to one file that runs with nothing but Python: the same bytes wherever it is built.

shop-9f3c2e1d4b5a.zip
├── app.pex          all that is run: the locked dependencies and the projects' own wheels
├── Procfile         how a platform starts it
├── bom.json         what is in it (CycloneDX)
└── manifest.json    which commit, for which Python, and the sha256 of the others
"""

import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from ogrom.deploy._config import PAGE, Config, parse
from ogrom.deploy._files import digest, scratch, writing
from ogrom.deploy._files import home as default_home
from ogrom.deploy._source import Commit, check_out, read, resolve
from ogrom.deploy._store import Store
from ogrom.deploy._target import ArtifactError, Release
from ogrom.deploy._wheels import PLATFORM, TAG, Wheel, locked, own, run, version

APP, PROCFILE, BOM, MANIFEST = "app.pex", "Procfile", "bom.json", "manifest.json"


class Member(Struct, frozen=True):
    """One file of the artifact."""

    sha256: str
    size: int


class Manifest(Struct, frozen=True):
    """What an artifact says of itself."""

    name: str
    commit: str
    committed_at: datetime | None
    """None where the tree is no git checkout."""
    command: str
    warm: tuple[str, ...]
    lock_sha256: str
    python: str
    """The tag of the Python that it is for: `cp311`."""
    platform: str
    tools: Mapping[str, str]
    """What it was built with, and in which versions."""
    members: Mapping[str, Member]


def build(
    repository: Path,
    commit: str = "HEAD",
    *,
    home: Path | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Release:
    """Build a commit, or find it built, in the store.

    Args:
        repository: the folder of the service's pyproject.toml.
        commit: an id, an abbreviation, a branch or a tag.
        home: where cache and store are; without it `$OGROM_HOME` or the repository's `.ogrom`.
        say: is told, in lines, what is worth knowing while it goes on.

    Raises:
        ArtifactError: there is no such commit, it cannot be built, or the disk is full.
        ConfigError: the commit's `[tool.ogrom]` cannot be right.
    """
    repository = repository.resolve()
    home = home or default_home(repository)
    store = Store(home / "store")
    found = resolve(repository, commit)
    if found.left_out:
        say(found.left_out)
    if store.has(found.id):
        try:
            return store.get(found.id)
        except ArtifactError:
            say("what was stored is damaged: building it again …")
    with writing("the artifact"), scratch(home / "tmp") as place:
        config = _config(repository, found)
        path = place / f"{config.name}-{found.id.removeprefix('tree-')[:12]}.zip"
        make(repository, found, config, home / "cache", place, path, say)
        return store.put(found.id, path)


def _config(repository: Path, commit: Commit) -> Config:
    return parse(read(repository, commit, PAGE), where=f"{PAGE} of {commit.short}")


def make(
    repository: Path,
    commit: Commit,
    config: Config,
    cache: Path,
    place: Path,
    to: Path,
    say: Callable[[str], object],
) -> None:
    """Write the artifact of a commit to a file, in a folder that is thrown away afterwards."""
    tree = place / "tree"
    tree.mkdir()
    check_out(repository, commit, tree)
    if not (tree / config.lock).is_file():
        raise ArtifactError(
            f"{commit.short} has no {config.lock}, which tool.ogrom.lock names. Make it (uv pip compile "
            f"--generate-hashes pyproject.toml -o {config.lock}), commit it, and build that commit."
        )
    lock = (tree / config.lock).read_bytes()
    dependencies = locked(lock, tree, config.lock, cache, say)
    say(f"building {len(config.projects)} wheels of our own …")
    ours, tools = own(config.projects, tree, place / "own", commit.time, place)
    _pex(config, [*dependencies, *ours], [wheel.name for wheel in ours], cache, place)
    files = {
        APP: place / APP,
        PROCFILE: _write(place / PROCFILE, procfile(config.command)),
        BOM: _write(place / BOM, _json(bom(config.name, commit, dependencies, ours))),
    }
    git = not commit.id.startswith("tree-")
    manifest = Manifest(
        name=config.name,
        commit=commit.id,
        committed_at=datetime.fromtimestamp(commit.time, UTC) if git else None,
        command=config.command,
        warm=config.warm,
        lock_sha256=sha256(lock).hexdigest(),
        python=TAG,
        platform=PLATFORM,
        tools={"pex": version("pex"), **tools},
        members={name: Member(digest(path), path.stat().st_size) for name, path in files.items()},
    )
    files[MANIFEST] = _write(place / MANIFEST, _json(manifest))
    _zip(files, to)


def _pex(
    config: Config, wheels: Sequence[Wheel], ours: Sequence[str], cache: Path, place: Path
) -> None:
    """Wheels go in as they are: nothing is unpacked or compressed again until it is installed."""
    script = config.command.split()[0]
    folder = place / "wheels"
    folder.mkdir()
    for wheel in wheels:
        (folder / wheel.path.name).symlink_to(wheel.path)
    cache.mkdir(parents=True, exist_ok=True)
    run(
        [
            *(sys.executable, "-m", "pex", *ours, "--pre-resolved-dists", str(folder)),
            *("--no-pre-install-wheels", "--venv", "--sh-boot", "--script", script),
            *("--interpreter-constraint", f"CPython=={TAG[2]}.{TAG[3:]}.*"),
            *("--pex-root", str(cache / "pex"), "--output-file", str(place / APP)),
        ],
        place,
        # Settings of whoever builds are no part of what is built.
        {"HOME": str(place), "PEX_IGNORE_RCFILES": "1", "TMPDIR": str(place)},
        f"The pex could not be made. If a requirement is missing, it is not in {config.lock}: lock "
        f"again; if the script {script!r} is, look at tool.ogrom.command",
    )


def procfile(command: str) -> str:
    """How a platform starts an instance: with the port in PORT, 8000 where it says nothing."""
    _, _, arguments = command.strip().partition(" ")
    return f"web: env PORT=${{PORT:-8000}} ./{APP} {arguments}".rstrip() + "\n"


def bom(
    name: str, commit: Commit, dependencies: Sequence[Wheel], ours: Sequence[Wheel]
) -> Mapping[str, object]:
    """The list of what is in the artifact, in CycloneDX 1.5."""

    def component(wheel: Wheel, kind: str) -> Mapping[str, object]:
        purl = f"pkg:pypi/{wheel.name}@{wheel.version}"
        return {
            "type": kind,
            "bom-ref": purl,
            "name": wheel.name,
            "version": wheel.version,
            "purl": purl,
            "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        }

    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(commit.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": name,
                "name": name,
                "version": commit.id,
            },
        },
        "components": [
            *(component(wheel, "application") for wheel in ours),
            *(component(wheel, "library") for wheel in dependencies),
        ],
    }


def manifest_of(path: Path) -> Manifest:
    """What an artifact says of itself.

    Raises:
        ArtifactError: it is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except (OSError, KeyError, zipfile.BadZipFile, msgspec.DecodeError) as error:
        raise ArtifactError(
            f"{path} is no artifact: {error}. Build it again: ogrom build"
        ) from None


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _zip(files: Mapping[str, Path], to: Path) -> None:
    """The same bytes for the same files: sorted, of one time, and not compressed a second time."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = (0o100755 if name == APP else 0o100644) << 16
            entry.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
