"""Sees to Chromium, in which the tests look at pages: prints its path, and installs Debian's if it may.

    python3 tools/chromium.py

Root, or a sudo that asks nothing, is needed only where there is none yet.
"""

import shutil
import sys

import apt

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """The path of the browser that is there."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def main() -> int:
    """Find it, else install it, else say what to do."""
    path = find()
    if path is None:
        apt.install("chromium")
        path = find()
    if path is None:
        print("There is no Chromium: sudo apt-get install chromium", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
