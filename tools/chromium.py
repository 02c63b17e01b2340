"""Sees to Chromium, in which the tests look at pages: prints its path, and installs Debian's if it may.

    python3 tools/chromium.py

Root, or a sudo that asks nothing, is needed only where there is none yet.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """The path of the browser that is there."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def install() -> None:
    """Debian's package, if that is allowed; what goes wrong shows in that there is still none."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        try:
            subprocess.run([*apt, *words], check=False, capture_output=True, timeout=600)
        except (OSError, subprocess.TimeoutExpired):
            return


def main() -> int:
    """Find it, else install it, else say what to do."""
    path = find()
    if path is None:
        install()
        path = find()
    if path is None:
        print("There is no Chromium: sudo apt-get install chromium", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
