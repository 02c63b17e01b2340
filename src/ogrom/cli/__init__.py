"""Ogrom's command line: a module for each command, or for a few that belong together."""

import click

from ogrom.cli.build import build
from ogrom.cli.deploy import deploy, promote, resume, rollback
from ogrom.cli.dev import dev
from ogrom.cli.graph import graph
from ogrom.cli.status import history, prune, status
from ogrom.cli.up import down, logs, scale, up

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ogrom")
def main() -> None:
    """An HTTP API in front of your data, declared as values and redeployed under load."""


for command in (
    build, up, deploy, rollback, resume, promote, status, history, logs, scale, prune, down, graph, dev,
):  # fmt: skip
    main.add_command(command)
