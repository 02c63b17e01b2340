"""What the benchmarks share: one table for people, one file of figures for everything else."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def report(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    figures: Mapping[str, float],
) -> None:
    """Prints a table, and writes the figures to results/<name>.json.

    Args:
        name: of the file, without its suffix.
        title: of the table.
        columns: their headings; the first column names what was measured.
        rows: a cell for each column; a float is shown with three digits after the point.
        figures: each by a key that says what it is, and ends with its unit.
    """
    table = Table(title=title)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    for row in rows:
        table.add_row(*(f"{cell:,.3f}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 240).print(table)  # a file has room
    RESULTS.mkdir(exist_ok=True)
    rounded = {key: round(value, 4) for key, value in figures.items()}
    text = json.dumps(rounded, indent=2, sort_keys=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def undisturbed(processor: int) -> None:
    """The calling process has this processor, before others that are not measured where it may (as root).

    To be called in a child, between fork and exec.
    """
    os.sched_setaffinity(0, {processor})
    with suppress(PermissionError):
        os.nice(_FIRST)


_FIRST = -15
"""Ahead of everyday work, by about 28 to 1."""
