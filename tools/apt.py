"""Debian's packages, installed where a program is missing and we may: as root, or by a sudo that asks nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

LISTS = Path("/var/lib/apt/lists")
POLICY = Path("/usr/sbin/policy-rc.d")
PATIENCE = 600  # seconds for one call of apt-get


def program(name: str) -> str | None:
    """Where a program is; Debian keeps servers where an ordinary user's PATH does not look."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin")


def install(*packages: str) -> bool:
    """Install the packages, with no service of theirs started; whether that was done.

    Where the lists of packages are empty, as in many images, or too old, they are fetched first.
    """
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or not succeeds([*sudo, "true"]):
        return False
    print(f"installing {', '.join(packages)} …", file=sys.stderr, flush=True)
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    command = [*apt, "install", "-y", "--no-install-recommends", *packages]
    # This file is how Debian is told not to start what it installs; we remove only our own.
    write = f"printf '#!/bin/sh\\nexit 101\\n' > {POLICY}; chmod 755 {POLICY}"
    ours = not POLICY.exists() and succeeds([*sudo, "sh", "-c", write])
    try:
        if any(LISTS.glob("*_Packages*")) and succeeds(command):
            return True
        return succeeds([*apt, "update"]) and succeeds(command)
    finally:
        if ours:
            succeeds([*sudo, "rm", "-f", str(POLICY)])


def succeeds(command: list[str]) -> bool:
    """Whether a command can be run, and ends well and in time."""
    try:
        return not subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=PATIENCE
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False
