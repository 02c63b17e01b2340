"""`shop import FILE`: a real catalogue in place of the generated one."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click

from ogrom.sources.search import Unavailable
from shop.run.settings import SettingsError, searched
from shop.sources import importing
from shop.sources.importing import Report, Step, Unusable

SOME_BAD = 1
NOTHING_DONE = 2

_DOING = {
    "look": "Looking through the file",
    "read": "Reading the products",
    "index": "Making them searchable",
}


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="OGROM_STATE",
    default=Path(".state"),
    show_default=True,
    help="Where the shop keeps its data.",
)
@click.option(
    "--search",
    envvar="OGROM_SEARCH",
    default="",
    help="The URL of the search engine that has the catalogue, where it is not the embedded one.",
)
def import_catalogue(file: Path, state: Path, search: str) -> None:
    """Import a catalogue: tab-separated with a header, or JSON lines; .gz too.

    Generated products give way; imported ones with the same id are replaced. A shop that is
    running shows the new products within a second. Interrupted, run it again: it goes on.

    \b
    Columns: id (or product_id and image_no); name, description, category, brand,
    colour, material, each for all locales or with one: name_de, name_en-GB; a
    column "de" is the name in German; sizes, price ("19.95 EUR"), currency, added.

    Exit status: 0 all is well, 1 some lines were bad, 2 nothing could be done.
    """  # noqa: D301 - click wants a real backspace before what it is not to fill
    try:
        with _shown() as progress:
            report = importing.import_file(file, state, progress, searched(search.strip()))
    except (Unusable, Unavailable, SettingsError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(NOTHING_DONE)
    for line in told(report):
        click.echo(line)
    sys.exit(SOME_BAD if report.bad else 0)


def told(report: Report) -> Generator[str]:
    """The report in words."""
    if report.resumed:
        yield f"An earlier import of this file was interrupted; went on after line {report.resumed:,}."
    for column in report.ignored:
        yield f"Column {column!r} means nothing here and was ignored."
    for bad in report.bad_lines:
        yield f"Line {bad.line:,} left out: {bad.reason}."
    if report.bad > len(report.bad_lines):
        yield f"… and {report.bad - len(report.bad_lines):,} more bad lines."
    for locale, count in report.stored.items():
        notes = [
            note
            for note, holds in (
                ("in place of the generated ones", locale in report.replaced),
                ("as before: this was the last file imported", locale in report.unchanged),
                (f"{report.empty.get(locale, 0):,} rows without text", locale in report.empty),
            )
            if holds
        ]
        yield f"{locale}: {count:,} products{''.join(f', {note}' for note in notes)}."
    if report.repeated:
        yield f"{report.repeated:,} rows had the id of an earlier row and took its place."
    yield f"{report.read:,} lines read, {report.bad:,} bad."


@contextmanager
def _shown() -> Generator[importing.Progress]:
    """A bar on a terminal; elsewhere a line when a step begins."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        begun: set[str] = set()

        def say(step: Step, done: int, total: int) -> None:  # noqa: ARG001 - a line has no bar
            if step not in begun:
                begun.add(step)
                click.echo(f"{_DOING[step]} …", err=True)

        yield say
        return
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        tasks = {
            step: bars.add_task(text, total=None, start=False) for step, text in _DOING.items()
        }

        def draw(step: Step, done: int, total: int) -> None:
            bars.start_task(tasks[step])
            bars.update(tasks[step], completed=done, total=total)

        yield draw
