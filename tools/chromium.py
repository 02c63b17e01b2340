"""Sees to Chromium, in which the tests look at pages: prints its path, and gets one if it may.

    .venv/bin/python tools/chromium.py

The one on the PATH, Debian's, or Playwright's own, in this order. Ubuntu's package of that name holds none, it
only points at a snap. Root, or a sudo that asks nothing, is needed only where there is none yet; without it
Playwright's may lack libraries. Exit status: 0 done, 1 there is none.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import apt

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 300  # seconds for Playwright's to be downloaded


def find() -> str | None:
    """The path of the browser that is there, and is more than a word on where to get one."""
    return next((path for name in NAMES if (path := shutil.which(name)) and _runs(path)), None)


def own() -> str | None:
    """The path of the newest one that Playwright has downloaded."""
    kept = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright"
    found = Path(kept).glob("chromium-*/chrome-linux*/chrome")
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return str(newest) if newest is not None and _runs(str(newest)) else None


def _runs(path: str) -> bool:
    return apt.succeeds([path, "--version"])


def _is_debian() -> bool:
    try:
        return platform.freedesktop_os_release()["ID"] == "debian"
    except OSError:  # it says nothing of itself
        return False


def _download() -> None:
    libraries = ["--with-deps"] if os.geteuid() == 0 else []
    command = [sys.executable, "-m", "playwright", "install", *libraries, "chromium"]
    try:
        subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return  # it is told that there is none


def main() -> int:
    """Find it, else get it, else say what to do."""
    path = find() or own()
    if path is None and _is_debian() and apt.install("chromium"):
        path = find()
    if path is None:
        _download()
        path = own()
    if path is None:
        print(
            "There is no Chromium: sudo apt-get install chromium on Debian, elsewhere"
            " .venv/bin/playwright install --with-deps chromium",
            file=sys.stderr,
        )
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
