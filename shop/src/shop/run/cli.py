"""The shop's command line."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from ogrom.serve import Limits, ListenError, serve, worker
from ogrom.sources.sql import SourceError
from shop.run.identity_cmd import identity
from shop.run.import_cmd import import_catalogue
from shop.run.migrate_cmd import migrate
from shop.run.settings import Settings, SettingsError
from shop.run.wiring import ANSWER_SECONDS, logged
from shop.sources.demo import DemoUser


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A fashion shop's API, on Ogrom."""


main.add_command(import_catalogue)
main.add_command(identity)
main.add_command(migrate)


@main.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    envvar="PORT",
    default=8080,
    show_default=True,
    show_envvar=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--listen",
    "where",
    envvar="OGROM_LISTEN",
    help="Instead of both: unix:/run/shop.sock, fd:3 or host:port. [default: $OGROM_LISTEN]",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder that everything is kept in. [default: $OGROM_STATE or .state]",
)
@click.option(
    "--workers",
    envvar="OGROM_WORKERS",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    show_envvar=True,
    help="How many processes serve. `ogrom up` starts instances of its own: leave it at 1 there.",
)
def serve_shop(host: str, port: int, where: str | None, state: Path | None, workers: int) -> None:
    """Serve the shop until it is told to stop (Ctrl-C)."""
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if state is not None:
        settings = replace(settings, state=state)

    place = where or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    first = worker() in {None, 1}

    def greet(users: tuple[DemoUser, ...]) -> None:
        if not first:
            return
        locale = settings.locales[0]
        look = {
            "de-DE": "rote+Kleider",
            "fr-FR": "robe+rouge",
            "nl-NL": "rode+jurken",
            "en-GB": "red+dresses",
        }
        lines = [
            f"The shop: http://{place}/v1/{locale}/products?q={look[locale]}",
            f"Its data: {settings.state.resolve()}",
        ]
        if users:
            lines.append(
                f"To write:  -H 'Authorization: Bearer {users[0].token}'  ({users[0].name})"
            )
        print("\n".join(lines), file=sys.stderr, flush=True)

    try:
        settings.make_state()
        make, log = logged(settings, greet=greet)
        limits = Limits(answer_seconds=ANSWER_SECONDS)
        serve(make, place, limits=limits, log=log, workers=workers)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    except ListenError as error:
        raise click.ClickException(error.strerror or str(error)) from None
    except SourceError as error:
        raise click.ClickException(f"It cannot start: {error}") from None
