"""Ogrom's command line."""

import click

from ogrom.http import to_dot

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ogrom")
def main() -> None:
    """An HTTP API in front of your data, declared as values."""


@main.command()
def graph() -> None:
    """Print the decision graph in Graphviz' language (`ogrom graph | dot -Tsvg`)."""
    click.echo(to_dot(), nl=False)
