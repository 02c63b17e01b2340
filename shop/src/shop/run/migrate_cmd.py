"""`shop migrate`: the database brought forward, as a step of a deploy or by hand."""

import asyncio
import sys

import click

from ogrom.sources import sql
from shop.run.settings import Settings, SettingsError
from shop.run.wiring import database
from shop.sources.schema import STEPS


@click.command("migrate")
def migrate() -> None:
    """Bring the database of $OGROM_DB (or of $OGROM_STATE) forward to this release.

    A service does the same when it starts. Any number of times, by any number at once: one works,
    and the others find nothing to do. Interrupted, run it again: it goes on.

    Exit status: 0 all is well, 1 it could not be done.
    """
    try:
        made = asyncio.run(_migrate(Settings.from_env()))
    except (SettingsError, sql.SourceError) as error:
        notes = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
        click.echo(f"Error: {error}{notes}", err=True)
        sys.exit(1)
    names = {step.number: step.name for step in STEPS}
    for number in made:
        click.echo(f"Step {number}: {names[number]}.")
    click.echo(f"{len(made)} of {len(STEPS)} steps made; the others were there.")


async def _migrate(settings: Settings) -> tuple[int, ...]:
    if settings.db is None:
        settings.make_state()
    async with database(settings) as db:
        return await sql.migrate(db, STEPS)
