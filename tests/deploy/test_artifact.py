"""From a commit to an artifact to a process: real repositories, real builds, real starts."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from support.tea import commit, git, write

from ogrom import deploy
from ogrom.cli import main
from ogrom.deploy import ArtifactError, ConfigError, Release

ROOT = Path(__file__).resolve().parent.parent.parent
OGROM = [sys.executable, "-c", "from ogrom.cli import main; main()"]


def run(release: Release, home: Path) -> str:
    """What the release prints when it is started."""
    found = deploy.launch(release, home)
    env = {**os.environ, **found.env}
    done = subprocess.run(
        found.command, cwd=found.cwd, env=env, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


# Which commit


def test_a_commit_has_many_names(repository):
    """An abbreviation, a branch, a tag, HEAD: all are the full id."""
    git(repository, "tag", "v1")
    full = git(repository, "rev-parse", "HEAD")
    found = {deploy.resolve(repository, each).id for each in ("HEAD", "main", "v1", full[:8], full)}
    assert {full} == found
    assert full[:7] == deploy.short(full)


@pytest.mark.parametrize("name", ["nosuch", "f" * 40, "--all", ""])
def test_an_unknown_commit_says_what_to_do(repository, name):
    """It may be on another machine."""
    with pytest.raises(ArtifactError, match=r"There is no commit .* git fetch it first"):
        deploy.resolve(repository, name)


def test_a_repository_without_a_commit_says_so(tmp_path):
    """As right after git init."""
    git(tmp_path, "init", "--quiet")
    with pytest.raises(ArtifactError, match=r"has no commit yet. Commit first"):
        deploy.resolve(tmp_path)


def test_a_tree_without_git_is_known_by_its_content(tmp_path):
    """What is made again does not count; a changed byte or mode does."""
    write(tmp_path / "a")
    write(tmp_path / "b")
    for made in (".venv/x", "dist/y", ".mypy_cache/z", "tea/__pycache__/q.pyc"):
        path = tmp_path / "b" / made
        path.parent.mkdir(parents=True)
        path.write_text("made again")
    one, two = (deploy.resolve(tmp_path / each) for each in "ab")
    assert one == two
    assert one.id.startswith("tree-")
    assert len("tree-") + 7 == len(one.short)
    assert one == deploy.resolve(tmp_path / "a", one.id)
    (tmp_path / "b" / "tea" / "__init__.py").chmod(0o755)
    assert one != deploy.resolve(tmp_path / "b")
    with pytest.raises(ArtifactError, match=r"is no git checkout.*Leave it out"):
        deploy.resolve(tmp_path / "a", "main")


def test_where_there_is_no_service_nothing_is_read(tmp_path):
    """Not a whole home directory, to find out afterwards."""
    with pytest.raises(
        ArtifactError, match=r"pyproject.toml is missing. Run this in the service's"
    ):
        deploy.resolve(tmp_path)


def test_what_is_no_file_is_no_part_of_a_tree(tmp_path):
    """A link to nowhere, a pipe."""
    write(tmp_path / "a")
    before = deploy.resolve(tmp_path / "a")
    (tmp_path / "a" / "nowhere").symlink_to("/none/such")
    os.mkfifo(tmp_path / "a" / "pipe")
    assert before == deploy.resolve(tmp_path / "a")


# What is built


@pytest.mark.slow
def test_it_is_built_from_the_commit_alone(repository, tmp_path):
    """What is not committed is not in it, and that is said."""
    (repository / "tea" / "__init__.py").write_text("broken(")
    (repository / "new.txt").write_text("")
    said: list[str] = []
    release = deploy.build(repository, home=tmp_path / "home", say=said.append)
    assert "2 uncommitted changes are not in it: git commit" == said[0]
    assert "tea green serve --warm" == run(release, tmp_path / "home")


@pytest.mark.slow
def test_what_is_in_it(repository, tmp_path):
    """The pex, how to start it, what it is made of; the manifest has the sha256 of each."""
    release = deploy.build(repository, home=tmp_path / "home")
    path = Path(release.path)
    assert f"tea-{release.commit[:12]}.zip" == path.name
    with zipfile.ZipFile(path) as archive:
        assert ["Procfile", "app.pex", "bom.json", "manifest.json"] == archive.namelist()
        assert archive.getinfo("app.pex").external_attr >> 16 & 0o111
        assert b"web: env PORT=${PORT:-8000} ./app.pex serve --warm\n" == archive.read("Procfile")
        bom = json.loads(archive.read("bom.json"))
        archive.extract("bom.json", tmp_path)
    manifest = deploy.manifest_of(path)
    assert ("tea", release.commit) == (manifest.name, manifest.commit)
    assert (("GET /cup",), "tea serve --warm") == (manifest.warm, manifest.command)
    assert {"app.pex", "Procfile", "bom.json"} == set(manifest.members)
    assert (tmp_path / "bom.json").stat().st_size == manifest.members["bom.json"].size
    assert {"pex", "hatchling"} == set(manifest.tools)
    assert ("CycloneDX", ["pkg:pypi/tea@1.0"]) == (
        bom["bomFormat"],
        [component["purl"] for component in bom["components"]],
    )


@pytest.mark.slow
def test_the_same_commit_is_the_same_bytes_everywhere(repository, tmp_path, monkeypatch):
    """In another clone, with another home, another cache, another umask, at another time."""
    one = deploy.build(repository, home=tmp_path / "one")
    clone = tmp_path / "deeper" / "and deeper"
    clone.parent.mkdir()
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    (tmp_path / "person").mkdir()
    (tmp_path / "person" / ".pexrc").write_text("PEX_VERBOSE=1\n")
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    before = os.umask(0o077)
    try:
        two = deploy.build(clone, home=tmp_path / "two")
    finally:
        os.umask(before)
    assert (one.commit, one.sha256) == (two.commit, two.sha256)
    assert Path(one.path).read_bytes() == Path(two.path).read_bytes()


@pytest.mark.slow
def test_a_tree_without_git_is_built_as_it_is(tmp_path):
    """Its id is in the name of the file."""
    write(tmp_path / "tea")
    release = deploy.build(tmp_path / "tea")
    assert "tea green serve --warm" == run(release, tmp_path / "tea" / ".ogrom")
    assert deploy.manifest_of(Path(release.path)).committed_at is None
    assert release == deploy.build(tmp_path / "tea")


@pytest.mark.slow
def test_a_damaged_artifact_is_built_again(repository):
    """The bytes are the same, so the store takes them."""
    first = deploy.build(repository)
    Path(first.path).write_bytes(b"rust")
    said: list[str] = []
    assert first == deploy.build(repository, say=said.append)
    assert "what was stored is damaged: building it again …" == said[0]
    assert first == deploy.Store(repository / ".ogrom" / "store").get(first.commit)


WRONG = {
    "no table": ({"pyproject.toml": "[project]"}, ConfigError, "has no .tool.ogrom."),
    "no lock": (
        {"lock.txt": None},
        ArtifactError,
        r"has no lock.txt, which tool.ogrom.lock names. Make it \(uv pip compile",
    ),
    "no hashes": ({"lock.txt": "msgspec==0.22.0\n"}, ArtifactError, "has no hashes. Lock it with"),
    "no project": ({"projects": ["none"]}, ArtifactError, "'none' has no pyproject.toml"),
    "no backend": ({"hatchling.build": ""}, ArtifactError, "could not be built. Its backend"),
    "no such script": ({"command": "coffee"}, ArtifactError, "'coffee' is, look at tool.ogrom"),
    "requirement not locked": ({"needs": "msgspec"}, ArtifactError, "it is not in lock.txt: lock"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("change", "error", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_built_says_why(repository, change, error, said):
    """And leaves nothing behind."""
    page = (repository / "pyproject.toml").read_text()
    for key, value in change.items():
        match key:
            case "projects":
                page += 'projects = ["none"]\n'
            case "hatchling.build":
                page = page.replace('"hatchling.build"', '"no.such.backend"')
            case "command":
                page = page.replace('"tea serve --warm"', '"coffee"')
            case "needs":
                page = page.replace(
                    'version = "1.0"', 'version = "1.0"\ndependencies = ["msgspec"]'
                )
            case _ if value is None:
                (repository / key).unlink()
            case _:
                (repository / key).write_text(value)
                page = value if key == "pyproject.toml" else page
    (repository / "pyproject.toml").write_text(page)
    commit(repository)
    with pytest.raises(error, match=said):
        deploy.build(repository)
    assert [] == deploy.Store(repository / ".ogrom" / "store").list()
    assert [] == list((repository / ".ogrom").glob("tmp/.aside-*"))


def test_a_project_that_names_no_backend_says_so(repository):
    """The default of old, setuptools, is not assumed."""
    page = (repository / "pyproject.toml").read_text()
    page = page.replace('build-backend = "hatchling.build"\n', "")
    (repository / "pyproject.toml").write_text(page)
    commit(repository)
    with pytest.raises(ArtifactError, match=r"names no build-backend. Write"):
        deploy.build(repository)


# Dependencies


@pytest.fixture
def leaf(repository, tmp_path, monkeypatch) -> Path:
    """A locked dependency, in a folder that pip is told to look in, and nowhere else."""
    place = tmp_path / "leaf"
    (place / "leaf").mkdir(parents=True)
    (place / "leaf" / "__init__.py").write_text('KIND = "oolong"\n')
    (place / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "leaf"\nversion = "2.1"\n'
    )
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(tmp_path / "shelf"),
    ]
    subprocess.run(build, cwd=place, check=True, capture_output=True)
    [wheel] = (tmp_path / "shelf").glob("*.whl")
    sha = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (repository / "lock.txt").write_text(f"leaf==2.1 \\\n    --hash=sha256:{sha}\n")
    page = (repository / "pyproject.toml").read_text()
    page = page.replace('version = "1.0"', 'version = "1.0"\ndependencies = ["leaf"]')
    (repository / "pyproject.toml").write_text(page)
    (repository / "tea" / "__init__.py").write_text("")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    commit(repository)
    return wheel


@pytest.mark.slow
def test_dependencies_are_fetched_once_for_a_lock(repository, leaf):
    """The next commit needs no network; a cache that was damaged is not believed."""
    said: list[str] = []
    release = deploy.build(repository, say=said.append)
    assert "fetching what lock.txt names (1 packages) …" in said
    sha = hashlib.sha256(leaf.read_bytes()).hexdigest()
    with zipfile.ZipFile(release.path) as archive:
        components = json.loads(archive.read("bom.json"))["components"]
    assert {"pkg:pypi/tea@1.0", "pkg:pypi/leaf@2.1"} == {each["purl"] for each in components}
    assert [sha] == [each["hashes"][0]["content"] for each in components if each["name"] == "leaf"]

    shelf = leaf.rename(leaf.with_name("away"))
    commit(repository, "black")
    said.clear()
    deploy.build(repository, say=said.append)
    assert [] == [line for line in said if "fetching" in line]

    [cached] = (repository / ".ogrom" / "cache").glob("wheels/*/leaf-*.whl")
    cached.write_bytes(b"rust")
    shelf.rename(leaf)
    commit(repository, "white")
    said.clear()
    assert "tea white serve --warm" == run(
        deploy.build(repository, say=said.append), repository / ".ogrom"
    )
    assert [] != [line for line in said if "fetching" in line]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["gone", "other bytes"])
def test_what_is_not_the_locked_file_is_not_taken(repository, leaf, change):
    """And nothing of it stays in the cache."""
    if change == "gone":
        leaf.unlink()
    else:
        with zipfile.ZipFile(leaf, "a") as wheel:
            wheel.writestr("leaf/more.py", "")
    with pytest.raises(ArtifactError, match=r"What lock.txt names could not be fetched. Look at"):
        deploy.build(repository)
    assert [] == list((repository / ".ogrom" / "cache").glob("wheels/*/*.whl"))
    assert [] == list((repository / ".ogrom" / "cache").glob("wheels/.aside-*"))


# Killed, crowded, full


@pytest.mark.slow
def test_two_builders_at_once_have_the_same_result(repository):
    """They share the cache and the store."""
    command = [*OGROM, "build", "--json"]
    both = [
        subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120) for process in both]
    assert [0, 0] == [process.returncode for process in both], told
    one, two = (json.loads(out) for out, _ in told)
    assert one["sha256"] == two["sha256"]
    assert one["sha256"] == deploy.Store(repository / ".ogrom" / "store").get(one["commit"]).sha256


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["tmp/.aside-*/tree", "tmp/.aside-*/wheels", "store/.aside-*"])
def test_a_builder_that_is_killed_leaves_nothing_that_is_believed(repository, moment):
    """At the check-out, in the middle of the pex, or while it is stored; then again, and all is well."""
    home = repository / ".ogrom"
    (home / "cache" / "pex").unlink()  # what others share is not damaged
    process = subprocess.Popen(
        [*OGROM, "build"], cwd=repository, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not any(home.glob(moment)):
        time.sleep(0.001)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    release = deploy.build(repository)
    assert "tea green serve --warm" == run(release, home)
    assert [] == [*home.glob("tmp/.aside-*"), *home.glob("store/.aside-*")]


@pytest.mark.slow
def test_a_full_disk_while_building_says_so(repository):
    """In a process of its own, whose files may not grow beyond 100 kB."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
    command = [sys.executable, "-c", limit + OGROM[-1], "build"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert [] == deploy.Store(repository / ".ogrom" / "store").list()
    assert deploy.build(repository).commit


# How it is started


@pytest.mark.slow
def test_each_release_is_unpacked_beside_the_others(repository):
    """An old one can be started while the new one runs."""
    home = repository / ".ogrom"
    old = deploy.build(repository)
    new = deploy.build(repository, commit(repository, "black"))
    assert "tea green serve --warm" == run(old, home)
    assert "tea black serve --warm" == run(new, home)
    assert "tea green serve --warm" == run(old, home)
    assert 2 == len(list((home / "releases").glob("*-*")))


@pytest.mark.slow
def test_a_damaged_artifact_is_not_run(repository):
    """Nothing of it is even unpacked; a damaged copy is unpacked again."""
    home = repository / ".ogrom"
    release = deploy.build(repository)
    content = Path(release.path).read_bytes()
    Path(release.path).write_bytes(content[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"is damaged.*Nothing of it was run"):
        deploy.launch(release, home)
    assert not (home / "releases").exists()
    Path(release.path).write_bytes(content)
    Path(deploy.launch(release, home).command[0]).write_bytes(b"exit 3")
    assert "tea green serve --warm" == run(release, home)


def test_what_is_no_artifact_is_not_run(tmp_path):
    """Even if its sha256 is right; nor is one that is not there."""
    path = tmp_path / "x.zip"
    path.write_bytes(b"no zip")
    sha = "0" * 64
    with pytest.raises(ArtifactError, match="is no artifact"):
        deploy.manifest_of(path)
    with pytest.raises(ArtifactError, match="is damaged"):
        deploy.launch(Release("1" * 40, sha, str(path)), tmp_path)
    with pytest.raises(ArtifactError, match=r"cannot be read.*ogrom build 1111111"):
        deploy.launch(Release("1" * 40, sha, str(tmp_path / "none")), tmp_path)


# The command


@pytest.mark.slow
def test_the_command_prints_one_line(repository, monkeypatch):
    """And one object with --json; the second time it is there already."""
    monkeypatch.chdir(repository)
    id_ = git(repository, "rev-parse", "HEAD")
    first = CliRunner().invoke(main, ["build"])
    assert 0 == first.exit_code
    assert first.stdout.startswith(f"{id_[:7]}  tea-{id_[:12]}.zip  ")
    assert "  stored (" in first.stdout
    assert 1 == first.stdout.count("\n")
    again = CliRunner().invoke(main, ["build", id_[:7]])
    assert "  already there (" in again.stdout
    told = json.loads(CliRunner().invoke(main, ["build", "--json"]).stdout)
    assert (id_, True) == (told["commit"], told["already"])
    assert told["size"] == Path(told["path"]).stat().st_size


def test_the_command_says_in_one_line_what_is_wrong(repository, monkeypatch):
    """On stderr, with exit status 1."""
    monkeypatch.chdir(repository)
    result = CliRunner().invoke(main, ["build", "nosuch"])
    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("Error: There is no commit 'nosuch'")
    assert 1 == result.stderr.count("\n")


# The shop itself


@pytest.mark.slow
def test_the_shop_runs_from_its_artifact_alone(tmp_path):
    """Dependencies fetched by the lock, installed by the pex; no package of this environment."""
    tree = tmp_path / "tree"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        tree.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tree)
    for name in ("src", "shop", "requirements"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    home = Path(os.environ.get("OGROM_HOME") or ROOT / ".ogrom")  # its cache of dependencies
    (tmp_path / "home").mkdir()
    (home / "cache").mkdir(parents=True, exist_ok=True)
    (tmp_path / "home" / "cache").symlink_to(home / "cache")
    try:
        release = deploy.build(tree, home=tmp_path / "home")
    except ArtifactError as error:
        if "could not be fetched" in str(error) and os.environ.get("CI") != "true":
            pytest.skip(f"nothing is cached, and the package index is out of reach: {error}")
        raise
    found = deploy.launch(release, tmp_path / "home")
    place = tmp_path / "s"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OGROM_PRODUCTS": "20", **found.env}
    env |= {"OGROM_LISTEN": f"unix:{place}", "OGROM_RELEASE": release.commit}
    env |= {"OGROM_STATE": str(tmp_path / "state")}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            found.command, cwd=tmp_path, env=env, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        answer = ask(place, process, tmp_path / "log")
        assert answer.startswith("HTTP/1.1 200")
    finally:
        process.terminate()
        process.wait(30)
    with zipfile.ZipFile(release.path) as archive:
        bom = msgspec.json.decode(archive.read("bom.json"))
    names = {component["name"] for component in bom["components"]}
    assert {"ogrom", "shop", "msgspec", "uvloop"} <= names
    assert "pex" not in names


def ask(place: Path, process: "subprocess.Popen[bytes]", log: Path) -> str:
    """The answer of /-/ready, once the process listens."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(place))
            except OSError:
                time.sleep(0.02)
                continue
            client.sendall(b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.recv(4096).decode()
    raise AssertionError(f"the shop did not start:\n{log.read_text()}")
