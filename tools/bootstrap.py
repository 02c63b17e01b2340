"""Sets the project up: `.venv`, the locked packages, then ogrom and shop themselves.

    python3 tools/bootstrap.py [run | dev]

`run` is what the service needs, `dev` adds the tools. `make` calls this before everything else, so
it does nothing, quickly, when `.venv` is already right. It knows that from one file:

    .venv/ogrom-setup.json   missing     never finished: install what is missing
                             unfinished  was killed half-way: start over
                             otherwise   what is installed, for which Python, in which directory

Only the standard library is used, and nothing outside the checkout is changed unless pip can be had
in no other way (see `_pip`).
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is the message for those who have less
    sys.exit(
        f"ogrom: Python 3.11 or newer is needed, and this is {sys.version_info[0]}."
        f"{sys.version_info[1]}. Where another is installed, name it: make PYTHON=python3.12"
    )

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "ogrom-setup.json"
LOCK = ROOT / ".cache" / "setup.lock"
PROFILES = {
    "run": ROOT / "requirements" / "run.txt",
    "dev": ROOT / "requirements" / "dev.txt",  # all of run, and the tools
}
PROJECTS = (ROOT, ROOT / "shop")

PIP = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-compile", "--no-deps")
"""Given to every `pip install`: the lock is complete, so there is nothing to resolve."""

APT_PACKAGE = "python3-pip-whl"
WHEEL_DIRECTORY = "usr/share/python-wheels"  # where that package and Fedora's put pip's wheel


class SetupError(Exception):
    """The set-up can't go on; the message says what to do."""


def say(line: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    print(f"ogrom: {line}", flush=True)


# What there is, and what there should be


def wanted(profile: str) -> dict[str, str]:
    """What the stamp says of a finished set-up for `profile`."""
    projects = hashlib.sha256()
    for project in PROJECTS:
        with (project / "pyproject.toml").open("rb") as file:
            tables = tomllib.load(file)
        # How the linters are set changes nothing that is installed.
        installed = {name: tables.get(name) for name in ("project", "build-system")}
        projects.update(json.dumps([installed, tables.get("tool", {}).get("hatch")]).encode())
    return {
        "directory": str(ROOT),  # the scripts in .venv/bin name it
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "projects": projects.hexdigest(),
        profile: hashlib.sha256(PROFILES[profile].read_bytes()).hexdigest(),
    }


def stamped() -> dict[str, str]:
    """What the stamp says was installed; nothing if it is missing or not readable."""
    try:
        found: object = json.loads(STAMP.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def stamp(content: Mapping[str, str]) -> None:
    """Write the stamp aside and put it in place, whole."""
    aside = STAMP.with_suffix(".new")
    aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    aside.replace(STAMP)


def is_ready(profile: str) -> bool:
    """Whether `.venv` has all that `profile` wants, and its interpreter is still there."""
    return wanted(profile).items() <= stamped().items() and PYTHON.exists()


def is_usable() -> bool:
    """Whether `.venv` can be added to; if not it is made anew."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = stamped()
    return (
        PYTHON.exists()
        and (VENV / "lib" / version / "site-packages").is_dir()
        and "unfinished" not in found
        and found.get("directory", str(ROOT)) == str(ROOT)
    )


# The steps


def set_up(profile: str) -> None:
    """Make `.venv` ready for `profile`. One at a time: whoever comes second waits, then looks."""
    if is_ready(profile):
        return
    with _alone() as lock:
        if is_ready(profile):
            return
        started = time.monotonic()
        if not is_usable():
            import venv

            version = ".".join(map(str, sys.version_info[:3]))
            say(f"making .venv with Python {version}")
            venv.create(VENV, clear=True, symlinks=True, with_pip=False)

        kept = stamped()
        stamp({**kept, "unfinished": profile})
        try:
            _install(profile, lock)
        except SetupError:  # pip has put things back; only a kill leaves a mess
            stamp(kept)
            raise
        stamp({**kept, **(wanted("run") if profile == "dev" else {}), **wanted(profile)})
        say(f"ready in {time.monotonic() - started:.0f} s")


def _install(profile: str, lock: int) -> None:
    requirements = PROFILES[profile]
    names = re.findall(r"^[\w.-]+==", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    pip = _pip()
    say(f"installing {len(names)} locked packages …")
    _run(
        [*pip, "install", *PIP, "--only-binary=:all:", "--require-hashes", "-r", str(requirements)],
        lock,
    )
    say("installing ogrom and shop, editable …")
    editable = [part for project in PROJECTS for part in ("--editable", str(project))]
    _run([*pip, "install", *PIP, "--no-index", "--no-build-isolation", *editable], lock)


@contextlib.contextmanager
def _alone() -> Generator[int]:
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout to finish …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _run(command: Sequence[str], lock: int) -> None:
    """Run quietly; on failure show the last lines. The child keeps the lock if we are killed."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONHOME", "PYTHONPATH"}}
    environment["PIP_USER"] = "0"
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        pass_fds=(lock,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-15:])
        raise SetupError(
            f"pip failed. Its last lines:\n{last}\n"
            "ogrom: If the package index was not reached, look at the network, the proxy and pip's "
            "settings (pip config list). If no version was found for this Python, name another: "
            "make PYTHON=python3.12. A hash that differs means a file that is not the one that was "
            "locked: find out why first. Then run again what you ran."
        )


