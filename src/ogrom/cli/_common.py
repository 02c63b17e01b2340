"""What the commands of deployment share: the repository's configuration, a target, errors in one line."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec import Struct

from ogrom import deploy
from ogrom.deploy import Config, DeployError, Local, Target

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Where(Struct, frozen=True):
    """Where a command works."""

    repository: Path
    home: Path
    """`$OGROM_HOME`."""
    config: Config
    name: str
    """The target's."""
    local: Local

    @property
    def target(self) -> Target:
        """The target itself."""
        return deploy.target(self.home, self.name)


@contextmanager
def told() -> Generator[None]:
    """What cannot be done is told in one message, with the exit status 1."""
    try:
        yield
    except DeployError as error:
        raise click.ClickException(str(error)) from None


def where(target: str | None = None) -> Where:
    """What the repository in the working directory says.

    Args:
        target: the name of one; without it the first.

    Raises:
        ConfigError: there is none by that name, or the configuration is not right.
    """
    repository = Path.cwd()
    config = deploy.load(repository)
    name, local = config.target(target)
    return Where(repository, deploy.home(repository), config, name, local)


def to(command: _Command) -> _Command:
    """The option that names the target."""
    return click.option(
        "--to", "target", default=None, help="The target. [default: the first in pyproject.toml]"
    )(command)


def as_json(command: _Command) -> _Command:
    """The option that has JSON printed."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(
        command
    )
