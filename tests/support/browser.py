"""A real, headless Chromium that looks at pages on this machine."""

import os
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium():
    """Its path; without one the test is skipped, and fails with CI=true."""
    path, why = _chromium()
    if not path:
        if os.environ.get("CI") == "true":
            raise RuntimeError(why)
        pytest.skip(why.splitlines()[-1])
    return path


@cache
def _chromium():
    """Its path, and what the tool complains of where there is none."""
    tool = Path(__file__).parents[2] / "tools" / "chromium.py"
    done = subprocess.run([sys.executable, tool], capture_output=True, text=True)
    return done.stdout.strip(), done.stderr.strip()


@asynccontextmanager
async def looking(url, width=1200, height=900):
    """A page that shows `url`; what its console complains of is in `page.complaints`."""
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            page = await browser.new_page(viewport={"width": width, "height": height})
            page.complaints = []
            page.on(
                "console",
                lambda said: page.complaints.append(said.text) if said.type == "error" else None,
            )
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            await page.goto(url)
            yield page
        finally:
            await browser.close()
