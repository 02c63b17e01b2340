"""Ogrom's command line: a module for each command, or for a few that belong together."""

from importlib import import_module
from typing import Final

import click

__all__ = ["main"]

_PLACES: Final = {
    "build": "build",
    "serve": "serve",
    "dev": "dev",
    "up": "up",
    "deploy": "deploy",
    "rollback": "deploy",
    "resume": "deploy",
    "promote": "deploy",
    "status": "status",
    "history": "status",
    "logs": "up",
    "scale": "up",
    "prune": "status",
    "down": "up",
    "graph": "graph",
}
"""The module of each command, loaded when it is asked for: `ogrom serve` needs none of the others."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the same for all
        return sorted(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _PLACES:
            return None
        found = getattr(import_module(f"ogrom.cli.{_PLACES[cmd_name]}"), cmd_name)
        assert isinstance(found, click.Command)
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ogrom")
def main() -> None:
    """An HTTP API in front of your data, declared as values and redeployed under load."""
