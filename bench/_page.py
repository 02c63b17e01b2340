"""What was measured, for docs/benchmarks.md: a table between two marks, and on which machine."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; all but the first column are numbers."""
    lines = [columns, ["---", *["--:" for _ in columns[1:]]], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine() -> str:
    """Where and when it was measured."""
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    cpu = " ".join(found[1].split()) if found else platform.machine()
    today = datetime.now(UTC).date()
    return f"{today}, {os.cpu_count()} × {cpu}, Linux {platform.release()}, CPython {platform.python_version()}"


def versions(python: Path, names: Sequence[str]) -> str:
    """Which releases of the peers were measured, as their venv has them."""
    code = "import importlib.metadata as m,json,sys;print(json.dumps({n:m.version(n) for n in sys.argv[1:]}))"
    done = subprocess.run(
        [str(python), "-c", code, *names], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return ", ".join(f"{name} {version}" for name, version in found.items())


def put(page: Path, name: str, text: str) -> None:
    """Text in place of what was between the marks of that name.

    Raises:
        SystemExit: the page has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    old = page.read_text(encoding="utf-8")
    head, found, rest = old.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} has no place for it: write {begin.strip()} and {end}")
    page.write_text(f"{head}{begin}\n{text}\n\n{end}{tail}", encoding="utf-8")