# Where pip comes from


def _pip() -> list[str]:
    """The command that runs a pip for `.venv`, from the nearest place that has one.

    1. `.venv` itself, from an earlier run
    2. the wheel that ships with Python, or that Debian packages beside it
    3. the system's own pip, working on `.venv` from outside
    4. Debian's package of that wheel, fetched to a temporary directory: needs no root, installs
       nothing, waits for no lock of dpkg's
    5. Debian's python3-venv, installed, by root or a sudo that asks nothing
    """
    own = [str(PYTHON), "-m", "pip"]
    if next(VENV.glob("lib/python3*/site-packages/pip"), None):
        return own
    if wheel := _local_wheel():
        return _from_wheel(wheel, own)
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    outside = [str(base), "-m", "pip", "--python", str(PYTHON)]
    if _succeeds([*outside, "--version"]):
        return outside
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        say("this Python came without pip (ensurepip): fetching Debian's …")
        with tempfile.TemporaryDirectory(prefix="ogrom-") as directory:
            if wheel := _fetch_wheel(Path(directory)):
                return _from_wheel(wheel, own)
        if _apt_install() and (wheel := _local_wheel()):
            return _from_wheel(wheel, own)
        raise SetupError(
            "there is no pip on this machine, and it could not be fetched. Run this, then again "
            "what you ran:\n  sudo apt-get update && sudo apt-get install -y python3-venv"
        )
    raise SetupError(
        "there is no pip on this machine: this Python has no ensurepip. Install your system's "
        "package of pip for it (often python3-pip or py3-pip), then run again what you ran."
    )


def _from_wheel(wheel: Path, own: list[str]) -> list[str]:
    """Install pip's wheel into `.venv` with the pip that is in it."""
    inside = f"{wheel}/pip"  # a wheel is a zip, and Python runs a package inside a zip
    flags = (*PIP, "--no-index", "--force-reinstall")
    if not _succeeds([str(PYTHON), inside, "install", *flags, str(wheel)]):
        raise SetupError(f"pip could not be installed from {wheel}. Is the disk full?")
    return own


def _local_wheel() -> Path | None:
    import sysconfig

    places = [
        Path(sysconfig.get_path("stdlib")) / "ensurepip" / "_bundled",
        Path(str(sysconfig.get_config_var("WHEEL_PKG_DIR"))),
        Path("/", WHEEL_DIRECTORY),
    ]
    return next((wheel for place in places for wheel in place.glob("pip-*.whl")), None)


def _fetch_wheel(directory: Path) -> Path | None:
    for part in ("state", "cache", "package"):
        (directory / part).mkdir()
    package = directory / "package"
    cache = ("-o", f"Dir::Cache={directory / 'cache'}", "-o", "APT::Sandbox::User=root")
    state = (
        *("-o", f"Dir::State={directory / 'state'}", "-o", "Dir::State::status=/dev/null"),
        *("-o", "Acquire::Languages=none"),
    )
    # First by the machine's lists. A fresh machine has none, or old ones, and may not be ours.
    if not _succeeds(["apt-get", *cache, "download", APT_PACKAGE], cwd=package):
        _succeeds(["apt-get", *cache, *state, "update"])
        _succeeds(["apt-get", *cache, *state, "download", APT_PACKAGE], cwd=package)
    for archive in package.glob("*.deb"):
        _succeeds(["dpkg-deb", "-x", str(archive), str(directory)])
    return next((directory / WHEEL_DIRECTORY).glob("pip-*.whl"), None)


def _apt_install() -> bool:
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and not _succeeds([*sudo, "true"]):
        return False
    say("installing python3-venv …")
    install = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    _succeeds([*install, "update"])
    return _succeeds([*install, "install", "-y", "--no-install-recommends", "python3-venv"])


def _succeeds(command: Sequence[str], cwd: Path | None = None) -> bool:
    try:
        done = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def main(arguments: Sequence[str]) -> int:
    """Set up for the profile that is named, or for `dev`."""
    profile = arguments[0] if arguments else "dev"
    if profile not in PROFILES or len(arguments) > 1:
        print(f"usage: python3 tools/bootstrap.py [{' | '.join(PROFILES)}]", file=sys.stderr)
        return 2
    try:
        set_up(profile)
    except SetupError as error:
        print(f"ogrom: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"ogrom: {error}. Is .venv yours to write? If not: make clean", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ogrom: interrupted; the next run starts over", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
