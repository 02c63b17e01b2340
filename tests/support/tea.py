"""A small real service in a git repository of its own, without a dependency."""

import os
import subprocess
from pathlib import Path

PAGE = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "tea"
version = "1.0"
[project.scripts]
tea = "tea:main"
[tool.hatch.build.targets.wheel]
packages = ["tea"]
[tool.ogrom]
name = "tea"
lock = "lock.txt"
command = "tea serve --warm"
warm = ["GET /cup"]
"""
CODE = 'import sys\n\n\ndef main():\n    print("tea", WORD, *sys.argv[1:])\n\n\nWORD = "green"\n'


def git(repository: Path, *arguments: str) -> str:
    """As a person does it, with a name and nothing of this machine's settings."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    who = ("-c", "user.name=Anna", "-c", "user.email=anna@example.org", "-c", "commit.gpgsign=0")
    command = ["git", "-C", str(repository), *who, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(repository: Path, word: str = "green") -> str:
    """Commit what is there, with that word in the code; the commit's id."""
    (repository / "tea" / "__init__.py").write_text(CODE.replace("green", word))
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", word)
    return git(repository, "rev-parse", "HEAD")


def write(repository: Path) -> None:
    """The service's files."""
    (repository / "tea").mkdir(parents=True)
    (repository / "pyproject.toml").write_text(PAGE)
    (repository / "lock.txt").write_text("")
    (repository / ".gitignore").write_text("/.ogrom/\n")
    (repository / "tea" / "__init__.py").write_text(CODE)


def share_tools(home: Path, tools: Path) -> None:
    """Have builds in that home use what pex unpacked for others: most of their time goes into that."""
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "pex").symlink_to(tools)
