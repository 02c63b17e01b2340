"""`ogrom graph`: the decision graph, drawn from its table."""

import click

from ogrom.http import to_dot


@click.command()
def graph() -> None:
    """Print the decision graph in Graphviz' language (`ogrom graph | dot -Tsvg`)."""
    click.echo(to_dot(), nl=False)
