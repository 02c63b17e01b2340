"""All faults at their full length, as the table of docs/faults.md: `python tests/faults/table.py`."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- table: make faults -->", "<!-- end -->"

HEAD = (
    "fault", "s", "requests", "failed, that need it", "failed, of the others", "kept",
    "slowest", "recovery", "writes acked / lost", "log lines / lost / twice", "memory",
)  # fmt: skip


def row(outcome) -> tuple[str, ...]:
    """One line of it."""
    acked = len(outcome.acked.comments) + len(outcome.acked.ratings)
    lines = sum(each.kind not in ("live", "ready") for each in outcome.answers)
    return (
        outcome.fault.name,
        f"{outcome.seconds:g}",
        f"{len(outcome.answers)}",
        f"{len(outcome.failed(needing=True))}",
        f"{len(outcome.failed(needing=False))}",
        f"{outcome.kept}",
        f"{outcome.slowest:.2f} s",
        f"{outcome.recovery:.1f} s",
        f"{acked} / {outcome.lost_writes}",
        f"{lines} / {outcome.lost_lines} / {outcome.repeated_lines}",
        f"{outcome.megabytes:.0f} MB",
    )


def line(cells: tuple[str, ...]) -> str:
    """As Markdown."""
    return f"| {' | '.join(cells)} |"


async def main(folder: Path) -> int:
    """Run them all; 1 where something did not hold."""
    from faults.faults import FAULTS, check, do, no_secrets
    from faults.world import a_world

    lines = [line(HEAD), "|---|" + "---:|" * (len(HEAD) - 1)]
    print(*lines, sep="\n", flush=True)
    wrong = 0
    with a_world(folder) as world:
        await asyncio.to_thread(world.serve)
        for fault in FAULTS:
            outcome = await do(world, fault, fault.full)
            lines.append(line(row(outcome)))
            print(lines[-1], flush=True)
            try:
                check(outcome)
            except AssertionError as error:
                wrong = 1
                print(f"This does not hold: {error}", file=sys.stderr, flush=True)
        await no_secrets(world)
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, "", *lines, "", END]) + after, "utf-8")
    return wrong


if __name__ == "__main__":
    sys.path[:] = [str(ROOT / "tests"), str(ROOT / "tools"), *sys.path[1:]]
    os.environ.setdefault("CI", "true")  # a table with holes is none
    with tempfile.TemporaryDirectory(prefix="ogrom-faults-") as folder:
        sys.exit(asyncio.run(main(Path(folder))))
