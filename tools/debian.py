"""A program of Debian's, found on this machine or unpacked beside the project: no root, no service.

    python3 tools/debian.py varnishd varnish     # prints where the program is

What is missing of the package and of what it depends on is downloaded by apt, which verifies it, and
unpacked into .cache/debian: nothing is installed, nothing runs that did not run before. What is
printed is a small script that names the libraries' folder and becomes the program.

Exit status: 0 done, 3 it cannot be had here.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "debian"
LISTS = Path("/var/lib/apt/lists")
MISSING = 3
PATIENCE = 300  # seconds for one call of apt-get


class Missing(Exception):
    """The program is not here and cannot be had; the message says how to get it."""


def find(program: str, package: str, *, cache: Path = CACHE) -> Path:
    """Where a program is: on the PATH, unpacked earlier, or unpacked now.

    Args:
        program: its name.
        package: Debian's package that it is in.
        cache: the folder that packages are unpacked in.

    Raises:
        Missing: it is none of these.
    """
    # Debian keeps servers where an ordinary user's PATH does not look.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    if (there := shutil.which(program, path=path)) is not None:
        return Path(there)
    return unpacked(program, package, cache=cache)


def unpacked(program: str, package: str, *, cache: Path = CACHE) -> Path:
    """Where a program is in a package that was unpacked earlier, or is now; see `find`."""
    root = cache / package
    if not root.is_dir():
        _unpack(package, root)
    script = root / f"{program}.sh"
    if not script.exists():
        _write(script, program, root)
    return script


def install(*packages: str) -> None:
    """Packages that have to be installed to be of use, as root or by a sudo that asks nothing.

    Whoever needs them looks whether they are there now.
    """
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    if not any(LISTS.glob("*_Packages*")):
        _run(*apt, "update")
    _run(*apt, "install", "--yes", "--no-install-recommends", *packages)


def _unpack(package: str, root: Path) -> None:
    """The package, and what this machine lacks of what it depends on, in `root`: whole or not at all."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Missing(f"There is no {package} here, and no apt-get to get it with.")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{package}-") as place:
        work = Path(place)
        lists = _lists(work)
        archives = work / "archives"
        (archives / "partial").mkdir(parents=True)
        words = ("--yes", "--no-install-recommends", "--download-only", "install", package)
        said = _apt(work, lists, *words)
        found = sorted(archives.glob("*.deb"))
        if not found:
            raise Missing(f"There is no {package} here: sudo apt-get install {package}\n{said}")
        for each in found:
            _run("dpkg-deb", "-x", str(each), str(work / "root"))
        try:
            (work / "root").rename(root)
        except OSError:  # somebody else was faster; theirs is as good
            if not root.is_dir():
                raise


def _lists(work: Path) -> Path | None:
    """Where apt's lists are: None for the machine's own; where those are empty, as in many images,
    others that are fetched for this once.
    """
    if any(LISTS.glob("*_Packages*")):
        return None
    (work / "lists" / "partial").mkdir(parents=True)
    _apt(work, work / "lists", "update")
    return work / "lists"


def _apt(work: Path, lists: Path | None, *words: str) -> str:
    """What apt-get said at the end. Its own folders need no root, and so no lock of the machine's."""
    folders = {"Dir::Cache": work, "Dir::Cache::archives": work / "archives"}
    if lists is not None:
        folders["Dir::State::lists"] = lists
    options = [f"-o{name}={folder}" for name, folder in folders.items()]
    return _run("apt-get", *options, "-oDebug::NoLocking=true", *words)


def _run(*command: str) -> str:
    """The last lines of what a command said, whether it succeeded or not: what counts is the outcome."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "\n".join((done.stdout + done.stderr).splitlines()[-3:])


def _write(script: Path, program: str, root: Path) -> None:
    found = [each for part in ("sbin", "bin") if (each := root / "usr" / part / program).is_file()]
    if not found:
        raise Missing(f"{root} holds no {program}: remove it to have the package unpacked anew.")
    folders = sorted({str(each.parent) for each in (root / "usr" / "lib").rglob("*.so*")})
    libraries = ":".join(folders) + "${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    text = f'#!/bin/sh\nexport LD_LIBRARY_PATH="{libraries}"\nexec "{found[0]}" "$@"\n'
    aside = script.with_suffix(f".{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.chmod(0o755)
    aside.rename(script)


def main(arguments: list[str]) -> int:
    """Find it, or unpack it; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("package")
    asked = parser.parse_args(arguments)
    try:
        print(find(asked.program, asked.package))
    except Missing as error:
        print(error, file=sys.stderr)
        return MISSING
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
