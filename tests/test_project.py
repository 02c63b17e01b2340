"""The repository itself: what it promises of its files, its locks, its surface and its commands."""

import ast
import importlib
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [ROOT / "src", ROOT / "shop" / "src"]
LOCKS = ["service", "run", "dev", "bench"]
IGNORED_DIRECTORIES = {
    *(".git", ".venv", ".venv-bench", ".cache", ".state", ".ogrom", ".hypothesis"),
    *("dist", "results"),
}

# In pieces, so that this file does not name them either
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("snapshot", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("maven", "apache", "org"),
        ("maven", "org"),
    )
]


@cache
def files() -> list[Path]:
    """What git tracks or would; without git, all that is not known to be made again."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        found = (path for path in ROOT.rglob("*") if not ignored(path.relative_to(ROOT)))
    else:
        found = (ROOT / name for name in listed.stdout.split("\0") if name)
    return sorted(path for path in found if path.is_file())


def ignored(path: Path) -> bool:
    return any(
        part in IGNORED_DIRECTORIES or part == "__pycache__" or part.endswith("_cache")
        for part in path.parts
    )


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def project(path: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / path / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def lock(name: str) -> dict[str, tuple[str, int]]:
    """Each entry of a lock: its version, and how many hashes it has."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries: dict[str, tuple[str, int]] = {}
    for entry in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]:
        requirement, _, _ = entry.partition("\\")
        found = re.match(r"(\S+)==(\S+)", requirement)
        assert found, f"requirements/{name}.txt: not pinned: {requirement}"
        hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)
        entries[canonicalize_name(found[1])] = (found[2], len(hashes))
    return entries


def group(name: str) -> list[str]:
    """A dependency group with the groups that it includes."""
    groups = project(".")["dependency-groups"]
    return [
        dependency
        for entry in groups[name]
        for dependency in ([entry] if isinstance(entry, str) else group(entry["include-group"]))
    ]


def deploying() -> list[str]:
    """What only those who deploy need."""
    return project(".")["project"]["optional-dependencies"]["deploy"]


def modules() -> list[Path]:
    return [path for source in SOURCES for path in sorted(source.rglob("*.py"))]


def packages() -> list[str]:
    return [
        ".".join(path.parent.relative_to(source).parts)
        for source in SOURCES
        for path in sorted(source.rglob("__init__.py"))
    ]


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))


def test_no_file_names_a_registry():
    """Which package index is used is a setting of the machine, never of the project."""
    assert files()
    pattern = re.compile("|".join(map(re.escape, REGISTRIES)).encode(), re.IGNORECASE)
    found = {
        named(path): match[0].decode()
        for path in files()
        if (match := pattern.search(path.read_bytes()))
    }
    assert found == {}


@pytest.mark.parametrize("name", LOCKS)
def test_each_lock_entry_has_hashes(name: str):
    assert lock(name)
    assert {package for package, (_, hashes) in lock(name).items() if not hashes} == set()


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_address_and_no_path(name: str):
    """No index, no file of the machine that made them: they are the same wherever they are made."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert re.findall(r"^.*(?:://|--index|--find-links|(?<=\s)/).*$", text, re.MULTILINE) == []


@pytest.mark.parametrize(
    ("name", "dependencies"),
    [
        ("service", lambda: project(".")["project"]["dependencies"]),
        ("run", lambda: project(".")["project"]["dependencies"] + deploying() + group("build")),
        ("run", lambda: project("shop")["project"]["dependencies"]),
        ("dev", lambda: project(".")["project"]["dependencies"] + deploying() + group("dev")),
        ("bench", lambda: group("bench")),
    ],
    ids=["service", "run", "run-shop", "dev", "bench"],
)
def test_locks_are_in_step_with_pyproject(name: str, dependencies: Any):
    """Every direct dependency is locked, in a version that pyproject allows; if not: make lock."""
    for dependency in map(Requirement, dependencies()):
        if dependency.name == "ogrom":
            continue
        version, _ = lock(name).get(canonicalize_name(dependency.name), ("", 0))
        assert version, f"requirements/{name}.txt lacks {dependency}: make lock"
        assert dependency.specifier.contains(version, prereleases=True), f"{dependency}: make lock"


@pytest.mark.parametrize(("smaller", "larger"), [("service", "run"), ("run", "dev")])
def test_each_lock_is_the_one_before_and_more(smaller: str, larger: str):
    """Tests run with the very versions that the service runs with."""
    fewer, more = (
        {package: version for package, (version, _) in lock(name).items()}
        for name in (smaller, larger)
    )
    assert fewer.items() <= more.items()


@pytest.mark.parametrize("path", modules(), ids=named)
def test_every_module_has_a_docstring(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", packages())
def test_all_is_the_whole_surface_of_its_package(name: str):
    """Whatever of its own a package's `__init__` shows without an underscore is exported."""
    package = importlib.import_module(name)
    if not hasattr(package, "__all__"):
        pytest.skip(f"{name} has no __all__")
    shown = {
        key
        for key, value in vars(package).items()
        if not key.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", name).startswith(name)
        and key not in {"annotations", "TYPE_CHECKING"}
    }
    exported = list(package.__all__)
    assert len(exported) == len(set(exported))
    assert all(hasattr(package, key) for key in exported)
    assert shown <= set(exported)


def test_the_changelog_has_a_place_for_what_comes_next():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[?Unreleased\]?", changelog, re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_that_a_page_names_is_a_target(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    code = re.findall(r"^```.*?^```|`[^`\n]+`", text, re.MULTILINE | re.DOTALL)
    setting = r"(?:\s+[A-Z_]+=\S*)*"
    mentioned = {
        target
        for part in code
        for target in re.findall(rf"(?:^|[`$;&]\s*)make{setting} ([a-z][\w-]*)", part, re.MULTILINE)
    }
    assert mentioned - make_targets() == set()


def test_every_make_target_is_described():
    """`make help` lists it, or it is one that others call: a check of what another target mends."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([a-z][a-z-]*):.* ## ", makefile, re.MULTILINE))
    assert make_targets() - described <= {"format-check", "lint-check", "setup-run"}
