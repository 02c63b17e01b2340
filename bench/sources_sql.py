"""What it costs to get one row by its key, from SQLite and from MariaDB, beside SQLAlchemy.

Run it as `make bench-sources`; ROUNDS= says how often. Each peer is a process of its own, on uvloop, and
in each round they take turns, so that a busy machine slows all of them. The time is the CPU's, of the
process that asks; MariaDB's own is not in it. SQLAlchemy is Core, on asyncmy and aiosqlite: as it
comes, and tuned not to begin and roll back a transaction around a single SELECT.
"""

import asyncio
import importlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from _bench import report

from ogrom.sources import sql
from shop.sources.schema import STEPS

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
sys.path.append(str(HERE.parent / "tools"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
ROWS = 20_000
PEERS = (
    ("ogrom", sys.executable, "sql_ours.py", "as it comes"),
    ("SQLAlchemy, tuned", str(PEERS_PYTHON), "sql_alchemy.py", "tuned"),
    ("SQLAlchemy", str(PEERS_PYTHON), "sql_alchemy.py", "as it comes"),
)


async def fill(where: str) -> None:
    """The shop's comments."""
    now = datetime.now(UTC)
    async with sql.connect(where) as db:
        await sql.migrate(db, STEPS)
        async with db.transaction() as tx:
            for number in range(1, ROWS + 1):
                await tx.execute(
                    "INSERT INTO comments"
                    " (locale, product_id, user_id, text, created, changed, revision)"
                    " VALUES ('de-DE', :product_id, 'anna', :text, :now, :now, 1)",
                    product_id=f"p{number}",
                    text=f"Text {number}",
                    now=now,
                )


def measure(where: str, python: str, file: str, how: str) -> dict[str, float]:
    """One round of one peer: µs by how many ask at once."""
    command = [python, str(HERE / "peers" / file), where, how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{file} failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> None:
    """All in turn, so many rounds; then the table."""
    tool: Any = importlib.import_module("databases")
    with TemporaryDirectory() as directory:
        places = {"SQLite": f"{directory}/shop.db"}
        server = tool.Server(Path(directory) / "database")
        try:
            server.start(tls=False)
            places[server.product.title] = server.url()
        except tool.Missing as error:
            print(f"without {server.product.title}: {error}", file=sys.stderr)
        try:
            for place in places.values():
                asyncio.run(fill(place))
            found: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
            for number in range(ROUNDS):
                print(f"round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
                for kind, place in places.items():
                    for name, python, file, how in PEERS:
                        for width, cost in measure(place, python, file, how).items():
                            found[kind, name, width].append(cost)
        finally:
            server.stop()
    costs = {key: median(values) for key, values in found.items()}
    rows = [
        (kind, name, *(costs[kind, name, width] for width in ("1", "16")),
         *(costs[kind, name, width] / costs[kind, "ogrom", width] for width in ("1", "16")))
        for kind in places
        for name, *_ in PEERS
    ]  # fmt: skip
    report(
        "sources_sql",
        f"One row by its key: CPU µs, median of {ROUNDS} rounds",
        ("from", "by", "one at a time", "16 at once", "times ours", "times ours"),
        rows,
        {f"{kind} {name} @{width} µs": cost for (kind, name, width), cost in costs.items()},
    )


if __name__ == "__main__":
    main()
